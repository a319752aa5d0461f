package chaostest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"weelo/internal/ledger"
)

// Loss is what an experiment with kills found.
type Loss struct {
	Kills   int
	Acked   int // steps answered Committed
	Lost    int // of these, not in the history at the end
	Unknown int // steps answered Unknown
	Partial int // batches of which only a part was there afterwards
	Gaps    int // aggregates or inboxes whose numbers are not dense
}

func (l Loss) String() string {
	return fmt.Sprintf("%d kills: %d acknowledged, %d of them lost, %d unknown, %d partial batches, %d gaps",
		l.Kills, l.Acked, l.Lost, l.Unknown, l.Partial, l.Gaps)
}

const (
	crews       = 2  // as many as flushes run at a time, so that each call is a batch of its own
	perBatch    = 12 // trips of one crew, all stepped in each call
	roundsApart = 25 // acknowledged batches between two kills
)

// crew steps its trips together, a batch each time.
type crew struct {
	name   string
	trips  []ledger.Transition
	acked  []string // ids of events of steps that were answered Committed
	loss   *Loss    // its own, added up at the end
	rounds *atomic.Int64
}

// KillUnderLoad steps trips in batches while the store is killed and started again, then compares
// what was acknowledged with what is there.
func KillUnderLoad(t testing.TB, b Backend, kills int) Loss {
	t.Helper()
	ctx, cancel := within(t)
	defer cancel()
	var rounds atomic.Int64
	working, stop := context.WithCancel(ctx)
	defer stop()
	var done sync.WaitGroup
	all := make([]*crew, crews)
	for i := range all {
		all[i] = &crew{name: fmt.Sprint("crew", i), loss: &Loss{}, rounds: &rounds}
		all[i].found(t, ctx, b)
		done.Go(func() { all[i].work(t, ctx, working, b) })
	}
	total := Loss{Kills: kills}
	for k := range kills {
		target := int64((k + 1) * roundsApart)
		if err := eventually(ctx, func() error {
			if rounds.Load() < target && !t.Failed() {
				return fmt.Errorf("%d batches acknowledged, waiting for %d", rounds.Load(), target)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		b.Kill()
	}
	stop()
	done.Wait()
	for _, c := range all {
		c.check(t, ctx, b)
		total.Acked += len(c.acked)
		total.Lost += c.loss.Lost
		total.Unknown += c.loss.Unknown
		total.Partial += c.loss.Partial
		total.Gaps += c.loss.Gaps
	}
	return total
}

// found gives birth to the crew's trips and claims them.
func (c *crew) found(t testing.TB, ctx context.Context, b Backend) {
	t.Helper()
	for range perBatch {
		c.trips = append(c.trips, ledger.Transition{Ref: ledger.Ref{Kind: ledger.Trip, ID: uuid.NewString()}, State: json.RawMessage(`{"n":1}`), At: time.Now()})
	}
	for i, o := range b.Writer.Commit(ctx, c.trips) {
		if o.Status != ledger.Committed {
			t.Fatalf("birth %d: %v (%v)", i, o.Status, o.Err)
		}
	}
	c.reload(t, ctx, b)
}

// reload claims every trip, which may take until the store is back, and takes up where it stands.
func (c *crew) reload(t testing.TB, ctx context.Context, b Backend) {
	for i := range c.trips {
		tr := &c.trips[i]
		err := eventually(ctx, func() error {
			claimed, err := b.Claimer.Claim(ctx, tr.Ref, c.name)
			if err == nil {
				tr.Version, tr.Epoch = claimed.Version, claimed.Epoch
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			return
		}
	}
	// The trips of a crew only ever move together.
	for _, tr := range c.trips {
		if tr.Version != c.trips[0].Version {
			c.loss.Partial++
			break
		}
	}
}

func (c *crew) work(t testing.TB, ctx, working context.Context, b Backend) {
	for working.Err() == nil {
		batch := make([]ledger.Transition, len(c.trips))
		for i, tr := range c.trips {
			id := uuid.NewString()
			tr.At = time.Now()
			tr.State = json.RawMessage(fmt.Sprintf(`{"n":%d}`, tr.Version+1))
			tr.Events = []ledger.Event{{ID: id, Type: "moved", PayloadVersion: 1, At: tr.At, Data: json.RawMessage(`{}`), Recipients: []string{c.name, tr.Ref.ID}}}
			tr.Idem = &ledger.Idem{Scope: c.name, Key: id, Hash: "h", Reply: json.RawMessage(`{}`)}
			batch[i] = tr
		}
		committed := 0
		for i, o := range b.Writer.Commit(ctx, batch) {
			switch o.Status {
			case ledger.Committed:
				committed++
				c.acked = append(c.acked, batch[i].Events[0].ID)
				c.trips[i].Version++
			case ledger.Unknown:
				c.loss.Unknown++
			}
		}
		if committed == len(batch) {
			c.rounds.Add(1)
			continue
		}
		if committed > 0 {
			c.loss.Partial++
		}
		c.reload(t, ctx, b)
	}
}

// check compares what was acknowledged with the history, and looks for gaps.
func (c *crew) check(t testing.TB, ctx context.Context, b Backend) {
	t.Helper()
	c.reload(t, ctx, b)
	stored := make(map[string]bool)
	for _, tr := range c.trips {
		events := eventsOf(t, ctx, b, tr.Ref)
		dense := int64(len(events)) == tr.Version-1
		for i, e := range events {
			stored[e.Event.ID] = true
			dense = dense && e.Version == int64(i)+2
		}
		entries, err := b.Inbox.Read(ctx, tr.Ref.ID, 0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		dense = dense && len(entries) == len(events)
		for i, e := range entries {
			dense = dense && e.Seq == int64(i)+1
		}
		if !dense {
			c.loss.Gaps++
		}
	}
	for _, id := range c.acked {
		if !stored[id] {
			c.loss.Lost++
		}
	}
}

// eventsOf reads a history; the first connections after a kill may be dead ones.
func eventsOf(t testing.TB, ctx context.Context, b Backend, ref ledger.Ref) []ledger.Recorded {
	t.Helper()
	var err error
	for range 20 {
		var events []ledger.Recorded
		if events, err = b.History.Events(ctx, ref, 0, 1<<20); err == nil {
			return events
		}
	}
	t.Fatal(err)
	return nil
}

// EarlyAck is a writer that answers before the store has: the mechanism whose absence KillUnderLoad
// must notice. Close it before the store.
type EarlyAck struct {
	inner ledger.Writer
	queue chan []ledger.Transition
	done  chan struct{}
}

// NewEarlyAck wraps a writer.
func NewEarlyAck(inner ledger.Writer) *EarlyAck {
	w := &EarlyAck{inner: inner, queue: make(chan []ledger.Transition, 64), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for ts := range w.queue {
			w.inner.Commit(context.Background(), ts)
		}
	}()
	return w
}

// Commit implements ledger.Writer, badly.
func (w *EarlyAck) Commit(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	outcomes := make([]ledger.Outcome, len(ts))
	if ts[0].Version == 0 {
		return w.inner.Commit(ctx, ts)
	}
	for i := range outcomes {
		outcomes[i].Status = ledger.Committed
	}
	w.queue <- ts
	return outcomes
}

// Close waits for what is queued.
func (w *EarlyAck) Close() {
	close(w.queue)
	<-w.done
}
