package login

import (
	"context"
	"net/netip"
	"time"

	"weelo/internal/fault"
	"weelo/internal/limit"
	"weelo/internal/otp"
)

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
		if err := v.take(ctx, n.Of(soft), n.Key, true); err != nil {
			return err
		}
		if err := v.take(ctx, n.Of(hard), n.Key, false); err != nil {
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
