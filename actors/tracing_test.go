package actors_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/ledger"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// witness remembers under which trace each transition was to be committed.
type witness struct {
	*actortest.Ledger
	mu     sync.Mutex
	parent []string // span ids
}

func (w *witness) Commit(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	w.mu.Lock()
	for _, t := range ts {
		if t.Trace.IsValid() {
			w.parent = append(w.parent, t.Trace.SpanID().String())
		}
	}
	w.mu.Unlock()
	return w.Ledger.Commit(ctx, ts)
}

func TestOneTransitionIsOneTraceAcrossActors(t *testing.T) {
	in(t, func(t *testing.T) {
		spans := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		tracer := provider.Tracer("test")
		l := &witness{Ledger: actortest.TripLedger()}
		drivers := actortest.NewProbe(protocol.KindDriver)
		s := actortest.Start(t, actors.Config{Tracer: tracer}, drivers.Kind(), actors.Trips(actors.TripConfig{
			Ledger:    actors.Ledger{Writer: l, Claimer: l, Outbox: l},
			Publisher: &actortest.Hub{}, Tracks: &actortest.Fixes{}, Policy: trip.DefaultPolicy(), Rules: track.DefaultRules(),
		}))
		people := actortest.SmallWorld()
		births := &actors.Assignments{
			Ledger: actors.Ledger{Writer: l, Claimer: l}, Router: s, Publisher: &actortest.Hub{}, Users: people, Trucks: people, Customers: people,
			Policy: trip.DefaultPolicy(), NewID: func() string { return "trip-1" },
		}
		if _, err := births.Assign(t.Context(), wanted()); err != nil { // untraced
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(spans.Ended()); n != 0 || len(l.parent) != 0 {
			t.Fatalf("%d spans of an untraced message", n)
		}

		ctx, root := tracer.Start(t.Context(), "PATCH accept")
		if _, err := s.Ask(ctx, protocol.TripAddress("trip-1"), &protocol.TripCommand{Do: trip.Accept{By: ravi}}); err != nil {
			t.Fatal(err)
		}
		root.End()
		<-time.After(time.Second)
		tree := map[string]string{} // span → its parent
		byID := map[string]string{}
		for _, span := range spans.Ended() {
			byID[span.SpanContext().SpanID().String()] = span.Name()
			if span.SpanContext().TraceID() != root.SpanContext().TraceID() {
				t.Errorf("%s is in a trace of its own", span.Name())
			}
		}
		for _, span := range spans.Ended() {
			tree[span.Name()] = byID[span.Parent().SpanID().String()]
		}
		want := map[string]string{
			"PATCH accept":     "",
			"trip Accept":      "PATCH accept",
			"trip work":        "trip Accept", // the commit, off the actor's turn
			"trip outcome":     "trip Accept",
			"driver TripTaken": "trip Accept",
		}
		if diff := cmp.Diff(want, tree); diff != "" {
			t.Errorf("the trace (-want +got):\n%s", diff)
		}
		if len(l.parent) != 1 || byID[l.parent[0]] != "trip Accept" {
			t.Errorf("the commit belongs to %v of %v, want trip Accept", l.parent, slices.Collect(maps.Values(byID)))
		}
	})
}

// counts is an Observer that counts.
type counts struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counts) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[what]++
}

func (c *counts) Activated(kind string, _ time.Duration, err error) {
	if err != nil {
		kind += " failed"
	}
	c.add("activated " + kind)
}
func (c *counts) Stopped(kind, reason string)   { c.add("stopped " + kind + " " + reason) }
func (c *counts) Live(kind string, n int)       { c.set("live "+kind, n) }
func (c *counts) Depth(kind string, _ int)      { c.add("depth " + kind) }
func (c *counts) Refused(kind, reason string)   { c.add("refused " + kind + " " + reason) }
func (c *counts) DeadLetter(kind string)        { c.add("dead letter " + kind) }
func (c *counts) Panicked(kind, message string) { c.add("panicked " + kind + " " + message) }
func (c *counts) TakenOut(kind string)          { c.add("taken out " + kind) }
func (c *counts) set(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[what] = n
}

func TestTheRuntimeIsObserved(t *testing.T) {
	in(t, func(t *testing.T) {
		seen := &counts{}
		l := actortest.NewLedger()
		to := born(l, "a")
		kind := toys(ports(l), nil)
		kind.MaxLive = 1
		s := actortest.Start(t, actors.Config{Observer: seen}, kind)
		must[toyReply](t)(ask(t, s, to, add{id: "1"}))
		<-time.After(3 * time.Second) // a sweep or more
		_, err := ask(t, s, actors.Address{Kind: "trip", ID: "b"}, get{})
		wantErr(t, err, actors.ErrBusy)
		_, err = ask(t, s, to, bomb{"b"})
		wantErr(t, err, actors.ErrInterrupted)
		synctest.Wait()
		// A row that is not there: who asks is refused, what was told is a dead letter.
		nowhere := actors.Address{Kind: "trip", ID: "nowhere"}
		if err := s.Tell(t.Context(), nowhere, get{}); err != nil {
			t.Fatal(err)
		}
		<-time.After(20 * time.Second)
		must[toyReply](t)(ask(t, s, to, add{id: "2"}))
		<-time.After(2 * time.Minute)
		got := maps.Clone(seen.of)
		if got["depth trip"] == 0 {
			t.Error("no queue was sampled")
		}
		delete(got, "depth trip")
		want := map[string]int{
			"activated trip": 2, "activated trip failed": 1, "live trip": 0, "refused trip MAX_LIVE": 1,
			"panicked trip bomb": 1, "stopped trip crashed": 1, "stopped trip passivated": 1, "dead letter trip": 1,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("observed (-want +got):\n%s", diff)
		}
	})
}
