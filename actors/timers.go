package actors

import (
	"context"
	"log/slog"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/ledger"
)

// clock arms an activation's timer rows in memory. The rows are the truth: an activation that never
// comes costs a delay of at most the Sweeper's.
type clock struct {
	self  *Self
	now   func() time.Time
	armed map[string]armed
}

type armed struct {
	number int64
	timer  *time.Timer
}

// load replaces everything by the rows.
func (c *clock) load(rows []ledger.Timer) {
	c.stop()
	for _, r := range rows {
		c.arm(r.Name, r.Due, r.Number)
	}
}

// change follows a committed transition.
func (c *clock) change(changes []ledger.TimerChange) {
	for _, t := range changes {
		c.cancel(t.Name)
		if !t.Due.IsZero() {
			c.arm(t.Name, t.Due, t.Number)
		}
	}
}

func (c *clock) arm(name string, due time.Time, number int64) {
	wait := max(0, due.Sub(c.now()))
	c.armed[name] = armed{number: number, timer: c.self.After(wait, protocol.TimerDue{Name: name, Number: number})}
}

func (c *clock) cancel(name string) {
	if a, ok := c.armed[name]; ok {
		a.timer.Stop()
		delete(c.armed, name)
	}
}

func (c *clock) stop() {
	for name := range c.armed {
		c.cancel(name)
	}
}

func (c *clock) isArmed(m protocol.TimerDue) bool {
	a, ok := c.armed[m.Name]
	return ok && a.number == m.Number
}

const (
	// OverdueAfter is how late a timer row must be before the sweeper routes it: its own activation
	// comes first.
	OverdueAfter = 2 * time.Second
	sweepTimers  = time.Second
	sweepLimit   = 256
	sweepQuery   = 5 * time.Second
)

// Sweeper routes timers that are overdue, because their actor was never activated, has left memory
// or died with its task. One per task; several do the same work twice, which is harmless.
type Sweeper struct {
	Timers ledger.Timers
	Router Router
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger
}

// Run sweeps every second until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepTimers)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.sweep(ctx)
		}
	}
}

func (s *Sweeper) sweep(ctx context.Context) {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	query, cancel := context.WithTimeout(ctx, sweepQuery)
	defer cancel()
	overdue, err := s.Timers.Overdue(query, now().Add(-OverdueAfter), sweepLimit)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.WarnContext(ctx, "overdue timers not read", "error", err)
		}
		return
	}
	for _, t := range overdue {
		to := Address{Kind: string(t.Ref.Kind), ID: t.Ref.ID}
		if err := s.Router.Tell(ctx, to, protocol.TimerDue{Name: t.Name, Number: t.Number}); err != nil {
			s.Log.WarnContext(ctx, "overdue timer not delivered", "to", to.String(), "timer", t.Name, "error", err)
		}
	}
}
