package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"

	"weelo/actors"
	reads "weelo/internal/access"
	"weelo/internal/auditlog"
	"weelo/internal/config"
	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/limit"
	"weelo/internal/login"
	"weelo/internal/notify"
	"weelo/internal/otp"
	"weelo/internal/presence"
	"weelo/internal/pricing"
	"weelo/internal/push"
	"weelo/internal/session"
	"weelo/internal/share"
	"weelo/internal/token"
	"weelo/internal/track"
	"weelo/internal/trip"
	"weelo/transport/access"
	"weelo/transport/hub"
	"weelo/transport/rest"
	"weelo/transport/socketio"
	"weelo/transport/ws"
)

// house is everybody who lives in the process, as wire introduces them to each other.
type house struct {
	p      *process
	st     *stores
	sms    providers
	pusher push.Sender // nil: nobody is woken

	trail   *auditlog.Recorder
	mint    *token.Mint
	keeper  *session.Keeper
	revoked *session.Watch
	again   *session.Recheck // of the sessions that hold sockets
	tickets *session.Tickets
	desk    *login.Desk

	operators operators

	reads    *reads.Reads
	views    *access.Access // what sockets may see
	recorder *history.Recorder
	hub      *hub.Hub

	shares  *share.Desk
	viewers *share.Guard // of share links, on this task

	system       *actors.System
	ledger       actors.Ledger
	dispatching  *dispatch
	policy       trip.Policy
	rules        track.Rules
	drivers      *actors.Drivers
	transporters *actors.Transporters
	tracks       *actors.TrackRecorder

	counted limit.Limiter // see counting
	api     *rest.API
}

// wire introduces everyone to everyone, by hand, in the order in which they need each other: stores
// are there; then services, the hub, actors, transports. It is the only place where concrete meets
// concrete.
func wire(ctx context.Context, p *process, st *stores, keys config.Secrets, sms []notify.Route) (*house, error) {
	pusher, err := pushSender(p.cfg.Push)
	if err != nil {
		return nil, err
	}
	h := &house{p: p, st: st, sms: providers{routes: sms, meter: notify.NewMeter(p.metrics.Registry)}, pusher: pusher}
	for _, step := range []func(context.Context, config.Secrets) error{h.auditing, h.sessions, h.login, h.dispatch, h.services, h.actors, h.couriers, h.rest, h.sockets, h.auditedToTheEnd} {
		if err := step(ctx, keys); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// accessLeeway is how much longer than its life a token may be accepted, for clocks that differ.
const accessLeeway = 10 * time.Second

// auditing is who writes down who did what: there before anybody can do anything.
func (h *house) auditing(_ context.Context, keys config.Secrets) error {
	pepper := otp.PepperOf(keys.Pepper.Reveal())
	h.trail = auditlog.NewRecorder(auditlog.Config{
		Store: h.st.log, Keys: auditlog.Keys{Kid: pepper.ID, Secret: pepper.Secret}, Now: time.Now, Log: h.p.log,
	})
	h.sms.changed = h.breakerChanged
	h.p.metrics.WatchAuditLog(h.trail.Waiting)
	h.p.run("audit log", h.trail.Run)
	return nil
}

// auditedToTheEnd writes down what the last of them did, after everybody else has stopped.
func (h *house) auditedToTheEnd(context.Context, config.Secrets) error {
	h.p.drain("audit log", h.trail.Drain)
	return nil
}

// sessions makes tokens and those who keep and watch them.
func (h *house) sessions(ctx context.Context, keys config.Secrets) (err error) {
	cfg, scale := h.p.cfg, h.p.cfg.Tests.LoginTimeScale
	h.mint, err = token.New(tokenKeys(keys, scaled(cfg.Login.AccessLife.D(), scale)))
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	h.revoked = session.NewWatch(h.st.sessions, h.mint.TTL()+accessLeeway, time.Now, func(user fleet.UserID, family, why string) {
		h.hub.Disconnect(user, family, hub.CodeUnauthorized, why)
	}, h.p.log)
	h.tickets = session.NewTickets(h.st.tickets, rand.Reader)
	policy := session.DefaultPolicy()
	policy.Idle = cfg.Login.RefreshIdle.D()
	if h.operators, err = operatorsOf(cfg.Login.OpsPhones); err != nil {
		return err
	}
	h.keeper = session.NewKeeper(session.Config{
		Store: h.st.sessions, Users: h.st.users, Mint: h.mint, Index: h.st.index, Policy: policy.Scaled(scale),
		Random: rand.Reader, Revoked: h.revoked.Learn, Operator: h.operators.has, Log: h.p.log, Audit: h.trail,
	})
	h.again = session.NewRecheck(session.RecheckConfig{
		Store: h.st.sessions, Policy: policy.Scaled(scale), Over: h.revoked.Learn, Now: time.Now, Log: h.p.log,
		Held: func() map[string]fleet.UserID {
			held := h.hub.Sessions()
			delete(held, mapSession) // of dev's map: nobody logged in, nothing is stored
			return held
		},
	})
	return nil
}

// login is the desk: who may log in, where the code goes, what a right code yields.
func (h *house) login(_ context.Context, keys config.Secrets) (err error) {
	p, cfg := h.p, h.p.cfg
	sms := notify.NewDispatcher(h.sms.of("codes", p.log), notify.Config{Now: time.Now, Log: p.log, Meter: h.sms.meter})
	p.run("sms", sms.Run)
	peppers := otp.Peppers{otp.PepperOf(keys.Pepper.Reveal())}
	if previous := keys.PepperPrevious.Reveal(); len(previous) > 0 {
		peppers = append(peppers, otp.PepperOf(previous))
	}
	policy := otp.DefaultPolicy()
	policy.Life = time.Duration(cfg.Login.OTPMinutes) * time.Minute
	h.desk, err = login.New(login.Config{
		Codes: h.st.codes, Limits: h.st.limits, Fails: h.st.fails, Users: h.st.users, Crews: h.st.crews, Sessions: h.keeper, Devices: h.st.sessions, SMS: sms,
		Peppers: peppers, Policy: policy.Scaled(cfg.Tests.LoginTimeScale),
		Hashes: notify.Hashes{Customer: cfg.SMS.RetrieverCust, Captain: cfg.SMS.RetrieverCapt},
		Ops:    h.operators, NoLimits: cfg.LimitsOff(), Random: rand.Reader, Log: p.log, Observer: p.metrics.OTP, Audit: h.trail,
	})
	return err
}

// services are the parts without an actor: reads, history, the hub.
func (h *house) services(ctx context.Context, _ config.Secrets) (err error) {
	h.policy = h.dispatching.policy.Trip
	h.rules = track.DefaultRules().Scaled(h.p.cfg.Tests.TimeScale)

	h.reads = reads.New(h.st.trips, h.st.positions, h.st.fixes, h.rules, time.Now)
	h.recorder, err = history.NewRecorder(h.st.fixes, h.st.trips, time.Now, h.p.log, history.Config{Rules: h.rules,
		Observe: func(fixes int, took time.Duration) { h.p.metrics.Commits.Batch("fixes", fixes, took) }})
	if err != nil {
		return err
	}
	h.p.metrics.WatchHistory(h.recorder.Stats)
	h.views = access.New(h.reads).WithOrders(access.Orders{
		Reads: h.st.orders, Live: h.st.orders, Waves: h.dispatching.policy.Waves, Offers: h.st.offers, Now: h.st.clock.Now,
	})
	h.sharing()
	h.views = h.views.WithShares(h.shares)
	h.hub = hub.New(hub.Config{
		Inbox: h.st.inbox, Access: h.views, Receipts: h.dispatching.receipts, Observer: h.p.metrics.Hub, Log: h.p.log, Unlimited: h.p.cfg.LimitsOff(),
		Revoked: h.over, Witness: watched{h.trail}, Now: h.st.clock.Now,
	})
	h.p.run("hub", h.hub.Run)
	h.p.sockets = h.hub.Drain
	// Revocations are read before the first token is believed.
	if err := h.revoked.Load(ctx); err != nil {
		return fmt.Errorf("revoked sessions: %w", err)
	}
	h.endFormerOperators(ctx)
	h.p.run("revocations", h.revoked.Run)
	h.p.run("sessions of sockets", h.again.Run)
	return nil
}

// actors starts the cast.
func (h *house) actors(context.Context, config.Secrets) (err error) {
	p, st := h.p, h.st
	h.ledger = actors.Ledger{Writer: st.writer, Joint: st.joint, Claimer: st.claimer, Outbox: st.outbox, Replies: st.replies, Now: st.clock.Now}
	presences := actors.NewPresenceWriter(st.presence, st.positions, func(who presence.Person) {
		actors.LostTo(h.system)(who) // the system is made below, before anybody can be lost
	}, time.Now, p.log)
	h.system, err = actors.NewSystem(
		actors.Config{Node: nodeName(), Log: p.log, Tracer: otel.Tracer("weelo/actors"), Observer: p.metrics.Actors, Quarantine: st.quarantine},
		actors.OTPSessions(h.desk),
		actors.Trips(actors.TripConfig{Ledger: h.ledger, Publisher: h.hub, Tracks: st.fixes, Policy: h.policy, Rules: h.rules}),
		h.orderActors(),
		actors.DriverActors(actors.DriverConfig{
			Publisher: h.hub, Users: st.users, Trips: st.trips, Presence: st.presence, Positions: st.positions, Tracks: h.reads,
			Writer: presences, Rules: h.rules, Fixes: p.metrics.Fixes,
		}),
		actors.TransporterActors(actors.TransporterConfig{
			Users: st.users, Presence: st.presence, Writer: presences, Vehicles: st.vehicles, Grid: h.dispatching.grid, Came: h.cameOnline,
		}),
	)
	if err != nil {
		return err
	}
	h.openOrders()
	h.drivers, h.transporters = actors.NewDrivers(h.system), actors.NewTransporters(h.system)
	h.tracks = &actors.TrackRecorder{Recorder: h.recorder, Router: h.system}
	p.run("actors", h.system.Run)
	p.run("quarantine", h.system.WatchQuarantine)
	p.run("presence", presences.Run)
	p.run("moving trips", (&actors.MovingTrips{Trips: st.trips, Router: h.system, Log: p.log}).Run)
	p.run("open searches", (&actors.OpenSearches{Orders: st.orders, Router: h.system, Log: p.log}).Run)
	p.run("timers", (&actors.Sweeper{Timers: st.timers, Router: h.system, Now: st.clock.Now, Log: p.log}).Run)
	p.run("outbox", (&actors.Relay{Outbox: st.outbox, Router: h.system, Now: st.clock.Now, Log: p.log}).Run)
	p.run("history", h.recorder.Run)
	p.run("retention", (&upkeep{p, st}).Run)
	p.drain("actors", h.system.Drain)
	return nil
}

// nodeName names this process among all: claims record it, so it must never come back.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "weelo"
	}
	return host + "/" + uuid.NewString()[:8]
}

// rest is everything over HTTP: the API, health, and the sockets it hands over.
func (h *house) rest(context.Context, config.Secrets) error {
	cfg := h.p.cfg
	h.api = rest.New(rest.Config{
		Version: version, Tokens: h.mint, Revoked: h.revoked.Revoked, Log: h.p.log, Metrics: h.p.metrics.Registry,
		TrustedHops: cfg.Server.TrustedHops, Origins: cfg.Server.AllowedOrigins, Now: time.Now, Limits: h.requestLimits(), Strangers: h.strangers(), Audit: h.trail,
	})
	logins, sessions := h.gated()
	rest.RegisterAuth(h.api, logins, sessions, h.st.users, h.tickets)
	rest.RegisterAssignments(h.api, rest.Assignments{
		Assigner: &actors.Assignments{
			Ledger: h.ledger, Router: h.system, Publisher: h.hub, Users: h.st.users, Trucks: h.st.vehicles, Customers: h.st.users,
			Policy: h.policy, NewID: uuid.NewString,
		},
		Actors: h.system, Trips: h.reads, Limits: h.requestLimits(), Log: h.p.log,
	})
	rest.RegisterTracking(h.api, rest.Tracking{Actors: h.system, Trips: h.reads, Recorder: h.tracks, Drivers: h.drivers, Now: time.Now})
	rest.RegisterFleet(h.api, rest.Fleet{
		People: h.st.people, Vehicles: h.st.vehicles, Trips: h.reads, Presence: h.st.presence, Positions: h.st.positions,
		Drivers: h.drivers, Transporters: h.transporters, Prices: pricing.Default(),
		Onboarding: rest.Onboarding{Logins: logins, Crews: h.st.crews, Sessions: h.keeper, Audit: h.trail},
		Limits:     h.requestLimits(), Notifier: h.hub, Log: h.p.log, Now: time.Now, NewID: uuid.NewString,
	})
	h.orderRoutes()
	rest.RegisterNotifications(h.api, h.st.phones)
	if err := h.shareRoutes(); err != nil {
		return err
	}
	h.deliveryReports()
	rest.RegisterAdmin(h.api, rest.Admin{
		Audit: h.trail, Rows: h.st.log, Registry: h.st.registry, Sessions: h.keeper, Lister: h.st.lister, Quarantine: h.st.quarantine, Log: h.p.log, Now: time.Now,
		Disputes: h.st.orders, Orders: h.dispatching.orders,
	})
	pages := http.NewServeMux()
	h.p.ready.routes(pages)
	for _, pattern := range []string{"GET /health", "GET /health/live", "GET /health/ready"} {
		h.api.Mount(pattern, pages)
	}
	h.p.handler = h.api
	return nil
}

// sockets mounts the two ways to stay connected, codecs on one hub.
func (h *house) sockets(context.Context, config.Secrets) error {
	cfg, views := h.p.cfg, h.views
	badge := badges{credentials{h.mint, h.tickets, h.revoked}, h.viewers}
	lobby, admit := h.lobby(), h.admitting()
	native, err := ws.New(ws.Config{
		Hub: h.hub, Tokens: badge, Tickets: badge, Drivers: h.drivers, Transporters: h.transporters,
		Recorder: h.tracks, Windows: h.st.trips, Facts: views, Hosts: cfg.Server.PublicHosts, Origins: pageOrigins(cfg.Server.AllowedOrigins, cfg.Server.PublicHosts),
		Lobby: lobby, Admit: admit, Unlimited: cfg.LimitsOff(), Observer: h.p.metrics.Frames, Log: h.p.log,
	})
	if err != nil {
		return err
	}
	apps, err := socketio.New(socketio.Config{
		Hub: h.hub, Access: views, Orders: views, Inbox: h.st.inbox, Tokens: h.mint, Sessions: h.keeper, Revocations: h.revoked, Push: phoneBook{h.st.phones},
		Drivers: h.drivers, Transporters: h.transporters, Observer: h.p.metrics.Frames, Log: h.p.log,
		Hosts: cfg.Server.PublicHosts, Origins: cfg.Server.AllowedOrigins, Lobby: lobby, Admit: admit, Unlimited: cfg.LimitsOff(),
	})
	if err != nil {
		return err
	}
	h.api.Mount("GET /ws/v1", h.connecting(native))
	h.api.Mount("GET /asyncapi.json", ws.AsyncAPI())
	h.api.Mount("/socket.io/", h.connecting(apps))
	h.p.run("native sockets", native.Run)
	h.p.run("socket.io", apps.Run)
	return nil
}

// scaled divides a wait of the product by a test scale.
func scaled(d time.Duration, scale float64) time.Duration {
	return time.Duration(float64(d) / scale)
}
