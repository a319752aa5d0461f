package actors

import (
	"context"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// whereLimit bounds the question where the driver is. He waits for the answer with his phone in his hand.
const whereLimit = time.Second

// Prepare implements preparer: a step that the truck's position can refuse is decided on the newest one.
// The trip itself hears of positions every 30 s only, and a driver reports a step when he has just arrived.
func (a *tripActor) Prepare(_ context.Context, s trip.State, command any, _ time.Time) func(context.Context) (any, error) {
	step, ok := command.(trip.ChangeStatus)
	if !ok || !s.AsksWhere(step, a.cfg.Policy) {
		return nil
	}
	return func(ctx context.Context) (any, error) {
		step.Fix = a.where(ctx, s.DriverID)
		return step, nil
	}
}

// where is the driver's newest believed fix as his actor knows it. Nil when it has none or does not
// answer: then what the trip has heard itself is all there is.
func (a *tripActor) where(ctx context.Context, driver fleet.UserID) *track.Fix {
	ctx, cancel := context.WithTimeout(ctx, whereLimit)
	defer cancel()
	v, err := a.self.Router().Ask(ctx, protocol.DriverAddress(driver), protocol.GetDriver{})
	if err != nil {
		a.self.Log().DebugContext(ctx, "driver not asked where he is", "driver", driver, "error", err)
		return nil
	}
	if d, ok := v.(*protocol.Driver); ok {
		return d.Live
	}
	return nil
}

// newerFix is the one of two fixes that was taken later; either may be nil.
func newerFix(a, b *track.Fix) *track.Fix {
	if a == nil || (b != nil && b.TS > a.TS) {
		return b
	}
	return a
}
