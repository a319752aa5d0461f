// Package telemetry is how the process is watched: structured logs, traces, metrics and the loopback
// page that serves the last two to a person.
//
// Invariants: a phone number never reaches a log whole (+91******3210), whatever attribute or error
// it hides in; every line written inside a traced request carries its trace id; tracing that nobody
// asked for costs nothing; nothing here can make the product fail or wait.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"regexp"

	"go.opentelemetry.io/otel/trace"
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
	if masked := MaskPhones(r.Message); masked != r.Message {
		clean := slog.NewRecord(r.Time, r.Level, masked, r.PC)
		r.Attrs(func(a slog.Attr) bool { clean.AddAttrs(a); return true })
		r = clean
	}
	return h.Handler.Handle(ctx, r)
}

func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }
func (h traced) WithGroup(name string) slog.Handler       { return traced{h.Handler.WithGroup(name)} }

// indianMobile finds ten digits that start with 6 to 9, with or without the country code, that are
// not part of a longer number (times in ms have thirteen digits).
var indianMobile = regexp.MustCompile(`(^|[^0-9A-Za-z])(?:\+?91[- ]?)?[6-9][0-9]{5}([0-9]{4})\b`)

// MaskPhones replaces every Indian mobile number in a text by +91******3210.
func MaskPhones(s string) string {
	if len(s) < 10 {
		return s
	}
	return indianMobile.ReplaceAllString(s, "${1}+91******${2}")
}

func maskAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		return slog.String(a.Key, MaskPhones(a.Value.String()))
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case error:
			return slog.String(a.Key, MaskPhones(v.Error()))
		case interface{ String() string }:
			return slog.String(a.Key, MaskPhones(v.String()))
		case []string:
			masked := make([]string, len(v))
			for i, s := range v {
				masked[i] = MaskPhones(s)
			}
			return slog.Any(a.Key, masked)
		}
	default: // numbers, times; groups are visited member by member
	}
	return a
}
