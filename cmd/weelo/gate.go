package main

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"weelo/actors"
	"weelo/actors/protocol"
	"weelo/internal/limit"
	"weelo/internal/login"
	"weelo/internal/session"
	"weelo/internal/token"
	"weelo/store/memory"
	"weelo/transport/door"
	"weelo/transport/rest"
)

// rates is both ports of a store of limits.
type rates interface {
	limit.Limiter
	limit.Tallies
}

// gated puts the limits of logins in front of the OTP sessions, and of refreshes; none with LIMITS=off.
func (h *house) gated() (protocol.Logins, rest.Sessions) {
	logins := actors.NewLogins(h.system)
	if h.p.cfg.LimitsOff() {
		return logins, h.keeper
	}
	h.p.metrics.Limits.Begin(limitNames()...)
	table := limit.DefaultLogin().Scaled(h.p.cfg.Tests.LoginTimeScale)
	table.SMS = h.p.cfg.SMS.DailyBudget
	gate := login.NewGate(logins, login.GateConfig{
		Limiter: h.st.rates, Tallies: h.st.rates, Limits: table, Devices: h.desk, Now: time.Now, Observer: h.refusals(), Audit: h.trail, Log: h.p.log,
		Origin: func(ctx context.Context) (netip.Addr, string) {
			r := rest.RequestOf(ctx)
			return r.Client, r.Device
		},
	})
	if h.st.memory != nil {
		h.p.run("memory of limits", func(ctx context.Context) error { return gate.Distrust(ctx, h.st.memory) })
	}
	return gate, &refreshes{
		Keeper: h.keeper, mint: h.mint, table: table, limits: h.requestLimits(),
	}
}

// limitNames are what refusals and alarms of limits are counted under.
func limitNames() []string {
	names := []string{door.LobbyName, "sms-budget-alarm", "sms-budget", "posture-raised"} // the last three: internal/login
	for _, l := range slices.Concat(limit.DefaultLogin().Limits(), limit.DefaultRequests().Limits()) {
		names = append(names, l.Name)
	}
	login := limit.DefaultLogin()
	for _, l := range []limit.Limit{login.Address, login.AddressHard, login.FailAddress, login.FailAddressHard, limit.DefaultRequests().Stranger} {
		names = append(names, l.Name+limit.WideSuffix)
	}
	return names
}

// counting counts limits that guard no secret: together with the other tasks, or its share of them while Redis is away.
func (h *house) counting() limit.Limiter {
	if h.counted == nil {
		cfg := limit.FallbackConfig{
			Shared: h.st.rates, Local: memory.NewRates(time.Now), Now: time.Now, Observer: h.p.metrics.Limits, Log: h.p.log,
		}
		if h.st.roll != nil {
			all := &roll{list: h.st.roll, log: h.p.log}
			h.p.run("roll of tasks", all.Run)
			h.p.metrics.WatchTasks(all.tasks.Count)
			cfg.Tasks = all.tasks.Count
		}
		h.counted = limit.NewFallback(cfg)
	}
	return h.counted
}

// requestLimits bound what one user may ask for; none with LIMITS=off.
func (h *house) requestLimits() limit.Limiter {
	if h.p.cfg.LimitsOff() {
		return nil
	}
	return limit.Counted{Limiter: h.counting(), Observer: h.refusals()}
}

// refreshes limits refreshes by family and address. A refresh guards no code that could be guessed, and
// refusing all of them would log everybody out: while the shared store is away each task counts its share.
type refreshes struct {
	*session.Keeper
	mint   *token.Mint
	table  limit.Login
	limits limit.Limiter
}

// Refresh implements rest.Sessions. Forged tokens count for the address only.
func (r *refreshes) Refresh(ctx context.Context, refresh string, now time.Time) (session.Pair, error) {
	for _, n := range limit.Networks(rest.RequestOf(ctx).Client) {
		if n.Times > 1 {
			continue
		}
		if err := r.take(ctx, r.table.RefreshAddress, n.Key); err != nil {
			return session.Pair{}, err
		}
	}
	claim, err := r.mint.VerifyRefresh(refresh, now)
	if err != nil {
		return session.Pair{}, err
	}
	if err := r.take(ctx, r.table.RefreshFamily, claim.SessionID); err != nil {
		return session.Pair{}, err
	}
	return r.Keeper.Refresh(ctx, refresh, now)
}

func (r *refreshes) take(ctx context.Context, l limit.Limit, key string) error {
	wait, err := r.limits.Take(ctx, l, key)
	if err != nil {
		return errors.Join(login.ErrUnavailable, err)
	}
	if wait > 0 {
		return login.ErrTooManyAsks.After(wait)
	}
	return nil
}

// known tells whether a device has logged in lately. While the shared store is away nobody is known.
func (h *house) known(ctx context.Context, device string) bool {
	logins, _, err := h.st.rates.Read(ctx, "device:"+device)
	return err == nil && logins.All > 0
}

// strangers limits what is asked for over REST by those who have not said who they are; nil with LIMITS=off.
func (h *house) strangers() func(context.Context) time.Duration {
	if h.p.cfg.LimitsOff() {
		return nil
	}
	all := limit.Strangers{Limit: limit.DefaultRequests().Stranger, Limiter: h.counting(), Known: h.known, Observer: h.refusals()}
	return func(ctx context.Context) time.Duration {
		from := rest.RequestOf(ctx)
		return all.Take(ctx, from.Client, from.Device)
	}
}

// lobby bounds the sockets of both kinds that have not said who they are, by address; none with LIMITS=off.
func (h *house) lobby() *door.Lobby {
	if h.p.cfg.LimitsOff() {
		return nil
	}
	return door.NewLobby(
		func(r *http.Request) netip.Addr { return rest.RequestOf(r.Context()).Client },
		func() { h.refusals().LimitRefused(door.LobbyName) },
	)
}

// admitting limits how many sockets one user opens, of both kinds together; nil with LIMITS=off. Viewers of a
// share link are bounded by their link.
func (h *house) admitting() func(context.Context, token.Identity) time.Duration {
	limits, table := h.requestLimits(), limit.DefaultRequests()
	if limits == nil {
		return nil
	}
	return func(ctx context.Context, who token.Identity) time.Duration {
		if who.Role == token.Viewer {
			return 0
		}
		wait, err := limits.Take(ctx, table.Socket, string(who.UserID))
		if err != nil { // no reason to keep anybody out
			return 0
		}
		return wait
	}
}

// connecting limits how many sockets an address opens, in front of both kinds. Like a soft limit of logins
// it stops only devices that have not logged in lately.
func (h *house) connecting(next http.Handler) http.Handler {
	if h.p.cfg.LimitsOff() {
		return next
	}
	limits, table := h.counting(), limit.DefaultLogin()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := rest.RequestOf(r.Context())
		for _, n := range limit.Networks(from.Client) {
			if n.Times > 1 {
				continue
			}
			wait, err := limits.Take(r.Context(), table.Connect, n.Key)
			if err != nil || wait == 0 {
				continue
			}
			if from.Device != "" && h.known(r.Context(), from.Device) {
				continue
			}
			h.refusals().LimitRefused(table.Connect.Name)
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"success":false,"error":{"code":"RATE_LIMIT_EXCEEDED","message":"Too many connections. Please wait a moment."}}`))
			return
		}
		next.ServeHTTP(w, r)
	})
}
