package actortest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weelo/actors"
	"weelo/actors/protocol"
	"weelo/internal/fault"
)

// Setup says how a Router is made for one case of the suite.
type Setup struct {
	// New starts a Router that knows these kinds and ends with the test.
	New func(t *testing.T, kinds ...actors.Kind) actors.Router
	// In runs a case, for instance in a synctest bubble. Nil: as it is.
	In func(t *testing.T, run func(t *testing.T))
}

// Routers is the contract of actors.Router. Every implementation passes it.
func Routers(t *testing.T, setup Setup) {
	cases := map[string]func(*testing.T, Setup){
		"an answer reaches its asker":                    answers,
		"an empty answer is Done":                        emptyAnswer,
		"a refusal reaches its asker":                    refusals,
		"messages of one sender stay in order":           order,
		"one activation however many ask at once":        singleFlight,
		"a start that fails refuses all and leaves none": failedStart,
		"a start that panics refuses and leaves none":    panickedStart,
		"a full queue refuses before it accepts":         fullQueue,
		"too many actors are refused":                    tooMany,
		"a silent actor costs the asker his deadline":    silentActor,
		"an idle actor leaves and comes back":            passivation,
		"an actor that is not ready stays":               notNow,
		"no message is lost around passivation":          nothingLost,
		"a panic costs its own message only":             panics,
		"a poisonous command is kept out after three":    poison,
		"a leaving actor hands on what waited":           leaving,
		"results of own work come back":                  ownWork,
		"own timers of an ended activation are dropped":  ownTimers,
		"an unknown kind is refused":                     unknownKind,
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := setup.In
			if in == nil {
				in = func(t *testing.T, run func(t *testing.T)) { run(t) }
			}
			in(t, func(t *testing.T) { run(t, setup) })
		})
	}
}

// script is a toy actor whose behaviour is functions.
type script struct {
	self    *actors.Self
	receive func(s *script, ctx context.Context, msg any, reply actors.Reply)
	ready   func() bool
	stopped func()
}

func (s *script) Receive(ctx context.Context, msg any, reply actors.Reply) {
	s.receive(s, ctx, msg, reply)
}

func (s *script) Passivate(context.Context) bool { return s.ready == nil || s.ready() }

func (s *script) Stopped() {
	if s.stopped != nil {
		s.stopped()
	}
}

const toy = "toy"

func kindOf(make func(self *actors.Self) (actors.Actor, error)) actors.Kind {
	return actors.Kind{
		Name: toy, Queue: 64, Idle: time.Minute, MaxLive: 1000,
		New: func(_ context.Context, self *actors.Self) (actors.Actor, error) { return make(self) },
	}
}

// replying is a kind whose actors answer by a function.
func replying(receive func(s *script, ctx context.Context, msg any, reply actors.Reply)) actors.Kind {
	return kindOf(func(self *actors.Self) (actors.Actor, error) {
		return &script{self: self, receive: receive}, nil
	})
}

var one = actors.Address{Kind: toy, ID: "one"}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func mustAsk(t *testing.T, r actors.Router, to actors.Address, msg any) any {
	t.Helper()
	v, err := r.Ask(deadline(t), to, msg)
	if err != nil {
		t.Fatalf("ask %v: %v", msg, err)
	}
	return v
}

func wantReason(t *testing.T, err error, want *fault.Error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error = %v, want reason %s", err, want.Reason)
	}
}

func answers(t *testing.T, setup Setup) {
	r := setup.New(t, replying(func(_ *script, _ context.Context, msg any, reply actors.Reply) {
		reply.Answer(fmt.Sprint("got ", msg))
		reply.Answer("a second answer is dropped")
	}))
	if got := mustAsk(t, r, one, "x"); got != "got x" {
		t.Fatalf("answer = %v", got)
	}
	if node, _ := r.Owner(one); node == "" {
		t.Fatal("an actor has an owner")
	}
}

func emptyAnswer(t *testing.T, setup Setup) {
	r := setup.New(t, replying(func(_ *script, _ context.Context, _ any, reply actors.Reply) { reply.Answer(nil) }))
	if got := mustAsk(t, r, one, "x"); got != (protocol.Done{}) {
		t.Fatalf("answer = %#v, want Done", got)
	}
}

func refusals(t *testing.T, setup Setup) {
	no := fault.New(fault.Conflict, "NO", "No.")
	r := setup.New(t, replying(func(_ *script, _ context.Context, _ any, reply actors.Reply) { reply.Refuse(no) }))
	_, err := r.Ask(deadline(t), one, "x")
	wantReason(t, err, no)
}

func order(t *testing.T, setup Setup) {
	var seen []int
	r := setup.New(t, replying(func(_ *script, _ context.Context, msg any, reply actors.Reply) {
		if n, ok := msg.(int); ok {
			seen = append(seen, n)
			return
		}
		reply.Answer(append([]int(nil), seen...))
	}))
	for n := range 50 {
		if err := r.Tell(deadline(t), one, n); err != nil {
			t.Fatalf("tell %d: %v", n, err)
		}
	}
	got := mustAsk(t, r, one, "all").([]int)
	if len(got) != 50 {
		t.Fatalf("%d of 50 arrived", len(got))
	}
	for i, n := range got {
		if i != n {
			t.Fatalf("arrival %d is %d", i, n)
		}
	}
}

func singleFlight(t *testing.T, setup Setup) {
	var made atomic.Int32
	open := make(chan struct{})
	r := setup.New(t, kindOf(func(self *actors.Self) (actors.Actor, error) {
		made.Add(1)
		<-open
		return &script{self: self, receive: func(_ *script, _ context.Context, msg any, reply actors.Reply) {
			reply.Answer(msg)
		}}, nil
	}))
	var all sync.WaitGroup
	for n := range 40 {
		all.Go(func() {
			if got, err := r.Ask(deadline(t), one, n); err != nil || got != n {
				t.Errorf("ask %d = %v, %v", n, got, err)
			}
		})
	}
	<-time.After(10 * time.Millisecond) // let them queue up; the verdict does not depend on it
	close(open)
	all.Wait()
	if made.Load() != 1 {
		t.Fatalf("%d activations, want 1", made.Load())
	}
}

func failedStart(t *testing.T, setup Setup) {
	missing := fault.New(fault.NotFound, "NOT_FOUND", "There is no such thing.")
	var tries atomic.Int32
	r := setup.New(t, kindOf(func(*actors.Self) (actors.Actor, error) {
		tries.Add(1)
		return nil, missing
	}))
	for range 2 {
		_, err := r.Ask(deadline(t), one, "x")
		wantReason(t, err, missing)
	}
	if tries.Load() != 2 {
		t.Fatalf("%d starts, want one per ask: a failed start must leave no activation", tries.Load())
	}
}

func panickedStart(t *testing.T, setup Setup) {
	first := true
	r := setup.New(t, kindOf(func(self *actors.Self) (actors.Actor, error) {
		if first {
			first = false
			panic("planted in New")
		}
		return &script{self: self, receive: func(_ *script, _ context.Context, _ any, reply actors.Reply) {
			reply.Answer("up")
		}}, nil
	}))
	_, err := r.Ask(deadline(t), one, "x")
	wantReason(t, err, actors.ErrInterrupted)
	if got := mustAsk(t, r, one, "x"); got != "up" {
		t.Fatalf("answer = %v", got)
	}
}

func fullQueue(t *testing.T, setup Setup) {
	open := make(chan struct{})
	var handled atomic.Int32
	k := replying(func(_ *script, _ context.Context, msg any, reply actors.Reply) {
		if msg == "block" {
			<-open
		}
		handled.Add(1)
		reply.Answer("ok")
	})
	k.Queue = 4
	r := setup.New(t, k)
	accepted := 0
	var refusal error
	for range 10 {
		if err := r.Tell(deadline(t), one, "block"); err != nil {
			refusal = err
			break
		}
		accepted++
	}
	wantReason(t, refusal, actors.ErrBusy)
	if !fault.From(refusal).Retryable() || fault.From(refusal).RetryAfter <= 0 {
		t.Fatal("BUSY must say when to come back")
	}
	close(open)
	for { // the queue empties by itself and then takes messages again
		if _, err := r.Ask(deadline(t), one, "ask"); err == nil {
			break
		}
	}
	if got := int(handled.Load()); got != accepted+1 {
		t.Fatalf("%d handled, want the %d accepted and the question", got, accepted)
	}
}

func tooMany(t *testing.T, setup Setup) {
	k := replying(func(_ *script, _ context.Context, _ any, reply actors.Reply) { reply.Answer("ok") })
	k.MaxLive = 3
	r := setup.New(t, k)
	for n := range 3 {
		mustAsk(t, r, actors.Address{Kind: toy, ID: fmt.Sprint(n)}, "x")
	}
	_, err := r.Ask(deadline(t), actors.Address{Kind: toy, ID: "one too many"}, "x")
	wantReason(t, err, actors.ErrBusy)
	mustAsk(t, r, actors.Address{Kind: toy, ID: "0"}, "x")
}

func silentActor(t *testing.T, setup Setup) {
	r := setup.New(t, replying(func(*script, context.Context, any, actors.Reply) {}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := r.Ask(ctx, one, "x")
	wantReason(t, err, actors.ErrNoAnswer)
}

func unknownKind(t *testing.T, setup Setup) {
	r := setup.New(t, replying(func(*script, context.Context, any, actors.Reply) {}))
	if err := r.Tell(deadline(t), actors.Address{Kind: "nobody", ID: "x"}, "x"); err == nil {
		t.Fatal("a kind that was never registered took a message")
	}
}
