package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// offsetClock is this machine's clock corrected by its distance to the database's, which is the clock
// that deadlines in rows are compared with. On SQLite both are the same.
type offsetClock struct {
	ask    func(context.Context) (time.Time, error)
	offset atomic.Int64 // nanoseconds to add
}

// How often the offset is measured, how far apart the clocks may be before a start says so, and before this
// task stops taking new work.
const (
	offsetEvery   = 10 * time.Second
	offsetWarning = time.Second
	offsetLimit   = 5 * time.Second
)

// Now is the corrected time.
func (c *offsetClock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// measure asks once. Half of the round trip is taken as the way back.
func (c *offsetClock) measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	sent := time.Now()
	theirs, err := c.ask(ctx)
	if err != nil {
		return err
	}
	round := time.Since(sent)
	if round > time.Second {
		return nil // too slow to mean anything
	}
	offset := theirs.Sub(sent.Add(round / 2))
	if offset.Abs() < time.Millisecond {
		offset = 0
	}
	c.offset.Store(int64(offset))
	return nil
}

// Run measures until ctx ends. A database that does not answer leaves the last offset in force.
func (c *offsetClock) Run(ctx context.Context) error {
	tick := time.NewTicker(offsetEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			_ = c.measure(ctx) // health names a database that does not answer
		}
	}
}

// check fails readiness when the clocks are too far apart.
func (c *offsetClock) check(context.Context) error {
	if d := time.Duration(c.offset.Load()); d.Abs() > offsetLimit {
		return fmt.Errorf("this machine's clock is %v away from the database's", d)
	}
	return nil
}
