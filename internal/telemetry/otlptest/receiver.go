// Package otlptest receives real OTLP over gRPC inside a test, so that a test can look at the span
// tree of one request as a collector would get it. The sender may be another process.
//
// Invariant: Spans answers copies; what arrived is never changed.
package otlptest

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// Span is what tests look at.
type Span struct {
	Name, Trace, ID, Parent string
	Service                 string
	Attributes              map[string]string
	Links                   []string // span ids
	Text                    string   // all of it and of its resource, names and values
	Start, End              time.Time
}

// Receiver is a collector for one test.
type Receiver struct {
	collector.UnimplementedTraceServiceServer
	addr    string
	mu      sync.Mutex
	spans   []Span
	arrived chan struct{} // closed and replaced at every arrival
}

// Start opens a receiver on a free port and closes it with the test.
func Start(t testing.TB) *Receiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("otlptest: %v", err)
	}
	r := &Receiver{addr: l.Addr().String(), arrived: make(chan struct{})}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, r)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-done })
	return r
}

// Env is what makes a process send its spans here at once.
func (r *Receiver) Env() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + r.addr, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
		"OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_TRACES_SAMPLER=always_on"}
}

// Export implements the collector's service.
func (r *Receiver) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range req.GetResourceSpans() {
		service := ""
		for _, kv := range rs.GetResource().GetAttributes() {
			if kv.GetKey() == "service.name" {
				service = kv.GetValue().GetStringValue()
			}
		}
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				span := fromWire(service, s)
				span.Text = rs.GetResource().String() + " " + ss.GetScope().String() + " " + s.String()
				r.spans = append(r.spans, span)
			}
		}
	}
	close(r.arrived)
	r.arrived = make(chan struct{})
	return &collector.ExportTraceServiceResponse{}, nil
}

func fromWire(service string, s *tracepb.Span) Span {
	out := Span{
		Name: s.GetName(), Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()),
		Parent: hex.EncodeToString(s.GetParentSpanId()), Service: service, Attributes: map[string]string{},
		Start: time.Unix(0, int64(s.GetStartTimeUnixNano())), End: time.Unix(0, int64(s.GetEndTimeUnixNano())),
	}
	for _, kv := range s.GetAttributes() {
		v := kv.GetValue().GetStringValue()
		if v == "" {
			v = strings.TrimSpace(kv.GetValue().String())
		}
		out.Attributes[kv.GetKey()] = v
	}
	for _, l := range s.GetLinks() {
		out.Links = append(out.Links, hex.EncodeToString(l.GetSpanId()))
	}
	return out
}

// Spans gives what has arrived, in order of start.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	spans := slices.Clone(r.spans)
	slices.SortStableFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return spans
}

// Wait gives the spans as soon as ok accepts them, and fails the test after limit with what there is.
func (r *Receiver) Wait(t testing.TB, limit time.Duration, what string, ok func([]Span) bool) []Span {
	t.Helper()
	deadline := time.After(limit)
	for {
		r.mu.Lock()
		arrived := r.arrived
		r.mu.Unlock()
		spans := r.Spans()
		if ok(spans) {
			return spans
		}
		select {
		case <-arrived:
		case <-deadline:
			t.Fatalf("otlptest: no %s within %v; arrived:\n%s", what, limit, Tree(spans))
		}
	}
}

// InTrace keeps the spans of one trace.
func InTrace(spans []Span, trace string) []Span {
	return slices.DeleteFunc(slices.Clone(spans), func(s Span) bool { return s.Trace != trace })
}

// Tree draws spans as an indented tree, one line a span, for messages of failed tests and for
// comparing with what a test expects.
func Tree(spans []Span) string {
	known := map[string]bool{}
	for _, s := range spans {
		known[s.ID] = true
	}
	var b strings.Builder
	var draw func(parent string, depth int)
	draw = func(parent string, depth int) {
		for _, s := range spans {
			if s.Parent == parent || (parent == "" && !known[s.Parent]) {
				fmt.Fprintf(&b, "%s%s\n", strings.Repeat("  ", depth), s.Name)
				draw(s.ID, depth+1)
			}
		}
	}
	draw("", 0)
	return b.String()
}
