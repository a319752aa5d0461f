// Package groupcommit turns concurrent single transitions into few transactions. It runs the pure
// queue of internal/ledger with goroutines, time and traces, over a store that flushes.
//
// Invariants: Commit answers every transition, once, and only after its flush was answered. A
// transition that joined the queue is flushed even when its caller's context ends; each flush has a
// deadline of its own. Nothing is answered Committed that the store did not answer so.
package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"weelo/internal/ledger"
)

// FlushFunc makes transitions durable in one transaction and answers each at its index. It honours
// the context's deadline.
type FlushFunc func(ctx context.Context, ts []ledger.Transition) []ledger.Outcome

// Config is what a writer needs from its store and from those who watch it.
type Config struct {
	Limits ledger.Limits
	Plain  FlushFunc // steps of one aggregate each, many at a time
	Alone  FlushFunc // one step in a transaction of its own; nil: Plain
	// Together makes transitions durable in one transaction, all or none of them; as many calls run at
	// a time as Joint says, at least one.
	Together FlushFunc
	Joint    int
	Timeout  time.Duration
	MaxWait  time.Duration        // a transition that waited longer fails with ErrBusy
	Observe  func(ledger.Flush)   // may be nil; called after each flush, must not block
	Tracer   trace.TracerProvider // nil: the global one
}

// Writer is a group-committing ledger.Writer. It has no goroutine while nothing waits.
type Writer struct {
	config Config
	tracer trace.Tracer

	mu     sync.Mutex
	queue  *ledger.Queue
	items  map[uint64]*waiting
	next   uint64
	joints int // joint transactions that wait or run
	closed bool
	active sync.WaitGroup

	turns chan struct{} // holds a token for each joint transaction that runs
}

var _ ledger.Writer = (*Writer)(nil)

// waiting is one queued transition and where its outcome goes.
type waiting struct {
	transition ledger.Transition
	since      time.Time
	call       *call
	index      int
}

// call is one Commit under way.
type call struct {
	outcomes []ledger.Outcome
	left     int // guarded by Writer.mu
	done     chan struct{}
}

// New makes a writer.
func New(c Config) *Writer {
	provider := c.Tracer
	if provider == nil {
		provider = otel.GetTracerProvider()
	}
	if c.Alone == nil {
		c.Alone, c.Limits.Alone = c.Plain, 0
	}
	return &Writer{
		config: c, tracer: provider.Tracer("weelo/ledger"), queue: ledger.NewQueue(c.Limits),
		items: make(map[uint64]*waiting), turns: make(chan struct{}, max(1, c.Joint)),
	}
}

// Commit implements ledger.Writer. A context that has ended before the call changes nothing and
// fails every transition; one that ends later is ignored: what was sent cannot be taken back.
func (w *Writer) Commit(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	c := &call{outcomes: make([]ledger.Outcome, len(ts)), done: make(chan struct{})}
	if err := ctx.Err(); err != nil {
		for i := range c.outcomes {
			c.outcomes[i] = failed(err)
		}
		return c.outcomes
	}
	w.enqueue(ctx, c, ts)
	<-c.done
	return c.outcomes
}

func failed(err error) ledger.Outcome { return ledger.Outcome{Status: ledger.Failed, Err: err} }

func (w *Writer) enqueue(ctx context.Context, c *call, ts []ledger.Transition) {
	now := time.Now()
	span := trace.SpanContextFromContext(ctx)
	seen := make(map[ledger.Ref]bool, len(ts))
	valid := make([]int, 0, len(ts))
	for i, t := range ts {
		if err := t.Check(); err != nil {
			c.outcomes[i] = failed(err)
			continue
		}
		if seen[t.Ref] {
			c.outcomes[i] = failed(fmt.Errorf("%w: %s %s twice in one call", ledger.ErrMalformed, t.Ref.Kind, t.Ref.ID))
			continue
		}
		seen[t.Ref] = true
		valid = append(valid, i)
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		for _, i := range valid {
			c.outcomes[i] = failed(ErrClosed)
		}
		valid = nil
	}
	c.left = len(valid)
	if c.left == 0 {
		close(c.done)
		return
	}
	offered := make([]ledger.Item, 0, len(valid))
	for _, i := range valid {
		t := ts[i]
		if !t.Trace.IsValid() {
			t.Trace = span
		}
		w.next++
		w.items[w.next] = &waiting{transition: t, since: now, call: c, index: i}
		offered = append(offered, ledger.Item{ID: w.next, Ref: t.Ref, Bytes: t.Bytes(), Alone: t.Alone()})
	}
	w.stepLocked(ledger.Input{Offered: offered})
}

// ErrClosed is the Err of a Failed outcome after Close.
var ErrClosed = errors.New("ledger: the writer is closed")

// stepLocked feeds the queue and does what it says.
func (w *Writer) stepLocked(in ledger.Input) {
	starts, refused := w.queue.Step(in)
	for _, id := range refused {
		w.settleLocked(id, failed(ledger.ErrBusy))
	}
	for _, s := range starts {
		batch := make([]*waiting, len(s.Items))
		for i, id := range s.Items {
			batch[i] = w.items[id]
		}
		w.active.Add(1)
		go w.fly(s, batch)
	}
}

func (w *Writer) settleLocked(id uint64, o ledger.Outcome) {
	item := w.items[id]
	delete(w.items, id)
	item.call.outcomes[item.index] = o
	if item.call.left--; item.call.left == 0 {
		close(item.call.done)
	}
}

// fly runs one flush and reports it to the queue.
func (w *Writer) fly(s ledger.Start, batch []*waiting) {
	defer w.active.Done()
	outcomes := w.flush(s, batch)
	w.mu.Lock()
	defer w.mu.Unlock()
	// The queue goes first, so that whoever is answered finds room.
	w.stepLocked(ledger.Input{Done: s.Flush})
	for i, id := range s.Items {
		w.settleLocked(id, outcomes[i])
	}
}

// flush answers a batch: what waited too long fails, the rest goes to the store.
func (w *Writer) flush(s ledger.Start, batch []*waiting) []ledger.Outcome {
	began := time.Now()
	outcomes := make([]ledger.Outcome, len(batch))
	ts := make([]ledger.Transition, 0, len(batch))
	at := make([]int, 0, len(batch))
	stats := ledger.Flush{Lane: "plain"}
	run := w.config.Plain
	if s.Alone {
		stats.Lane, run = "alone", w.config.Alone
	}
	for i, item := range batch {
		waited := began.Sub(item.since)
		stats.Waited = max(stats.Waited, waited)
		if waited > w.config.MaxWait {
			outcomes[i] = failed(ledger.ErrBusy)
			continue
		}
		ts, at = append(ts, item.transition), append(at, i)
	}
	if len(ts) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), w.config.Timeout)
		defer cancel()
		traced := w.trace(ctx, stats.Lane, batch, at)
		answers := guarded(traced.ctx, run, ts)
		for i, o := range answers {
			outcomes[at[i]] = o
		}
		traced.end(outcomes)
	}
	stats.Size, stats.Took = len(batch), time.Since(began)
	if w.config.Observe != nil {
		for _, o := range outcomes {
			stats.Statuses[o.Status]++
		}
		w.config.Observe(stats)
	}
	return outcomes
}

// guarded turns a panic of the store into unknown outcomes: the actors stop and reload.
func guarded(ctx context.Context, run FlushFunc, ts []ledger.Transition) (answers []ledger.Outcome) {
	defer func() {
		if p := recover(); p != nil {
			answers = make([]ledger.Outcome, len(ts))
			for i := range answers {
				answers[i].Err = fmt.Errorf("ledger: the store panicked: %v", p)
			}
		}
	}()
	return run(ctx, ts)
}

// Close refuses new transitions and waits, at most until the context ends, for those that were
// accepted.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	done := make(chan struct{})
	go func() {
		w.active.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ledger: close: %w", ctx.Err())
	}
}

// Depth tells how many transitions wait for a flush.
func (w *Writer) Depth() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue.Waiting()
}
