package actors

import (
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
