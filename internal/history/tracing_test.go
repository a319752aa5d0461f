package history

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"weelo/internal/track"
)

// TestATracedBatchIsFoundInItsTraceAndInTheCommit: the batch's own trace has a span of the recording,
// which leads to the commit that it shared with others, and back.
func TestATracedBatchIsFoundInItsTraceAndInTheCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		spans := tracetest.NewSpanRecorder()
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
		m := newModel()
		openTrip(m, time.Now().Add(-time.Hour))
		r, err := NewRecorder(m, m, time.Now, slog.New(slog.DiscardHandler), Config{Tracer: tracer})
		if err != nil {
			t.Fatal(err)
		}
		run, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = r.Run(run) }()
		begin := time.Now()
		if _, err := r.Record(t.Context(), member, "", []track.Fix{fixAt(begin, begin)}); err != nil {
			t.Fatal(err)
		}
		if n := len(spans.Ended()); n != 0 {
			t.Errorf("an untraced batch made %d spans", n)
		}
		ctx, request := tracer.Start(t.Context(), "request")
		if _, err := r.Record(ctx, member, "", []track.Fix{fixAt(begin, begin.Add(time.Second))}); err != nil {
			t.Fatal(err)
		}
		byName := map[string]sdktrace.ReadOnlySpan{}
		for _, s := range spans.Ended() {
			byName[s.Name()] = s
		}
		record, flush := byName["record"], byName["history.flush"]
		if record == nil || flush == nil || len(byName) != 2 {
			t.Fatalf("spans %v", byName)
		}
		if record.Parent().SpanID() != request.SpanContext().SpanID() || flush.Parent().IsValid() ||
			!linked(record, flush.SpanContext()) || !linked(flush, request.SpanContext()) {
			t.Errorf("record %+v, flush %+v", record, flush)
		}
	})
}

func linked(s sdktrace.ReadOnlySpan, to trace.SpanContext) bool {
	for _, l := range s.Links() {
		if l.SpanContext.SpanID() == to.SpanID() {
			return true
		}
	}
	return false
}
