package sqlite

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// span starts a span of this store below one that is being recorded, by that one's provider. Outside
// a recorded trace it costs a look at the context.
func span(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, func()) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, func() {}
	}
	ctx, s := parent.TracerProvider().Tracer("weelo/store/sqlite").Start(ctx, name,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(append(attributes, attribute.String("db.system.name", "sqlite"))...))
	return ctx, func() { s.End() }
}
