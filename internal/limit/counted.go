package limit

import (
	"context"
	"time"
)

// Counted counts the refusals of a Limiter by name.
type Counted struct {
	Limiter
	Observer Observer
}

var _ Limiter = Counted{}

// Take implements Limiter.
func (c Counted) Take(ctx context.Context, l Limit, key string) (time.Duration, error) {
	wait, err := c.Limiter.Take(ctx, l, key)
	if err == nil && wait > 0 {
		c.Observer.LimitRefused(l.Name)
	}
	return wait, err
}
