package history

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// traced is a commit's span and the spans of its traced batches. A commit serves many traces, so it
// is the root of its own and linked with each; every traced batch has a child span "record" in its
// own trace, linked with the commit. A group without a traced batch has none of it.
type traced struct {
	flush   trace.Span
	batches []trace.Span
}

// trace starts the spans; untraced it costs one look at each batch.
func (r *Recorder) trace(ctx context.Context, group []*job) (context.Context, traced) {
	var links []trace.Link
	for _, j := range group {
		if j.span.IsSampled() {
			links = append(links, trace.Link{SpanContext: j.span})
		}
	}
	if len(links) == 0 {
		return ctx, traced{}
	}
	within, flush := r.cfg.Tracer.Start(ctx, "history.flush", trace.WithNewRoot(), trace.WithLinks(links...),
		trace.WithAttributes(attribute.Int("history.batches", len(group))))
	t := traced{flush: flush}
	for _, j := range group {
		if !j.span.IsSampled() {
			continue
		}
		_, span := r.cfg.Tracer.Start(trace.ContextWithSpanContext(ctx, j.span), "record", trace.WithTimestamp(j.at),
			trace.WithLinks(trace.Link{SpanContext: flush.SpanContext()}), trace.WithAttributes(attribute.Int("history.fixes", len(j.fixes))))
		t.batches = append(t.batches, span)
	}
	return within, t
}

func (t traced) end(err error) {
	for _, span := range t.batches {
		if err != nil {
			span.SetStatus(codes.Error, "not committed")
		}
		span.End()
	}
	if t.flush != nil {
		t.flush.End()
	}
}
