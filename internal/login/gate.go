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

// DeviceMemory is what is durable about devices: *Desk.
type DeviceMemory interface {
	// KnowsDevice tells whether the owner of a phone has logged in on a device since then.
	KnowsDevice(ctx context.Context, k otp.Key, device string, since time.Time) (bool, error)
}

// recallRate bounds how many refusals a second ask the durable memory, so that a flood cannot. Beyond it a
// device is unknown. What it says holds for recallKept.
const (
	recallRate  = 50
	recallBurst = 100
	recallWait  = time.Second
	recallKept  = time.Hour
)

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

// visit is one request at the gate: where it is from, and what it took and may be given back.
type visit struct {
	*Gate
	key     otp.Key
	addr    netip.Addr
	device  string
	known   *bool // asked at most once
	raised  bool
	returns []func(context.Context) error
	full    *fault.Error
	by      string // the limit that refused
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

// prefix is a number without its last four digits.
func prefix(k otp.Key) string {
	n := k.Phone.National()
	return n[:max(0, len(n)-4)]
}

func (v *visit) maySend(ctx context.Context, k otp.Key) error {
	l := v.cfg.Limits
	if err := v.take(ctx, l.Global, "all", false); err != nil {
		return err
	}
	everywhere := len(v.returns)
	if posture, _, err := v.cfg.Tallies.Read(ctx, "posture"); err != nil {
		return ErrUnavailable.Because(err)
	} else if posture.All > 0 {
		v.raised = true
	}
	if k.Flow != otp.Onboard { // the transporter who asks there has logged in, and has a limit of his own
		if err := v.address(ctx, l.Address, l.AddressHard); err != nil {
			return err
		}
		// Requests count for the address, codes for the rest: whoever is refused takes nothing from everybody else.
		v.returns = v.returns[:everywhere]
		if err := v.ofDevice(ctx, k); err != nil {
			return err
		}
	}
	if err := v.ofPrefix(ctx, k); err != nil {
		return err
	}
	return v.budget(ctx)
}

func (v *visit) mayTry(ctx context.Context, k otp.Key) error {
	l := v.cfg.Limits
	if k.Flow == otp.Onboard {
		return nil
	}
	if err := v.address(ctx, l.FailAddress, l.FailAddressHard); err != nil {
		return err
	}
	if v.device == "" {
		return nil
	}
	return v.take(ctx, l.FailDevice, v.device, false)
}

// address checks the networks of the address, the soft limit and then the hard one.
func (v *visit) address(ctx context.Context, soft, hard limit.Limit) error {
	for _, n := range limit.Networks(v.addr) {
		s, h := soft, hard
		if n.Times > 1 {
			s, h = soft.Times(n.Times, soft.Name+"-48"), hard.Times(n.Times, hard.Name+"-48")
		}
		if err := v.take(ctx, s, n.Key, true); err != nil {
			return err
		}
		if err := v.take(ctx, h, n.Key, false); err != nil {
			return err
		}
	}
	return nil
}

// ofDevice checks how many codes a device asks for, and for how many phones.
func (v *visit) ofDevice(ctx context.Context, k otp.Key) error {
	if v.device == "" {
		return nil
	}
	l := v.cfg.Limits
	if err := v.take(ctx, l.Device, v.device, false); err != nil {
		return err
	}
	wait, err := v.cfg.Limiter.Take(ctx, l.DevicePhone, v.device+":"+k.Phone.National())
	if err != nil {
		return ErrUnavailable.Because(err)
	}
	if wait > 0 { // this phone was counted
		return nil
	}
	v.mayReturn(l.DevicePhone, v.device+":"+k.Phone.National())
	return v.take(ctx, l.Phones, v.device, false)
}

// ofPrefix checks how many codes go to neighbouring numbers, and whether they are used: that they are not is
// the mark of somebody who is paid for messages.
func (v *visit) ofPrefix(ctx context.Context, k otp.Key) error {
	l, p := v.cfg.Limits, prefix(k)
	if err := v.take(ctx, l.Prefix, p, true); err != nil {
		return err
	}
	wait, err := v.cfg.Limiter.Wait(ctx, l.Converting, p)
	if err != nil {
		return ErrUnavailable.Because(err)
	}
	if wait == 0 {
		t, _, err := v.cfg.Tallies.Read(ctx, "prefix:"+p)
		if err != nil {
			return ErrUnavailable.Because(err)
		}
		if t.All < l.Conversions || t.Some*5 >= t.All {
			return nil
		}
		if _, err := v.cfg.Limiter.Take(ctx, l.Converting, p); err != nil {
			return ErrUnavailable.Because(err)
		}
		wait = l.Converting.Per
		v.log.WarnContext(ctx, "a number prefix is shut: its codes are not used", "sent", t.All, "used", t.Some)
	}
	return v.soften(ctx, l.Converting.Name, wait)
}

// budget counts a message against the day's.
func (v *visit) budget(ctx context.Context) error {
	l := v.cfg.Limits
	t, err := v.cfg.Tallies.Add(ctx, "sms", l.Day, 1, 0)
	if err != nil {
		return ErrUnavailable.Because(err)
	}
	v.returns = append(v.returns, func(ctx context.Context) error {
		_, err := v.cfg.Tallies.Add(ctx, "sms", l.Day, -1, 0)
		return err
	})
	switch {
	case t.All == l.SMS*8/10:
		v.refusedBy("sms-budget-alarm")
		v.log.WarnContext(ctx, "four fifths of the day's SMS budget are used", "sent", t.All, "budget", l.SMS)
	case t.All > l.SMS:
		return v.soften(ctx, "sms-budget", min(time.Hour, l.Day))
	}
	return nil
}

// take counts one event. Over a soft limit it refuses unknown devices only.
func (v *visit) take(ctx context.Context, l limit.Limit, key string, soft bool) error {
	if soft && v.raised {
		l = l.Halved()
	}
	wait, err := v.cfg.Limiter.Take(ctx, l, key)
	switch {
	case err != nil:
		return ErrUnavailable.Because(err)
	case wait == 0:
		v.mayReturn(l, key)
		return nil
	case soft:
		return v.soften(ctx, l.Name, wait)
	}
	return v.refuse(l.Name, wait)
}

func (v *visit) mayReturn(l limit.Limit, key string) {
	v.returns = append(v.returns, func(ctx context.Context) error { return v.cfg.Limiter.Return(ctx, l, key) })
}

func (v *visit) soften(ctx context.Context, name string, wait time.Duration) error {
	known, err := v.isKnown(ctx)
	if err != nil || known {
		return err
	}
	return v.refuse(name, wait)
}

func (v *visit) refuse(name string, wait time.Duration) error {
	v.by = name
	v.refusedBy(name)
	return v.full.After(wait)
}

func (v *visit) isKnown(ctx context.Context) (bool, error) {
	if v.device == "" {
		return false, nil
	}
	if v.known == nil {
		t, _, err := v.cfg.Tallies.Read(ctx, "device:"+v.device)
		if err != nil {
			return false, ErrUnavailable.Because(err)
		}
		known := t.All > 0 || v.recall(ctx)
		v.known = &known
	}
	return *v.known, nil
}

// recall asks the durable memory about a device that the tallies do not know: they may have been flushed.
func (v *visit) recall(ctx context.Context) bool {
	if v.cfg.Devices == nil || v.key.Flow == otp.Onboard || !v.recalls.AllowN(v.cfg.Now(), 1) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, recallWait)
	defer cancel()
	known, err := v.cfg.Devices.KnowsDevice(ctx, v.key, v.device, v.cfg.Now().Add(-v.cfg.Limits.Known))
	if err != nil {
		v.log.WarnContext(ctx, "a device is taken for unknown", "error", err)
		return false
	}
	if known {
		v.know(ctx, v.device, min(recallKept, v.cfg.Limits.Known))
	}
	return known
}

func (v *visit) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	for _, back := range v.returns {
		if err := back(ctx); err != nil {
			v.log.WarnContext(ctx, "a limit counts what did not happen", "error", err)
			return
		}
	}
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

// know makes a device known from now on: the span is that of its last login, not of its first.
func (g *Gate) know(ctx context.Context, device string, span time.Duration) {
	if err := g.cfg.Tallies.Begin(context.WithoutCancel(ctx), "device:"+device, span); err != nil {
		g.log.WarnContext(ctx, "a device that logged in is not known", "error", err)
	}
}

func (g *Gate) refusedBy(name string) {
	if g.cfg.Observer != nil {
		g.cfg.Observer.LimitRefused(name)
	}
}
