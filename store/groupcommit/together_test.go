package groupcommit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"weelo/internal/ledger"
	"weelo/store/groupcommit"
)

// jointConfig is a writer whose joint transactions take as long as s does, two at a time.
func jointConfig(s *slow) groupcommit.Config {
	c := config(s)
	c.Together, c.Joint = s.flush, 2
	return c
}

func together(w *groupcommit.Writer, ids ...string) []ledger.Outcome {
	ts := make([]ledger.Transition, len(ids))
	for i, id := range ids {
		ts[i] = step(id)
	}
	return w.CommitTogether(context.Background(), ts)
}

// many starts n joint transactions at once and gives the first outcome of each.
func many(w *groupcommit.Writer, n int, outcomes []ledger.Outcome) *sync.WaitGroup {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { outcomes[i] = together(w, "a", "b")[0] })
	}
	return &wg
}

func TestJointTransactionsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: 10 * time.Millisecond}
		var mu sync.Mutex
		var observed []ledger.Flush
		c := jointConfig(s)
		c.Observe = func(f ledger.Flush) {
			mu.Lock()
			defer mu.Unlock()
			observed = append(observed, f)
		}
		w := groupcommit.New(c)
		outcomes := make([]ledger.Outcome, 5)
		began := time.Now()
		many(w, 5, outcomes).Wait()
		if got := tally(outcomes); got["committed"] != 5 || time.Since(began) != 30*time.Millisecond {
			t.Errorf("five, two at a time: %v after %v", got, time.Since(began))
		}
		for _, call := range s.calls {
			if len(call) != 2 {
				t.Errorf("a joint transaction was written as %v", call)
			}
		}
		last := observed[4]
		if last.Lane != "joint" || last.Size != 2 || last.Took != 10*time.Millisecond || last.Waited != 20*time.Millisecond || last.Statuses[ledger.Committed] != 2 {
			t.Errorf("observed %+v", last)
		}
	})
}

// Whoever waits too long, or finds too many before him, is told so and nothing is tried.
func TestJointTransactionsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: 1500 * time.Millisecond}
		w := groupcommit.New(jointConfig(s))
		outcomes := make([]ledger.Outcome, 12) // room for ten; two run, two more come in time
		many(w, 12, outcomes).Wait()
		busy := 0
		for _, o := range outcomes {
			if o.Status == ledger.Failed && errors.Is(o.Err, ledger.ErrBusy) {
				busy++
			}
		}
		if got := tally(outcomes); got["committed"] != 4 || busy != 8 || len(s.calls) != 4 {
			t.Errorf("%v, %d busy, %d tried", got, busy, len(s.calls))
		}
	})
}

func TestCloseWaitsForJointTransactions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := groupcommit.New(jointConfig(&slow{takes: time.Second}))
		outcomes := make([]ledger.Outcome, 1)
		wg := many(w, 1, outcomes)
		synctest.Wait()
		began := time.Now()
		if err := w.Close(t.Context()); err != nil || time.Since(began) != time.Second {
			t.Errorf("closed after %v (%v)", time.Since(began), err)
		}
		wg.Wait()
		if outcomes[0].Status != ledger.Committed {
			t.Errorf("what was under way: %v", outcomes[0].Status)
		}
		if o := together(w, "a", "b")[1]; o.Status != ledger.Failed || !errors.Is(o.Err, groupcommit.ErrClosed) {
			t.Errorf("after close: %v (%v)", o.Status, o.Err)
		}
	})
}

// A store that panics, or does not answer in time, leaves the outcome of the whole unknown.
func TestJointTransactionOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := jointConfig(&slow{takes: time.Minute})
		w := groupcommit.New(c)
		began := time.Now()
		if got := tally(together(w, "a", "b")); got["unknown"] != 2 || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", got, time.Since(began))
		}
		c.Together = func(context.Context, []ledger.Transition) []ledger.Outcome { panic("planted") }
		w = groupcommit.New(c)
		for range 3 { // the turns are given back
			if got := tally(together(w, "a", "b")); got["unknown"] != 2 {
				t.Errorf("a store that panics: %v", got)
			}
		}
	})
}

// A caller who leaves in the middle takes nothing back.
func TestJointTransactionOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := groupcommit.New(jointConfig(&slow{takes: time.Second}))
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if o := w.CommitTogether(ctx, []ledger.Transition{step("a"), step("b")})[0]; o.Status != ledger.Committed {
			t.Errorf("%v (%v)", o.Status, o.Err)
		}
	})
}

func TestJointTransactionIsTraced(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	c := jointConfig(&slow{})
	c.Tracer = provider
	ctx, parent := provider.Tracer("test").Start(context.Background(), "caller")
	groupcommit.New(c).CommitTogether(ctx, []ledger.Transition{step("a"), step("b")})
	parent.End()
	commits := 0
	for _, s := range spans.Ended() {
		if s.Name() == "commit" && s.Parent().SpanID() == parent.SpanContext().SpanID() {
			commits++
		}
	}
	if commits != 2 {
		t.Errorf("%d of two commits are children of their caller's span", commits)
	}
}
