package rest

import (
	"context"
	"log/slog"
	"time"

	"weelo/internal/fault"
	"weelo/internal/otp"
)

// RequestLimiter counts requests over sliding windows, and can be asked without counting: otp.Limits.
type RequestLimiter interface {
	Limiter
	Wait(ctx context.Context, key string, windows []otp.Window) (wait time.Duration, err error)
}

// A limit bounds what one user may ask for (contract §4).
type limit struct {
	name   string
	window otp.Window
	block  time.Duration // how long he must wait after he went over it; 0: until the window has room
}

var errRate = fault.New(fault.ResourceExhausted, "RATE_LIMIT_EXCEEDED", "That was too often. Please wait a moment.")

var (
	orderLimit   = limit{"order-create", otp.Window{Max: 5, Per: time.Minute}, 0}
	holdLimit    = limit{"hold", otp.Window{Max: 30, Per: time.Minute}, 180 * time.Second}
	confirmLimit = limit{"hold-confirm", otp.Window{Max: 20, Per: time.Minute}, 300 * time.Second}
	// Not in the contract, as explaining is not: one answer reads an order's whole history.
	explainLimit = limit{"order-explain", otp.Window{Max: 30, Per: time.Minute}, 0}
	answerLimit  = limit{"assignment-answer", otp.Window{Max: 10, Per: time.Minute}, time.Minute}
)

func (d Orders) limited(ctx context.Context, l limit) error { return limited(ctx, d.Limits, d.Log, l) }

// limited counts one request of the caller and refuses the one too many. A store that does not count
// keeps nobody from work.
func limited(ctx context.Context, limits RequestLimiter, log *slog.Logger, l limit) error {
	if limits == nil {
		return nil
	}
	wait, err := l.take(ctx, limits, string(Caller(ctx).UserID), RequestOf(ctx).ID)
	switch {
	case err != nil:
		log.WarnContext(ctx, "limit not counted", "limit", l.name, "error", err)
		return nil
	case wait > 0:
		return errRate.After(wait)
	}
	return nil
}

// take counts one request. A block is an event of its own: until it has passed nothing is counted.
func (l limit) take(ctx context.Context, limits RequestLimiter, user, id string) (time.Duration, error) {
	if l.block == 0 {
		return limits.Take(ctx, l.name+":"+user, id, []otp.Window{l.window})
	}
	block, blocked := l.name+"-block:"+user, []otp.Window{{Max: 1, Per: l.block}}
	if wait, err := limits.Wait(ctx, block, blocked); err != nil || wait > 0 {
		return wait, err
	}
	wait, err := limits.Take(ctx, l.name+":"+user, id, []otp.Window{l.window})
	if err != nil || wait == 0 {
		return 0, err
	}
	_, err = limits.Take(ctx, block, id, blocked)
	return l.block, err
}
