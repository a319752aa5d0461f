package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"weelo/internal/telemetry/otlptest"
	"weelo/internal/track"
)

func TestPhonesAreMaskedWhereverTheyHide(t *testing.T) {
	t.Parallel()
	for name, logger := range map[string]func(io.Writer) *slog.Logger{
		"json":    func(w io.Writer) *slog.Logger { return NewLogger(w, slog.LevelInfo) },
		"console": func(w io.Writer) *slog.Logger { return NewConsole(w, slog.LevelInfo) },
	} {
		var out bytes.Buffer
		l := logger(&out).With("phone", "9876543210").WithGroup("g")
		l.Info("sent to 9876543210", "err", errors.New("dial 9876543210"), "list", []string{"9876543210"}, "n", 7,
			slog.Group("to", "phone", "+919876543210"), "body", map[string]any{"phone": "98765 43210"}, "raw", []byte("9876543210"),
			"who", struct{ Phone string }{"9876543210"}, "plain", map[string]int{"n": 7})
		l.Debug("not shown")
		if strings.Contains(out.String(), "43210") || strings.Count(out.String(), "+91******3210") != 8 {
			t.Errorf("%s: %s", name, out.String())
		}
	}
}

func TestLinesCarryTheTrace(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	NewLogger(&out, slog.LevelInfo).InfoContext(trace.ContextWithSpanContext(t.Context(), sc), "x")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line["trace_id"] != sc.TraceID().String() || line["span_id"] != sc.SpanID().String() {
		t.Errorf("line: %v", line)
	}
}

func TestTracingIsFreeWhenNobodyAsked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		vars map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, true},
		{map[string]string{"OTEL_TRACES_EXPORTER": "console"}, true},
		{map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, false},
		{map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, false},
	} {
		if got := tracingWanted(func(k string) string { return tt.vars[k] }); got != tt.want {
			t.Errorf("%v: %v", tt.vars, got)
		}
	}
}

// TestSpansReachACollector sends real OTLP over gRPC. It sets the process's environment and its
// global provider, so it does not run beside others.
func TestSpansReachACollector(t *testing.T) {
	r := otlptest.Start(t)
	for _, kv := range r.Env() {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	stop, err := StartTracing(t.Context(), "weelo", "test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, parent := otel.Tracer("test").Start(t.Context(), "parent")
	_, child := otel.Tracer("test").Start(ctx, "child", trace.WithLinks(trace.Link{SpanContext: parent.SpanContext()}))
	child.End()
	spyOn(t, "98765 43210")
	parent.End()
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := r.Wait(t, 10*time.Second, "two spans", func(s []otlptest.Span) bool { return len(s) == 3 })
	if got, want := otlptest.Tree(spans), "parent\n  child\nof +91******3210\n"; got != want {
		t.Errorf("tree:\n%s", got)
	}
	if s := spans[1]; s.Service != "weelo" || len(s.Links) != 1 || s.Links[0] != spans[0].ID {
		t.Errorf("child: %+v", s)
	}
	// name, state of the parent (dropped), attributes, status, event with its error, link: each but the state
	// and the number has the phone masked.
	if spy := spans[2]; strings.Contains(spy.Text, "98765 43210") || strings.Count(spy.Text, "+91******3210") != 8 || !strings.HasSuffix(spy.Attributes["n"], "9876543210") {
		t.Errorf("a span with phones: %d masked in %s", strings.Count(spy.Text, "+91******3210"), spy.Text)
	}
	if got := otlptest.InTrace(spans, "other"); len(got) != 0 {
		t.Errorf("InTrace keeps foreign spans: %v", got)
	}
}

// spyOn makes a span with a phone wherever one can stand.
func spyOn(t *testing.T, phone string) {
	t.Helper()
	state, err := trace.ParseTraceState("vendor=" + phone)
	if err != nil {
		t.Fatal(err)
	}
	from := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, TraceState: state})
	_, s := otel.Tracer("test").Start(trace.ContextWithRemoteSpanContext(t.Context(), from), "of "+phone,
		trace.WithAttributes(attribute.String("key", "otp:"+phone), attribute.StringSlice("list", []string{"a", phone}), attribute.Int("n", 9876543210)),
		trace.WithLinks(trace.Link{SpanContext: from, Attributes: []attribute.KeyValue{attribute.String("why", phone)}}))
	s.AddEvent("asked "+phone, trace.WithAttributes(attribute.String("by", phone)))
	s.RecordError(errors.New("no " + phone))
	s.SetStatus(codes.Error, "no "+phone)
	s.End()
}

func TestAdminServesMetricsAndProfiles(t *testing.T) {
	t.Parallel()
	m := NewMetrics("v1")
	m.Actors.Activated("trip", time.Millisecond, nil)
	m.Actors.Activated("trip", time.Millisecond, errors.New("x"))
	m.Actors.Stopped("trip", "passivated")
	m.Actors.Live("trip", 3)
	m.Actors.Depth("trip", 2)
	m.Actors.Refused("trip", "BUSY")
	m.Actors.DeadLetter("trip")
	m.Actors.Panicked("trip", "AcceptTrip")
	m.Actors.TakenOut("trip")
	m.Hub.Frames("ws", "out", 2)
	m.Hub.Frames("other", "out", 1)
	m.Hub.Sockets("ws", "driver", 1)
	m.Hub.Closed("ws", 4410)
	m.Frames.In("ws", "fix")
	m.Frames.Refused("ws", "MALFORMED")
	m.Commits.Batch("group", 12, time.Millisecond)
	m.Commits.Outcome("committed")
	m.Fixes.Fix(track.Jump)
	m.OTP.Count("user", "sent", "")
	m.Dispatch.Order("broadcasting")
	m.Dispatch.Wave(7, 0)
	m.Dispatch.Wave(7, 3)
	m.Dispatch.Offers("shown", 3)
	m.Dispatch.Hold("held")
	m.Dispatch.Confirm("CONFIRM_FAILED")
	m.Dispatch.Filled(true, 40*time.Second)

	a, err := ListenAdmin(t.Context(), "127.0.0.1:0", m.Registry)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	page := fetch(t, "http://"+a.Addr()+"/metrics")
	for _, want := range []string{
		`weelo_build_info{version="v1"} 1`, `weelo_actors{kind="trip"} 3`, `weelo_actor_activations_total{kind="trip",outcome="failed"} 1`,
		`weelo_actor_taken_out_total{kind="trip"} 1`, `weelo_actor_taken_out_total{kind="order"} 0`,
		`weelo_frames_out_total{fate="out",format="ws"} 2`, `weelo_sockets{format="ws",role="driver"} 1`, `weelo_dead_letters_total{kind="trip"} 1`,
		`weelo_socket_closes_total{code="4410",format="ws"} 1`, `weelo_commit_batch_size_count{lane="group"} 1`,
		`weelo_otp_total{event="sent",flow="user",reason=""} 1`,
		`weelo_frames_in_total{format="ws",type="fix"} 1`, `weelo_frames_invalid_total{code="MALFORMED",format="ws"} 1`, "go_goroutines",
		`weelo_orders_total{status="broadcasting"} 1`, `weelo_order_waves_total{outcome="nobody"} 1`, `weelo_order_wave_candidates_sum 14`,
		`weelo_offers_total{change="shown"} 3`, `weelo_holds_total{outcome="held"} 1`, `weelo_confirms_total{outcome="CONFIRM_FAILED"} 1`,
		`weelo_order_fill_seconds_bucket{trucks="all",le="45"} 1`,
		`weelo_fixes_total{verdict="` + track.Jump.String() + `"} 1`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
	if !strings.Contains(fetch(t, "http://"+a.Addr()+"/debug/pprof/"), "goroutine") {
		t.Error("no profiles")
	}
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:6060": 200, "localhost:6060": 200, "[::1]:6060": 200, "10.0.0.7:6060": 200,
		"evil.example": 403, "localhost.evil.example:6060": 403, "127.0.0.1.evil.example": 403,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Addr()+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("asked as %s: %d, want %d", host, res.StatusCode, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := ListenAdmin(t.Context(), "not an address", m.Registry); err == nil {
		t.Error("a wrong ADMIN_ADDR is accepted")
	}
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", url, res.StatusCode, err)
	}
	return string(body)
}
