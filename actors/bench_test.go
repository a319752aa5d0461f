package actors_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"weelo/actors"
	"weelo/actors/actortest"
)

// tally counts messages and reports when it has seen enough.
type tally struct {
	left int
	done chan struct{}
}

type enough struct{ n int }

func (a *tally) Receive(_ context.Context, msg any, reply actors.Reply) {
	switch m := msg.(type) {
	case enough:
		a.left = m.n
	default:
		if a.left--; a.left == 0 {
			a.done <- struct{}{}
		}
	}
	reply.Answer(nil)
}

func (a *tally) Passivate(context.Context) bool { return true }

func tallyKind(done chan struct{}) actors.Kind {
	return actors.Kind{
		Name: "tally", Queue: 1 << 20, Idle: time.Hour, MaxLive: 1 << 20,
		New: func(context.Context, *actors.Self) (actors.Actor, error) { return &tally{done: done}, nil },
	}
}

func sampled() context.Context {
	return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
	}))
}

// BenchmarkTell is the cost of one message to one actor, handled. Untraced must be 0 allocs/op.
func BenchmarkTell(b *testing.B) {
	for name, ctx := range map[string]context.Context{"untraced": context.Background(), "traced": sampled()} {
		b.Run(name, func(b *testing.B) {
			done := make(chan struct{})
			s := actortest.Start(b, actors.Config{}, tallyKind(done))
			to := actors.Address{Kind: "tally", ID: "one"}
			if _, err := s.Ask(ctx, to, enough{b.N}); err != nil {
				b.Fatal(err)
			}
			msg := &struct{ n int }{1}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				for s.Tell(ctx, to, msg) != nil {
					// BUSY: the bound holds the sender back
				}
			}
			<-done
		})
	}
}

// BenchmarkAsk is a question and its answer.
func BenchmarkAsk(b *testing.B) {
	s := actortest.Start(b, actors.Config{}, tallyKind(make(chan struct{}, 1)))
	to := actors.Address{Kind: "tally", ID: "one"}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Ask(ctx, to, enough{1 << 40}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkActivate is making an actor that is not in memory.
func BenchmarkActivate(b *testing.B) {
	s := actortest.Start(b, actors.Config{}, tallyKind(make(chan struct{}, 1)))
	ids := make([]actors.Address, b.N)
	for i := range ids {
		ids[i] = actors.Address{Kind: "tally", ID: time.Duration(i).String()}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for part := range 64 {
		all.Go(func() {
			for i := part; i < len(ids); i += 64 {
				if _, err := s.Ask(ctx, ids[i], enough{1 << 40}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
}
