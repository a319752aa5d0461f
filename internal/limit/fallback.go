package limit

import (
	"context"
	"log/slog"
	"time"
)

// Fallback counts in a shared store and, while that is away, in this process: each task then allows as
// much as all of them did. For limits that protect the service and guard no secret.
type Fallback struct {
	Shared Limiter
	Local  Limiter
	Log    *slog.Logger
}

var _ Limiter = Fallback{}

// Take implements Limiter.
func (f Fallback) Take(ctx context.Context, l Limit, key string) (time.Duration, error) {
	wait, err := f.Shared.Take(ctx, l, key)
	if err == nil {
		return wait, nil
	}
	f.away(ctx, l, err)
	return f.Local.Take(ctx, l, key)
}

// Wait implements Limiter.
func (f Fallback) Wait(ctx context.Context, l Limit, key string) (time.Duration, error) {
	wait, err := f.Shared.Wait(ctx, l, key)
	if err == nil {
		return wait, nil
	}
	f.away(ctx, l, err)
	return f.Local.Wait(ctx, l, key)
}

// Return implements Limiter.
func (f Fallback) Return(ctx context.Context, l Limit, key string) error {
	if err := f.Shared.Return(ctx, l, key); err != nil {
		f.away(ctx, l, err)
		return f.Local.Return(ctx, l, key)
	}
	return nil
}

func (f Fallback) away(ctx context.Context, l Limit, err error) {
	f.Log.DebugContext(ctx, "a limit is counted by this process alone", "limit", l.Name, "error", err)
}
