package telemetry

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"weelo/internal/phone"
)

// maskedSpans masks phones in every text of a span before it leaves. The product's own spans have none;
// what drivers of databases put into the texts of errors, and clients into the trace state that they send,
// is not ours.
type maskedSpans struct{ sdktrace.SpanExporter }

// ExportSpans implements sdktrace.SpanExporter.
func (m maskedSpans) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	masked := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		masked[i] = maskedSpan{s}
	}
	return m.SpanExporter.ExportSpans(ctx, masked)
}

// maskedSpan is a finished span without phones.
type maskedSpan struct{ sdktrace.ReadOnlySpan }

func (s maskedSpan) Name() string { return phone.Mask(s.ReadOnlySpan.Name()) }

func (s maskedSpan) SpanContext() trace.SpanContext {
	return withoutState(s.ReadOnlySpan.SpanContext())
}

func (s maskedSpan) Parent() trace.SpanContext { return withoutState(s.ReadOnlySpan.Parent()) }

func (s maskedSpan) Attributes() []attribute.KeyValue {
	return maskAttributes(s.ReadOnlySpan.Attributes())
}

func (s maskedSpan) Status() sdktrace.Status {
	status := s.ReadOnlySpan.Status()
	status.Description = phone.Mask(status.Description)
	return status
}

func (s maskedSpan) Events() []sdktrace.Event {
	events := slices.Clone(s.ReadOnlySpan.Events())
	for i := range events {
		events[i].Name = phone.Mask(events[i].Name)
		events[i].Attributes = maskAttributes(events[i].Attributes)
	}
	return events
}

func (s maskedSpan) Links() []sdktrace.Link {
	links := slices.Clone(s.ReadOnlySpan.Links())
	for i := range links {
		links[i].SpanContext = withoutState(links[i].SpanContext)
		links[i].Attributes = maskAttributes(links[i].Attributes)
	}
	return links
}

// withoutState drops a trace state with a phone in it: masked it would be another vendor's broken entry.
func withoutState(sc trace.SpanContext) trace.SpanContext {
	if state := sc.TraceState().String(); phone.Mask(state) != state {
		return sc.WithTraceState(trace.TraceState{})
	}
	return sc
}

// maskAttributes copies only what it changes.
func maskAttributes(attributes []attribute.KeyValue) []attribute.KeyValue {
	copied := false
	for i, kv := range attributes {
		masked, changed := maskValue(kv.Value)
		if !changed {
			continue
		}
		if !copied {
			attributes, copied = slices.Clone(attributes), true
		}
		attributes[i].Value = masked
	}
	return attributes
}

// maskValue gives a value with phones as a text without them.
func maskValue(v attribute.Value) (masked attribute.Value, changed bool) {
	switch v.Type() {
	case attribute.BOOL, attribute.INT64, attribute.FLOAT64, attribute.BOOLSLICE, attribute.INT64SLICE, attribute.FLOAT64SLICE:
		return v, false
	default:
		text := v.String()
		without := phone.Mask(text)
		return attribute.StringValue(without), without != text
	}
}
