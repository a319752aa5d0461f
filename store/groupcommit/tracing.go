package groupcommit

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"weelo/internal/ledger"
)

// tracedFlush is a flush's span and the commit spans of its traced transitions. A flush serves many
// traces, so it is the root of its own and linked with each; every traced transition has a child
// span "commit" in its own trace, linked with the flush.
type tracedFlush struct {
	ctx     context.Context //nolint:containedctx // lives as long as one function call
	flush   trace.Span
	commits []commitSpan
}

type commitSpan struct {
	span trace.Span
	at   int // index of its outcome
}

// trace starts the spans; when no transition is traced it costs one look at each.
func (w *Writer) trace(ctx context.Context, lane string, batch []*waiting, at []int) tracedFlush {
	tf := tracedFlush{ctx: ctx}
	var links []trace.Link
	for _, i := range at {
		if sc := batch[i].transition.Trace; sc.IsSampled() {
			links = append(links, trace.Link{SpanContext: sc})
		}
	}
	if len(links) == 0 {
		return tf
	}
	tf.ctx, tf.flush = w.tracer.Start(ctx, "ledger.flush", trace.WithNewRoot(), trace.WithLinks(links...),
		trace.WithAttributes(attribute.String("ledger.lane", lane), attribute.Int("ledger.size", len(at))))
	for _, i := range at {
		t := batch[i].transition
		if !t.Trace.IsSampled() {
			continue
		}
		_, span := w.tracer.Start(trace.ContextWithSpanContext(ctx, t.Trace), "commit",
			trace.WithTimestamp(batch[i].since), trace.WithLinks(trace.Link{SpanContext: tf.flush.SpanContext()}),
			trace.WithAttributes(attribute.String("ledger.kind", string(t.Ref.Kind)), attribute.Int64("ledger.version", t.Version)))
		tf.commits = append(tf.commits, commitSpan{span: span, at: i})
	}
	return tf
}

func (tf tracedFlush) end(outcomes []ledger.Outcome) {
	for _, c := range tf.commits {
		o := outcomes[c.at]
		c.span.SetAttributes(attribute.String("ledger.outcome", o.Status.String()))
		if o.Err != nil {
			c.span.SetStatus(codes.Error, o.Status.String())
		}
		c.span.End()
	}
	if tf.flush != nil {
		tf.flush.End()
	}
}
