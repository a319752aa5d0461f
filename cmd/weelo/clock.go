package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// offsetClock is this machine's clock corrected by its distance to a store's. The database's is the clock that
// deadlines in rows are compared with; on SQLite both are the same.
type offsetClock struct {
	whose string // as people call the store
	ask   func(context.Context) (time.Time, error)
	// rebuildable says that the store may be away for long: then nothing is held against its clock.
	rebuildable bool
	offset      atomic.Int64 // nanoseconds to add
}

// How often the offset is measured, how far apart the clocks may be before a start says so, and before this
// task stops taking new work.
const (
	offsetEvery   = 10 * time.Second
	offsetWarning = time.Second
	offsetLimit   = 5 * time.Second
)

// Now is the corrected time.
func (c *offsetClock) Now() time.Time { return time.Now().Add(c.apart()) }

// apart is how far ahead of this machine's the store's clock was when it was last asked.
func (c *offsetClock) apart() time.Duration { return time.Duration(c.offset.Load()) }

// measure asks once. Half of the round trip is taken as the way back.
func (c *offsetClock) measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	sent := time.Now()
	theirs, err := c.ask(ctx)
	if err != nil {
		if c.rebuildable {
			c.offset.Store(0)
		}
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
			_ = c.measure(ctx) // health names a store that does not answer
		}
	}
}

// begin measures for the first time and says so when the clocks are apart. A store that is needed has to answer.
func (c *offsetClock) begin(ctx context.Context, log *slog.Logger) error {
	if err := c.measure(ctx); err != nil && !c.rebuildable {
		return fmt.Errorf("the clock of %s: %w", c.whose, err)
	}
	if d := c.apart(); d.Abs() > offsetWarning {
		log.Warn("this machine's clock is not that of a store", "store", c.whose, "ahead", d.Round(time.Millisecond).String(), "not_ready_beyond", offsetLimit.String())
	}
	return nil
}

// check fails readiness when the clocks are too far apart.
func (c *offsetClock) check(context.Context) error {
	if d := c.apart(); d.Abs() > offsetLimit {
		return fmt.Errorf("this machine's clock is %v away from that of %s", d, c.whose)
	}
	return nil
}

// clocks are those of all stores that a deadline, a limit or a code is measured by.
type clocks []*offsetClock

// check fails readiness when any of them is too far away, and names each.
func (cs clocks) check(ctx context.Context) error {
	errs := make([]error, len(cs))
	for i, c := range cs {
		errs[i] = c.check(ctx)
	}
	return errors.Join(errs...)
}
