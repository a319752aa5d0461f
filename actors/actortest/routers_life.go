package actortest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weelo/actors"
)

// counter is a kind whose actors count their own messages, so that a fresh activation is visible:
// it starts at 1 again.
func counter(stopped chan<- struct{}) actors.Kind {
	return kindOf(func(self *actors.Self) (actors.Actor, error) {
		n := 0
		return &script{self: self,
			receive: func(_ *script, _ context.Context, _ any, reply actors.Reply) { n++; reply.Answer(n) },
			stopped: func() { stopped <- struct{}{} },
		}, nil
	})
}

func passivation(t *testing.T, setup Setup) {
	stopped := make(chan struct{}, 8)
	k := counter(stopped)
	k.Idle = 300 * time.Millisecond
	r := setup.New(t, k)
	mustAsk(t, r, one, "x")
	mustAsk(t, r, one, "x")
	<-stopped
	if got := mustAsk(t, r, one, "x"); got != 1 {
		t.Fatalf("count = %v, want 1 in a fresh activation", got)
	}
}

func notNow(t *testing.T, setup Setup) {
	var asked atomic.Int32
	twice := make(chan struct{})
	k := kindOf(func(self *actors.Self) (actors.Actor, error) {
		n := 0
		return &script{self: self,
			receive: func(_ *script, _ context.Context, _ any, reply actors.Reply) { n++; reply.Answer(n) },
			ready: func() bool {
				if asked.Add(1) == 2 {
					close(twice)
				}
				return asked.Load() > 2
			},
		}, nil
	})
	k.Idle = 200 * time.Millisecond
	r := setup.New(t, k)
	mustAsk(t, r, one, "x")
	<-twice
	if got := mustAsk(t, r, one, "x"); got != 2 {
		t.Fatalf("count = %v: an actor that said not now must stay", got)
	}
}

func nothingLost(t *testing.T, setup Setup) {
	var handled, turns atomic.Int32
	k := kindOf(func(self *actors.Self) (actors.Actor, error) {
		turns.Add(1)
		return &script{self: self, receive: func(_ *script, _ context.Context, _ any, reply actors.Reply) {
			handled.Add(1)
			reply.Answer("ok")
		}}, nil
	})
	k.Idle = 50 * time.Millisecond
	r := setup.New(t, k)
	const senders, each = 4, 30
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for n := range each {
				if _, err := r.Ask(deadline(t), one, n); err != nil {
					t.Errorf("sender %d, message %d: %v", s, n, err)
				}
				<-time.After(time.Duration(40+(s*13+n*7)%40) * time.Millisecond)
			}
		})
	}
	all.Wait()
	if handled.Load() != senders*each {
		t.Fatalf("%d handled, want %d", handled.Load(), senders*each)
	}
	if turns.Load() < 1 {
		t.Fatal("never activated")
	}
}

// named is a command with an id.
type named struct{ id, does string }

// CommandID implements protocol.Command.
func (n named) CommandID() string { return n.id }

// fragile panics on commands that say so.
func fragile(turns *atomic.Int32) actors.Kind {
	return kindOf(func(self *actors.Self) (actors.Actor, error) {
		turns.Add(1)
		return &script{self: self, receive: func(_ *script, _ context.Context, msg any, reply actors.Reply) {
			if c, ok := msg.(named); ok && c.does == "panic" {
				panic("planted")
			}
			reply.Answer("fine")
		}}, nil
	})
}

func panics(t *testing.T, setup Setup) {
	var turns atomic.Int32
	r := setup.New(t, fragile(&turns))
	mustAsk(t, r, one, "x")
	var all sync.WaitGroup
	all.Go(func() {
		_, err := r.Ask(deadline(t), one, named{"c1", "panic"})
		if err == nil {
			t.Error("a panic was answered")
		}
	})
	for range 20 {
		all.Go(func() {
			if _, err := r.Ask(deadline(t), one, "bystander"); err != nil {
				t.Errorf("bystander: %v", err)
			}
		})
	}
	all.Wait()
	mustAsk(t, r, one, "x")
	if turns.Load() != 2 {
		t.Fatalf("%d activations, want the broken one and its successor", turns.Load())
	}
}

func poison(t *testing.T, setup Setup) {
	var turns atomic.Int32
	r := setup.New(t, fragile(&turns))
	bad := named{"c-bad", "panic"}
	for range 2 {
		_, err := r.Ask(deadline(t), one, bad)
		wantReason(t, err, actors.ErrInterrupted)
	}
	for range 2 {
		_, err := r.Ask(deadline(t), one, bad)
		wantReason(t, err, actors.ErrPoisoned)
	}
	if turns.Load() != 3 {
		t.Fatalf("%d activations, want 3: the fourth try must not reach the actor", turns.Load())
	}
	if got := mustAsk(t, r, one, named{"c-good", "work"}); got != "fine" {
		t.Fatalf("another command = %v", got)
	}
	if got := mustAsk(t, r, actors.Address{Kind: toy, ID: "two"}, named{"c-good", "work"}); got != "fine" {
		t.Fatalf("another actor = %v", got)
	}
}

func leaving(t *testing.T, setup Setup) {
	var turns atomic.Int32
	begun, open := make(chan struct{}), make(chan struct{})
	r := setup.New(t, kindOf(func(self *actors.Self) (actors.Actor, error) {
		turn := turns.Add(1)
		return &script{self: self, receive: func(s *script, _ context.Context, msg any, reply actors.Reply) {
			if msg == "leave" {
				close(begun)
				<-open
				s.self.Leave()
			}
			reply.Answer(turn)
		}}, nil
	}))
	var all sync.WaitGroup
	all.Go(func() {
		if got, err := r.Ask(deadline(t), one, "leave"); err != nil || got != int32(1) {
			t.Errorf("leave = %v, %v", got, err)
		}
	})
	<-begun
	for range 5 {
		all.Go(func() {
			if got, err := r.Ask(deadline(t), one, "waiting"); err != nil || got != int32(2) {
				t.Errorf("waiting = %v, %v, want turn 2", got, err)
			}
		})
	}
	<-time.After(20 * time.Millisecond) // let them queue behind the leaving message
	close(open)
	all.Wait()
}

type workDone struct {
	reply actors.Reply
	value string
}

func ownWork(t *testing.T, setup Setup) {
	r := setup.New(t, replying(func(s *script, ctx context.Context, msg any, reply actors.Reply) {
		switch m := msg.(type) {
		case string:
			s.self.Go(ctx, time.Second, func(ctx context.Context) any {
				if _, bounded := ctx.Deadline(); !bounded {
					return workDone{reply, "work without a deadline"}
				}
				if m == "panic" {
					panic("planted in work")
				}
				return workDone{reply, "worked " + m}
			})
		case workDone:
			m.reply.Answer(m.value)
		}
	}))
	if got := mustAsk(t, r, one, "x"); got != "worked x" {
		t.Fatalf("answer = %v", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := r.Ask(ctx, one, "panic"); err == nil {
		t.Fatal("work that panicked was answered")
	}
	if got := mustAsk(t, r, one, "y"); got != "worked y" {
		t.Fatalf("answer after a panic = %v", got)
	}
}

func ownTimers(t *testing.T, setup Setup) {
	type rings struct{}
	var rang atomic.Int32
	r := setup.New(t, replying(func(s *script, _ context.Context, msg any, reply actors.Reply) {
		switch msg {
		case "arm and leave":
			s.self.After(30*time.Millisecond, rings{})
			s.self.Leave()
		case "arm":
			s.self.After(30*time.Millisecond, rings{})
		case rings{}:
			rang.Add(1)
		}
		reply.Answer(rang.Load())
	}))
	mustAsk(t, r, one, "arm and leave")
	mustAsk(t, r, one, "arm")
	for mustAsk(t, r, one, "count") != int32(1) {
		<-time.After(5 * time.Millisecond)
	}
	<-time.After(50 * time.Millisecond)
	if got := mustAsk(t, r, one, "count"); got != int32(1) {
		t.Fatalf("rang %v times, want once: the first activation's timer must not reach the second", got)
	}
}
