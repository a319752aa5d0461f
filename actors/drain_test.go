package actors_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/internal/ledger"
)

// A drain that cannot end says so at its deadline, and can be asked for again.
func TestDrainHasADeadline(t *testing.T) {
	in(t, func(t *testing.T) {
		l := actortest.NewLedger()
		to := born(l, "a")
		slow := slowly{l, make(chan struct{}), make(chan struct{}, 1)}
		s := actortest.Start(t, actors.Config{}, toys(actors.Ledger{Writer: slow, Claimer: l}, nil))
		answered := make(chan error, 1)
		go func() {
			_, err := ask(t, s, to, add{id: "x"})
			answered <- err
		}()
		<-slow.begun
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("drain beside a commit that hangs = %v", err)
		}
		slow.gate <- struct{}{}
		if err := <-answered; err != nil {
			t.Fatalf("what was in flight: %v", err)
		}
		if err := s.Drain(t.Context()); err != nil || s.Live("trip") != 0 {
			t.Fatalf("second drain = %v, %d left", err, s.Live("trip"))
		}
	})
}

// Work that an actor left behind is waited for: a durable message on its way is not cut off.
func TestDrainWaitsForWork(t *testing.T) {
	in(t, func(t *testing.T) {
		l := actortest.NewLedger()
		from, to := born(l, "a"), born(l, "b")
		slow := slowTo{l, "b"}
		s := actortest.Start(t, actors.Config{}, toys(actors.Ledger{Writer: slow, Claimer: l, Outbox: l}, nil))
		must[toyReply](t)(ask(t, s, from, send{"m1", to.String()}))
		<-time.After(100 * time.Millisecond) // the letter has reached its receiver
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := unsent(t, l); left != 0 || len(stateOf(t, l, "b").Letters) != 1 {
			t.Fatalf("%d unsent, letters %v", left, stateOf(t, l, "b").Letters)
		}
	})
}

// slowTo takes a second for each commit of one aggregate.
type slowTo struct {
	*actortest.Ledger
	id string
}

func (s slowTo) Commit(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	if ts[0].Ref.ID == s.id {
		<-time.After(time.Second)
	}
	return s.Ledger.Commit(ctx, ts)
}
