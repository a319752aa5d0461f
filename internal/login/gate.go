package login

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"weelo/internal/fault"
	"weelo/internal/limit"
	"weelo/internal/otp"
)

// Logins is what a Gate stands in front of: actors.Logins.
type Logins interface {
	SendCode(ctx context.Context, m *SendCode) (*CodeSent, error)
	SubmitCode(ctx context.Context, m *SubmitCode) (*LoggedIn, error)
}

// GateConfig is what a Gate needs.
type GateConfig struct {
	Limiter limit.Limiter
	Tallies limit.Tallies
	Limits  limit.Login
	// Origin tells where a request comes from: the client's address and device id, "" when it has none.
	Origin func(ctx context.Context) (netip.Addr, string)
	// Devices knows who has logged in where, when the tallies have forgotten it; nil: nobody does.
	Devices  DeviceMemory
	Now      func() time.Time
	Observer limit.Observer // nil: nobody counts
	Audit    Trail          // nil: nothing is written down
	Log      *slog.Logger
}

// Gate limits logins before anything is done for them, an actor's activation included. It checks in
// the order global, address, device, number prefix, daily budget; the limits of a phone are the Desk's.
// It fails closed: a limit that cannot be counted refuses.
//
// A soft limit refuses only clients whose device has not logged in lately: behind one address of a
// carrier live thousands. A known device is still bound by the limits of devices and the hard ones.
type Gate struct {
	cfg  GateConfig
	next Logins
	log  *slog.Logger

	recalls *rate.Limiter
}

// NewGate stands in front of next.
func NewGate(next Logins, cfg GateConfig) *Gate {
	return &Gate{cfg: cfg, next: next, log: cfg.Log.With("component", "login"), recalls: rate.NewLimiter(recallRate, recallBurst)}
}

func (g *Gate) visit(ctx context.Context, k otp.Key, full *fault.Error) *visit {
	v := &visit{Gate: g, key: k, full: full}
	v.addr, v.device = g.cfg.Origin(ctx)
	return v
}

// SendCode implements Logins.
func (g *Gate) SendCode(ctx context.Context, m *SendCode) (*CodeSent, error) {
	v := g.visit(ctx, m.Key, ErrTooManyAsks)
	if err := v.maySend(ctx, m.Key); err != nil {
		v.giveBack(ctx)
		g.auditUnsent(m, v.by, err)
		return nil, err
	}
	sent, err := g.next.SendCode(ctx, m)
	if err != nil { // no code went out: unknown drivers, cool-downs and the like have limits of their own
		v.giveBack(ctx)
		if neverBegun[fault.From(err).Reason] {
			g.auditUnsent(m, "", err)
		}
		return nil, err
	}
	g.tally(ctx, "prefix:"+prefix(m.Key), g.cfg.Limits.Span, 1, 0)
	return sent, nil
}

// SubmitCode implements Logins. A try is counted before it is made, and given back if it did not fail.
func (g *Gate) SubmitCode(ctx context.Context, m *SubmitCode) (*LoggedIn, error) {
	v := g.visit(ctx, m.Key, ErrTries)
	if err := v.mayTry(ctx, m.Key); err != nil {
		v.giveBack(ctx)
		g.auditUntried(m, v.by, err)
		return nil, err
	}
	in, err := g.next.SubmitCode(ctx, m)
	failed := err != nil && fault.From(err).Code == fault.FailedPrecondition
	if !failed {
		v.giveBack(ctx)
	}
	switch {
	case err != nil && neverBegun[fault.From(err).Reason]:
		g.auditUntried(m, "", err)
	case failed:
		g.watch(ctx, 1)
	case err == nil:
		g.watch(ctx, 0)
		g.tally(ctx, "prefix:"+prefix(m.Key), g.cfg.Limits.Span, 0, 1)
		if v.device != "" && m.Key.Flow != otp.Onboard {
			g.know(ctx, v.device, g.cfg.Limits.Known)
		}
	}
	return in, err
}

// watch counts a try and raises the posture for a Span when too many of them fail.
func (g *Gate) watch(ctx context.Context, failed int) {
	l := g.cfg.Limits
	t, err := g.cfg.Tallies.Add(ctx, "tries", l.Span, 1, failed)
	if err != nil || failed == 0 || t.Some <= max(l.FailBudget, t.All/10) {
		return
	}
	if p, err := g.cfg.Tallies.Add(ctx, "posture", l.Span, 1, 0); err == nil && p.All == 1 {
		g.refusedBy("posture-raised")
		g.log.WarnContext(ctx, "posture raised: too many tries fail", "failed", t.Some, "tries", t.All)
	}
}

// tally counts what is not needed for this answer.
func (g *Gate) tally(ctx context.Context, key string, span time.Duration, all, some int) {
	if _, err := g.cfg.Tallies.Add(context.WithoutCancel(ctx), key, span, all, some); err != nil {
		g.log.WarnContext(ctx, "a login was not tallied", "error", err)
	}
}

func (g *Gate) refusedBy(name string) {
	if g.cfg.Observer != nil {
		g.cfg.Observer.LimitRefused(name)
	}
}
