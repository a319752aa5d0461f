package notify

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weelo/internal/ledger"
)

const (
	courierEvery    = 500 * time.Millisecond
	courierLimit    = 32
	courierParallel = 8
	courierTry      = 5 * time.Second // bounds one try of one message
	courierQuery    = 5 * time.Second
	courierLease    = 30 * time.Second // nobody else has it meanwhile; longer than a round
	courierBegin    = 5 * time.Second  // what a round has not begun by then it gives back: others wait
	courierFirst    = time.Second
	courierWorst    = 5 * time.Minute // the longest back-off
)

// Courier takes the durable messages of one channel out of the outbox and has them delivered, until they
// are, or can never be, or their deadline is over. One per channel and task.
//
// Invariants: after its deadline a message is not begun, and one that was begun before is given up at
// it; one that its provider wants to be asked about later is not tried sooner; of one person's messages one is under way at a time, the older first; a message is crossed off
// after it was delivered, so an unknown outcome (a crash in between, a lease that ran out) makes a
// second one, and nothing else does.
type Courier struct {
	Outbox  ledger.Outbox
	Channel string
	// Deliver hands one message over; it returns nil when it is settled, an ErrHopeless, or another
	// error to be called again later: a NotBefore no sooner than it says, and if that is after the
	// deadline, not at all.
	Deliver func(ctx context.Context, m ledger.Message) error
	Now     func() time.Time // the clock of deadlines: the outbox's
	Log     *slog.Logger
	Count   *prometheus.CounterVec // by channel and outcome (CourierCounter); nil: not counted
}

// CourierCounter counts what couriers do, for all channels.
func CourierCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weelo_courier_messages_total", Help: "Durable messages to people, by channel and what became of a try.",
	}, []string{"channel", "outcome"})
}

// Run delivers until ctx ends; what is under way then is finished.
func (c *Courier) Run(ctx context.Context) error {
	tick := time.NewTicker(courierEvery)
	defer tick.Stop()
	for {
		if c.round(ctx) < courierLimit { // a full round has more behind it
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// round delivers what is due and tells how many messages that were.
func (c *Courier) round(ctx context.Context) int {
	begun := c.Now()
	query, cancel := context.WithTimeout(ctx, courierQuery)
	pending, err := c.Outbox.Take(query, []string{c.Channel}, begun, courierLease, courierLimit)
	cancel()
	if err != nil {
		if ctx.Err() == nil {
			c.Log.WarnContext(ctx, "messages to people not read", "channel", c.Channel, "error", err)
		}
		return 0
	}
	persons := make(map[string][]ledger.Pending)
	var order []string
	for _, p := range pending {
		if persons[p.To] == nil {
			order = append(order, p.To)
		}
		persons[p.To] = append(persons[p.To], p)
	}
	last := begun.Add(courierBegin)
	free := make(chan struct{}, courierParallel)
	var all sync.WaitGroup
	for _, to := range order {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			for _, p := range persons[to] {
				if ctx.Err() != nil || c.Now().After(last) {
					c.giveBack(context.WithoutCancel(ctx), p, c.Now())
					continue
				}
				c.deliver(context.WithoutCancel(ctx), p)
			}
		})
	}
	all.Wait()
	return len(pending)
}

func (c *Courier) deliver(ctx context.Context, p ledger.Pending) {
	now := c.Now()
	limit := courierTry
	if !p.Deadline.IsZero() {
		limit = min(limit, p.Deadline.Sub(now))
	}
	if limit <= 0 {
		c.settle(ctx, p, "expired")
		return
	}
	once, cancel := context.WithTimeout(ctx, limit)
	err := c.Deliver(once, p.Message)
	cancel()
	switch {
	case err == nil:
		c.settle(ctx, p, "settled")
	case errors.Is(err, ErrHopeless):
		c.Log.ErrorContext(ctx, "message to a person given up", "channel", c.Channel, "type", p.Type, "user_id", p.To, "id", p.ID, "error", err)
		c.settle(ctx, p, "hopeless")
	default:
		c.later(ctx, p, err)
	}
}

func (c *Courier) settle(ctx context.Context, p ledger.Pending, outcome string) {
	c.count(outcome)
	ctx, cancel := context.WithTimeout(ctx, courierQuery)
	defer cancel()
	if err := c.Outbox.Done(ctx, p.ID); err != nil {
		c.Log.WarnContext(ctx, "message to a person not crossed off; it may come twice", "channel", c.Channel, "id", p.ID, "error", err)
	}
}

func (c *Courier) later(ctx context.Context, p ledger.Pending, why error) {
	wait, told := courierBackoff(p.Attempts), WaitOf(why)
	if wait = max(wait, told); told > 0 && !p.Deadline.IsZero() && !c.Now().Add(wait).Before(p.Deadline) {
		c.Log.WarnContext(ctx, "message to a person given up: its provider wants to be left alone beyond the deadline",
			"channel", c.Channel, "type", p.Type, "user_id", p.To, "id", p.ID, "attempt", p.Attempts+1, "error", why)
		c.settle(ctx, p, "expired")
		return
	}
	c.count("later")
	c.Log.WarnContext(ctx, "message to a person not delivered yet", "channel", c.Channel, "type", p.Type, "user_id", p.To, "id", p.ID,
		"attempt", p.Attempts+1, "again_in", wait, "error", why)
	c.giveBack(ctx, p, c.Now().Add(wait))
}

func (c *Courier) giveBack(ctx context.Context, p ledger.Pending, until time.Time) {
	ctx, cancel := context.WithTimeout(ctx, courierQuery)
	defer cancel()
	if err := c.Outbox.Later(ctx, p.ID, until); err != nil {
		c.Log.WarnContext(ctx, "message to a person not given back; its lease will run out", "channel", c.Channel, "id", p.ID, "error", err)
	}
}

func (c *Courier) count(outcome string) {
	if c.Count != nil {
		c.Count.WithLabelValues(c.Channel, outcome).Inc()
	}
}

// courierBackoff doubles from a second to five minutes, and is up to a quarter shorter, so that what
// failed together does not come again together.
func courierBackoff(attempts int) time.Duration {
	wait := min(courierWorst, courierFirst<<min(attempts, 10))
	return wait - rand.N(wait/4) //nolint:gosec // spreads retries; no secret
}
