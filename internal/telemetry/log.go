// Package telemetry is how the process is watched: structured logs, traces, metrics and the loopback
// page that serves the last two to a person.
//
// Invariants: a phone number never reaches a log or an exported span whole (+91******3210), whatever
// attribute, event or error it hides in; every line written inside a traced request carries its trace id; tracing that nobody
// asked for costs nothing; nothing here can make the product fail or wait.
package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"weelo/internal/phone"
)

// NewLogger writes JSON lines at level and above, with trace ids and masked phones.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: maskAttr})
	return slog.New(traced{h})
}

// NewConsole writes short human lines for weelo dev, with the same masking.
func NewConsole(w io.Writer, level slog.Leveler) *slog.Logger {
	h := slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.String(slog.TimeKey, a.Value.Time().Format("15:04:05.000"))
		}
		return maskAttr(groups, a)
	}})
	return slog.New(traced{h})
}

// traced adds the ids of the span in the context.
type traced struct{ slog.Handler }

func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	if masked := phone.Mask(r.Message); masked != r.Message {
		clean := slog.NewRecord(r.Time, r.Level, masked, r.PC)
		r.Attrs(func(a slog.Attr) bool { clean.AddAttrs(a); return true })
		r = clean
	}
	return h.Handler.Handle(ctx, r)
}

func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }
func (h traced) WithGroup(name string) slog.Handler       { return traced{h.Handler.WithGroup(name)} }

func maskAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		return slog.String(a.Key, phone.Mask(a.Value.String()))
	case slog.KindAny:
		return slog.Attr{Key: a.Key, Value: maskAny(a.Value)}
	default: // numbers, times; groups are visited member by member
		return a
	}
}

// maskAny masks what a handler would print of a value of any type. A value in which nothing was found
// stays what it is.
func maskAny(v slog.Value) slog.Value {
	switch x := v.Any().(type) {
	case error:
		return slog.StringValue(phone.Mask(x.Error()))
	case interface{ String() string }:
		return slog.StringValue(phone.Mask(x.String()))
	case []byte:
		return ifMasked(v, string(x))
	default:
		return ifMasked(v, asJSON(x), fmt.Sprintf("%+v", x))
	}
}

// ifMasked gives the first of the texts that had a phone, without it, and v when none had.
func ifMasked(v slog.Value, texts ...string) slog.Value {
	for _, text := range texts {
		if masked := phone.Mask(text); masked != text {
			return slog.StringValue(masked)
		}
	}
	return v
}

// asJSON is how the JSON handler prints a value; "" when it cannot.
func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}
