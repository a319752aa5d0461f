package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/google/uuid"

	"weelo/actors"
	"weelo/internal/config"
	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/order"
	"weelo/internal/presence"
	"weelo/internal/pricing"
	"weelo/internal/trip"
	"weelo/transport/rest"
)

// dispatchPolicy turns the environment's numbers into the domain's.
func dispatchPolicy(c config.Dispatch, scale float64) order.Policy {
	p := order.DefaultPolicy()
	s := func(seconds int) time.Duration { return time.Duration(seconds) * time.Second }
	p.SearchFor, p.FirstExtension, p.NextExtension = s(c.SearchSeconds), s(c.FirstExtension), s(c.NextExtension)
	p.Waves = make([]order.Wave, len(c.WaveRadiiKM))
	for i, km := range c.WaveRadiiKM {
		p.Waves[i] = order.Wave{RadiusKM: float64(km), Window: s(c.WaveSeconds[i])}
	}
	p.Notify = c.WaveNotify
	p.HoldFor, p.HoldExtension, p.HoldMax = s(c.HoldSeconds), s(c.HoldExtension), s(c.HoldMaxSeconds)
	p.HoldExtensions = c.HoldExtensions
	p.RebookAfter, p.RebookAfterRepeated = s(c.RebookSeconds), s(c.RebookLongSeconds)
	p.ScheduledLead = c.ScheduledLead.D()
	p.Trip = trip.DefaultPolicy()
	p.Trip.AcceptWithin, p.Trip.PODCode = s(c.AcceptSeconds), c.PODCode
	return p.Scaled(scale)
}

// matchRules turns the environment's numbers into the matcher's.
func matchRules(c config.Dispatch) fleet.MatchRules {
	r := fleet.DefaultMatchRules()
	r.Ranking.Notify, r.Ranking.Scoring = c.WaveNotify, c.Scoring
	r.RequireKYC, r.OpenOffers = c.RequireKYC, c.OpenOffers
	return r
}

// dispatch is what finds trucks for orders: the grid of transporters, the matcher over it, and the
// register of orders that search.
type dispatch struct {
	policy    order.Policy
	grid      *fleet.Grid
	matcher   *fleet.Matcher
	searching *actors.Searching
	receipts  *actors.OfferReceipts
	orders    *actors.Orders
}

// dispatch makes them; orders come later, when the system is there.
func (h *house) dispatch(context.Context, config.Secrets) error {
	cfg, st := h.p.cfg, h.st
	d := &dispatch{
		policy: dispatchPolicy(cfg.Dispatch, cfg.Tests.TimeScale), grid: fleet.NewGrid(presence.TransporterLife),
		searching: actors.NewSearching(), receipts: actors.NewOfferReceipts(st.offers, h.p.log),
	}
	d.matcher = &fleet.Matcher{
		Locator: d.grid, Supply: st.supply, Users: st.people, Offers: h.openOffers, ETA: fleet.StraightETA{}, Rules: matchRules(cfg.Dispatch),
	}
	d.policy.Push, d.policy.Trip.Push, d.policy.Texts = h.pusher != nil, h.pusher != nil, cfg.SMS.Notices
	if cfg.Dispatch.Scoring {
		d.matcher.Records = h.records
	}
	roster := &presence.Roster{
		Store: st.presence, Positions: st.positions, Kinds: st.supply, Grid: d.grid, Came: h.cameOnline, Now: time.Now, Log: h.p.log,
	}
	h.p.run("roster", roster.Run)
	h.p.run("receipts", d.receipts.Run)
	h.dispatching = d
	return nil
}

// openOffers counts what transporters are shown already.
func (h *house) openOffers(ctx context.Context, transporters []fleet.UserID) (map[fleet.UserID]int, error) {
	ids := make([]string, len(transporters))
	for i, id := range transporters {
		ids[i] = string(id)
	}
	counts, err := h.st.offers.CountOpen(ctx, ids, h.st.clock.Now())
	if err != nil {
		return nil, err
	}
	open := make(map[fleet.UserID]int, len(counts))
	for id, n := range counts {
		open[fleet.UserID(id)] = n
	}
	return open, nil
}

// records gives how transporters dealt with what they were shown, as far back as offers are kept. It is
// read only where candidates are scored.
func (h *house) records(ctx context.Context, transporters []fleet.UserID) (map[fleet.UserID]fleet.Record, error) {
	ids := make([]string, len(transporters))
	for i, id := range transporters {
		ids[i] = string(id)
	}
	tallies, err := h.st.offers.Tally(ctx, ids, h.st.clock.Now().Add(-fleet.RecordOver))
	if err != nil {
		return nil, err
	}
	records := make(map[fleet.UserID]fleet.Record, len(tallies))
	for id, t := range tallies {
		all, held := 0, t.Answers[order.AnswerHeld]+t.Answers[order.AnswerConfirmed]
		for _, n := range t.Answers {
			all += n
		}
		records[fleet.UserID(id)] = fleet.RecordOf(all, held, all-t.Answers[""], t.Waited)
	}
	return records, nil
}

// orderActors is the kind of orders.
func (h *house) orderActors() actors.Kind {
	d, st := h.dispatching, h.st
	return actors.OrderActors(actors.OrderConfig{
		Ledger: h.ledger, Publisher: h.hub, Policy: d.policy, Matcher: d.matcher, Crew: st.supply, Trips: st.trips,
		Users: st.users, Presence: st.presence, Searching: d.searching, Receipts: d.receipts, Observer: h.p.metrics.Dispatch, Watcher: h.hub,
	})
}

// openOrders makes the façade, once the system runs.
func (h *house) openOrders() {
	d, st := h.dispatching, h.st
	d.orders = actors.NewOrders(actors.OrdersConfig{
		Ledger: h.ledger, Router: h.system, Publisher: h.hub, Policy: d.policy, Price: pricing.CheckPrice, Matcher: d.matcher,
		Reads: st.orders, Trips: st.trips, Users: st.users, Observer: h.p.metrics.Dispatch, NewID: uuid.NewString, Random: rand.Reader,
	})
}

// cameOnline offers a transporter who came online what is open around him.
func (h *house) cameOnline(id fleet.UserID, at geo.Point, keys []string) {
	h.dispatching.searching.CameOnline(context.Background(), h.system, id, at, keys)
}

// orderRoutes are the routes of orders, offers and holds.
func (h *house) orderRoutes() {
	d, st := h.dispatching, h.st
	routes := rest.Orders{
		Orders: d.orders, Reads: st.orders, Offers: st.offers, Trips: h.reads, Policy: d.policy, Log: h.p.log, Now: st.clock.Now,
		Narrator: rest.Narrator{History: st.history, Offers: st.offers, People: st.people}, Limits: h.requestLimits(),
	}
	rest.RegisterOrders(h.api, routes)
}
