package login

import (
	"context"
	"time"

	"weelo/internal/otp"
)

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

// know makes a device known from now on: the span is that of its last login, not of its first.
func (g *Gate) know(ctx context.Context, device string, span time.Duration) {
	if err := g.cfg.Tallies.Begin(context.WithoutCancel(ctx), "device:"+device, span); err != nil {
		g.log.WarnContext(ctx, "a device that logged in is not known", "error", err)
	}
}
