package groupcommit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"weelo/internal/ledger"
	"weelo/store/groupcommit"
)

// slow is a store whose flush takes some time and remembers what it was given.
type slow struct {
	takes time.Duration
	mu    sync.Mutex
	calls [][]string
}

func (s *slow) flush(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	ids := make([]string, len(ts))
	outcomes := make([]ledger.Outcome, len(ts))
	for i, t := range ts {
		ids[i], outcomes[i].Status = t.Ref.ID, ledger.Committed
	}
	s.mu.Lock()
	s.calls = append(s.calls, ids)
	s.mu.Unlock()
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		for i := range outcomes {
			outcomes[i] = ledger.Outcome{Err: ctx.Err()}
		}
	}
	return outcomes
}

func config(s *slow) groupcommit.Config {
	return groupcommit.Config{
		Limits:  ledger.Limits{MaxBatch: 4, MaxBytes: 1 << 20, Flushes: 1, Queue: 10},
		Plain:   s.flush,
		Timeout: 5 * time.Second,
		MaxWait: 2 * time.Second,
	}
}

func step(id string) ledger.Transition {
	return ledger.Transition{Ref: ledger.Ref{Kind: ledger.Trip, ID: id}, Version: 1, Epoch: 1, State: []byte(`{}`), At: time.Unix(1, 0)}
}

// callers commits one transition each, at once, and gives the outcomes.
func callers(w *groupcommit.Writer, n int, outcomes []ledger.Outcome) *sync.WaitGroup {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { outcomes[i] = w.Commit(context.Background(), []ledger.Transition{step(fmt.Sprint(i))})[0] })
	}
	return &wg
}

func tally(os []ledger.Outcome) map[string]int {
	m := map[string]int{}
	for _, o := range os {
		m[o.Status.String()]++
	}
	return m
}

func TestCallersShareFlushes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: 10 * time.Millisecond}
		var observed []ledger.Flush
		c := config(s)
		c.Observe = func(f ledger.Flush) { observed = append(observed, f) }
		w := groupcommit.New(c)
		outcomes := make([]ledger.Outcome, 9)
		began := time.Now()
		callers(w, 9, outcomes).Wait()
		if got := tally(outcomes); got["committed"] != 9 {
			t.Errorf("outcomes %v", got)
		}
		// One that found nobody before it, then two full batches: nobody lingers.
		if took := time.Since(began); took != 30*time.Millisecond || len(s.calls) != 3 {
			t.Errorf("nine callers took %v in %d flushes: %v", took, len(s.calls), s.calls)
		}
		last := observed[2]
		if last.Lane != "plain" || last.Size != 4 || last.Took != 10*time.Millisecond || last.Waited != 20*time.Millisecond || last.Statuses[ledger.Committed] != 4 {
			t.Errorf("observed %+v", last)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := groupcommit.New(config(&slow{takes: 500 * time.Millisecond}))
		outcomes := make([]ledger.Outcome, 15)
		wg := callers(w, 15, outcomes)
		synctest.Wait()
		if w.Depth() != 9 {
			t.Errorf("%d wait behind the first", w.Depth())
		}
		wg.Wait()
		busy := 0
		for _, o := range outcomes {
			if errors.Is(o.Err, ledger.ErrBusy) && o.Status == ledger.Failed {
				busy++
			}
		}
		if busy != 5 {
			t.Errorf("room for ten: %d of 15 were refused: %v", busy, tally(outcomes))
		}
	})
}

func TestWaitingTooLongFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: 1500 * time.Millisecond}
		w := groupcommit.New(config(s))
		outcomes := make([]ledger.Outcome, 10)
		callers(w, 10, outcomes).Wait()
		// The first at once, four after 1.5 s; the rest would start after 3 s.
		if got := tally(outcomes); got["committed"] != 5 || got["failed"] != 5 || len(s.calls) != 2 {
			t.Errorf("outcomes %v in %d flushes", got, len(s.calls))
		}
	})
}

func TestFlushHasADeadlineAndCallersHaveNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := groupcommit.New(config(&slow{takes: time.Hour}))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began := time.Now()
		o := w.Commit(ctx, []ledger.Transition{step("a")})[0]
		if took := time.Since(began); took != 5*time.Second || o.Status != ledger.Unknown {
			t.Errorf("answered %v after %v, want unknown after the flush's 5 s", o.Status, took)
		}
	})
}

func TestPanicOfTheStoreIsUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := config(&slow{})
		c.Plain = func(context.Context, []ledger.Transition) []ledger.Outcome { panic("boom") }
		o := groupcommit.New(c).Commit(t.Context(), []ledger.Transition{step("a")})[0]
		if o.Status != ledger.Unknown || o.Err == nil {
			t.Errorf("answered %v (%v)", o.Status, o.Err)
		}
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := groupcommit.New(config(&slow{takes: time.Second}))
		outcomes := make([]ledger.Outcome, 3)
		wg := callers(w, 3, outcomes)
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := w.Close(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close with work under way and no time: %v", err)
		}
		if o := w.Commit(t.Context(), []ledger.Transition{step("x")})[0]; !errors.Is(o.Err, groupcommit.ErrClosed) || o.Status != ledger.Failed {
			t.Errorf("after close: %v (%v)", o.Status, o.Err)
		}
		if err := w.Close(t.Context()); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if got := tally(outcomes); got["committed"] != 3 {
			t.Errorf("what was accepted before close: %v", got)
		}
	})
}

func TestContendedStepsFlyAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plain, alone := &slow{takes: time.Second}, &slow{takes: time.Second}
		c := config(plain)
		c.Alone, c.Limits.Alone = alone.flush, 2
		ts := []ledger.Transition{step("a"), step("b"), step("c"), step("d")}
		ts[1].Contended, ts[2].Version, ts[3].Contended = true, 0, true
		began := time.Now()
		outcomes := groupcommit.New(c).Commit(t.Context(), ts)
		if took := time.Since(began); took != 2*time.Second || tally(outcomes)["committed"] != 4 {
			t.Errorf("%v after %v", tally(outcomes), took)
		}
		if diff := cmp.Diff([][]string{{"a"}}, plain.calls); diff != "" {
			t.Errorf("plain lane:\n%s", diff)
		}
		if len(alone.calls) != 3 {
			t.Errorf("contended lane: %v", alone.calls)
		}
	})
}

func TestSpans(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	c := config(&slow{})
	c.Tracer = provider
	w := groupcommit.New(c)

	w.Commit(t.Context(), []ledger.Transition{step("untraced")})
	if n := len(recorder.Ended()); n != 0 {
		t.Fatalf("an untraced transition made %d spans", n)
	}
	ctx, parent := provider.Tracer("test").Start(t.Context(), "actor")
	_, other := provider.Tracer("test").Start(t.Context(), "other")
	explicit := step("explicit")
	explicit.Trace = other.SpanContext()
	w.Commit(ctx, []ledger.Transition{step("by context"), explicit})

	var flush sdktrace.ReadOnlySpan
	commits := map[trace.TraceID]sdktrace.ReadOnlySpan{}
	for _, s := range recorder.Ended() {
		switch s.Name() {
		case "ledger.flush":
			flush = s
		case "commit":
			commits[s.SpanContext().TraceID()] = s
		}
	}
	if flush == nil || flush.Parent().IsValid() || len(flush.Links()) != 2 {
		t.Fatalf("flush span %v must be a root with two links", flush)
	}
	for _, p := range []trace.Span{parent, other} {
		s := commits[p.SpanContext().TraceID()]
		if s == nil || s.Parent().SpanID() != p.SpanContext().SpanID() {
			t.Fatalf("no commit below %v: %v", p.SpanContext().SpanID(), s)
		}
		if len(s.Links()) != 1 || s.Links()[0].SpanContext.SpanID() != flush.SpanContext().SpanID() {
			t.Errorf("commit is linked with %v, want the flush", s.Links())
		}
	}
}

// BenchmarkUntraced: the cost of the group commit itself, without a store or a trace.
func BenchmarkUntraced(b *testing.B) {
	c := config(&slow{})
	c.Plain = func(_ context.Context, ts []ledger.Transition) []ledger.Outcome {
		return make([]ledger.Outcome, len(ts))
	}
	w := groupcommit.New(c)
	ts := []ledger.Transition{step("a")}
	for b.Loop() {
		w.Commit(b.Context(), ts)
	}
}
