package actors

import (
	"cmp"
	"context"
	"reflect"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// tracedBy is the sender's span context when it is sampled, and the zero value otherwise. Everything
// about tracing hangs on this one check: a message of an untraced sender is not even wrapped.
func tracedBy(ctx context.Context) trace.SpanContext {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() && sc.IsSampled() {
		return sc
	}
	return trace.SpanContext{}
}

// receiving starts the span of one traced message. For an untraced one it returns base and a nil span.
func (s *System) receiving(span trace.SpanContext, to Address, msg any) (context.Context, trace.Span) {
	if !span.IsValid() {
		return s.base, nil
	}
	ctx := trace.ContextWithRemoteSpanContext(s.base, span)
	return s.tracer.Start(ctx, to.Kind+" "+messageName(msg),
		trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("weelo.actor.kind", to.Kind), attribute.String("weelo.actor.id", to.ID)))
}

// activating starts the span of an activation that a traced message caused.
func (s *System) activating(ctx context.Context, cause any, to Address) (context.Context, trace.Span) {
	_, span, _ := open(cause)
	if !span.IsValid() {
		return ctx, nil
	}
	return s.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, span), to.Kind+" activate",
		trace.WithAttributes(attribute.String("weelo.actor.id", to.ID)))
}

// working starts the span of work off an actor's turn: the message's own span has ended by then, and
// stores make no spans below one that has. An untraced message costs the check.
func (s *System) working(ctx context.Context, of Address) (context.Context, trace.Span) {
	if !tracedBy(ctx).IsValid() {
		return ctx, nil
	}
	return s.tracer.Start(ctx, of.Kind+" work")
}

func endSpan(span trace.Span) {
	if span != nil {
		span.End()
	}
}

// messageName is the name a message gives itself, or its type's without the package: GetTrip.
func messageName(msg any) string {
	if n, ok := msg.(interface{ MessageName() string }); ok {
		return n.MessageName()
	}
	t := reflect.TypeOf(msg)
	if t == nil {
		return "nil"
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return cmp.Or(t.Name(), t.String()) // a type without a name has its text
}
