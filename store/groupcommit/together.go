package groupcommit

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"weelo/internal/ledger"
)

var _ ledger.JointWriter = (*Writer)(nil)

// CommitTogether implements ledger.JointWriter: one transaction for all of ts, which never joins a
// flush. It waits its turn for at most MaxWait behind other joint transactions, of which as many wait
// as transitions may wait for a flush; one more fails with ErrBusy. A context that ends after the call has
// begun is ignored: what was sent cannot be taken back.
func (w *Writer) CommitTogether(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	if len(ts) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return ledger.Everyone(len(ts), failed(err))
	}
	if at, err := ledger.CheckTogether(ts); err != nil {
		return ledger.Blame(len(ts), at, failed(err))
	}
	if err := w.enter(); err != nil {
		return ledger.Everyone(len(ts), failed(err))
	}
	defer w.leave()
	since := time.Now()
	late := time.NewTimer(w.config.MaxWait)
	defer late.Stop()
	select {
	case w.turns <- struct{}{}:
		defer func() { <-w.turns }()
	case <-late.C:
		return ledger.Everyone(len(ts), failed(ledger.ErrBusy))
	}
	return w.together(batchOf(ctx, ts, since), since)
}

// enter counts a joint transaction in.
func (w *Writer) enter() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return ErrClosed
	case w.joints >= w.config.Limits.Queue:
		return ledger.ErrBusy
	}
	w.joints++
	w.active.Add(1)
	return nil
}

func (w *Writer) leave() {
	w.mu.Lock()
	w.joints--
	w.mu.Unlock()
	w.active.Done()
}

// batchOf gives transitions the form in which flushes are traced.
func batchOf(ctx context.Context, ts []ledger.Transition, since time.Time) []*waiting {
	span := trace.SpanContextFromContext(ctx)
	batch := make([]*waiting, len(ts))
	for i, t := range ts {
		if !t.Trace.IsValid() {
			t.Trace = span
		}
		batch[i] = &waiting{transition: t, since: since}
	}
	return batch
}

// together runs the transaction and tells the observer.
func (w *Writer) together(batch []*waiting, since time.Time) []ledger.Outcome {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), w.config.Timeout)
	defer cancel()
	ts, at := make([]ledger.Transition, len(batch)), make([]int, len(batch))
	for i, item := range batch {
		ts[i], at[i] = item.transition, i
	}
	traced := w.trace(ctx, "joint", batch, at)
	outcomes := guarded(traced.ctx, w.config.Together, ts)
	traced.end(outcomes)
	if w.config.Observe != nil {
		stats := ledger.Flush{Lane: "joint", Size: len(ts), Waited: began.Sub(since), Took: time.Since(began)}
		for _, o := range outcomes {
			stats.Statuses[o.Status]++
		}
		w.config.Observe(stats)
	}
	return outcomes
}
