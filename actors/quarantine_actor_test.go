package actors_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/internal/fault"
	"weelo/internal/ledger"
)

// release lets a command, or a whole actor, in again.
func (s *struck) release(ref ledger.Ref, command string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.of[ref] {
		if c.CommandID == command {
			c.Strikes, c.Releases = 0, c.Releases+1
			s.of[ref][i] = c
			s.releases = append(s.releases, ledger.Release{Ref: ref, CommandID: command, Releases: c.Releases, At: time.Now()})
		}
	}
}

// activations counts those of trips that a task has tried.
func (c *counts) activations() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of["activated trip"] + c.of["activated trip failed"]
}

func (c *counts) count(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[what]
}

// breakOften sends an actor so many different commands that break it, and counts the answers by reason.
func breakOften(t *testing.T, s *actors.System, to actors.Address, times int) map[string]int {
	t.Helper()
	answers := map[string]int{}
	for n := range times {
		_, err := ask(t, s, to, bomb{fmt.Sprint("b", n)})
		answers[fault.From(err).Reason]++
		synctest.Wait()
	}
	return answers
}

// An actor that breaks ten times in ten minutes, whatever breaks it, is taken out: nobody reaches it, no
// task activates it, and whoever asks is told to come again later. A release lets it in. Others go on all
// the while. Without the mechanism it breaks as often as it is asked. Invariants: 20.
func TestAnActorThatKeepsBreakingIsTakenOut(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to, other := born(l, "a"), born(l, "b")
		ref := ledger.Ref{Kind: ledger.Trip, ID: "a"}
		kept, seen := &struck{of: map[ledger.Ref][]ledger.Struck{}}, &counts{}
		s := actortest.Start(t, actors.Config{Quarantine: kept, Observer: seen}, toys(ports(l), nil))
		run(t, s.WatchQuarantine)
		if got := breakOften(t, s, to, 100); got["INTERRUPTED"] != ledger.PanicsOut-1 || got["QUARANTINED"] != 100-ledger.PanicsOut+1 {
			t.Errorf("100 commands that break it: %v", got)
		}
		if n := seen.activations(); n != ledger.PanicsOut {
			t.Errorf("%d activations", n)
		}
		if n := seen.count("taken out trip"); n != 1 {
			t.Errorf("taken out %d times", n)
		}
		out := func(s *actors.System) {
			t.Helper()
			_, err := ask(t, s, to, add{id: "x"})
			if f := fault.From(err); f.Reason != "QUARANTINED" || !f.Retryable() || f.RetryAfter < time.Second {
				t.Errorf("a harmless command: %v, again after %s", err, f.RetryAfter)
			}
		}
		<-time.After(time.Hour) // does not forgive
		out(s)
		must[toyReply](t)(ask(t, s, other, add{id: "fine"}))

		before, _ := l.Row(ref)
		again := &counts{}
		next := actortest.Start(t, actors.Config{Quarantine: kept, Observer: again}, toys(ports(l), nil))
		run(t, next.WatchQuarantine)
		out(next)
		out(next)
		if after, _ := l.Row(ref); after.Epoch != before.Epoch || again.activations() != 1 || again.count("activated trip") != 0 {
			t.Errorf("after a restart its row was claimed, %d to %d, or it was activated: %v", before.Epoch, after.Epoch, again.of)
		}

		kept.release(ref, ledger.WholeActor)
		<-time.After(3 * time.Second)
		for _, s := range []*actors.System{s, next} {
			must[toyReply](t)(ask(t, s, to, add{id: "released"}))
		}
		if got := breakOften(t, next, to, 9); got["INTERRUPTED"]+got["POISONED"] != 9 {
			t.Errorf("nine more panics after its release: %v", got)
		}
	})
	t.Run("control", func(t *testing.T) {
		in(t, func(t *testing.T) {
			l, seen := actortest.TripLedger(), &counts{}
			to := born(l, "a")
			s := actortest.Start(t, actors.Config{MaxPanics: math.MaxInt, Observer: seen}, toys(ports(l), nil))
			if got := breakOften(t, s, to, 100); got["INTERRUPTED"] != 100 || seen.activations() != 100 {
				t.Errorf("with the mechanism off: %v, %d activations", got, seen.activations())
			}
		})
	})
}

// Panics that are rarer than ten in ten minutes take nobody out.
func TestAnActorThatBreaksNowAndThenStays(t *testing.T) {
	in(t, func(t *testing.T) {
		l := actortest.TripLedger()
		to := born(l, "a")
		s := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		for n := range 50 {
			_, err := ask(t, s, to, bomb{fmt.Sprint("b", n)})
			wantErr(t, err, actors.ErrInterrupted)
			<-time.After(67 * time.Second) // the tenth is 603 s after the first
		}
		must[toyReply](t)(ask(t, s, to, add{id: "fine"}))
	})
}

// An actor that cannot even be made is taken out as well, and all who wait for it are told. One without a
// row, of which no store knows, is tried again after ten minutes.
func TestAnActorThatCannotBeMadeIsTakenOut(t *testing.T) {
	in(t, func(t *testing.T) {
		made, seen := 0, &counts{}
		s := actortest.Start(t, actors.Config{Observer: seen}, actors.Kind{
			Name: "driver", Queue: 8, Idle: time.Minute, MaxLive: 10,
			New: func(context.Context, *actors.Self) (actors.Actor, error) { made++; panic("planted in New") },
		})
		to := actors.Address{Kind: "driver", ID: "D1"}
		for n := range 30 {
			_, err := ask(t, s, to, get{})
			want := actors.ErrInterrupted
			if n >= ledger.PanicsOut-1 {
				want = actors.ErrQuarantined
			}
			wantErr(t, err, want)
		}
		if made != ledger.PanicsOut || seen.count("panicked driver New") != made || seen.count("taken out driver") != 1 {
			t.Errorf("tried %d times, seen %v", made, seen.of)
		}
		<-time.After(10 * time.Minute)
		_, err := ask(t, s, to, get{})
		wantErr(t, err, actors.ErrInterrupted)
	})
}

// Whoever waits behind the panic that takes an actor out is refused at once and not at his own deadline.
func TestWhoeverWaitsForAnActorTakenOutIsTold(t *testing.T) {
	in(t, func(t *testing.T) {
		l := actortest.TripLedger()
		to := born(l, "a")
		s := actortest.Start(t, actors.Config{MaxPanics: 1}, toys(ports(l), nil))
		began := time.Now()
		answers := make(chan error, 20)
		for n := range cap(answers) {
			go func() {
				_, err := ask(t, s, to, bomb{fmt.Sprint("b", n)})
				answers <- err
			}()
		}
		for range cap(answers) {
			wantErr(t, <-answers, actors.ErrQuarantined)
		}
		if took := time.Since(began); took > time.Second || s.Live("trip") != 0 {
			t.Errorf("after %s, %d actors live", took, s.Live("trip"))
		}
	})
}

// fragileEnd is the toy, but what follows some of its commits breaks it.
type fragileEnd struct{ toyBehaviour }

func (b fragileEnd) Committed(_ context.Context, _ *actors.Durable[toy], _ toy, done actors.Committed) {
	if len(done.Events) > 0 && done.Events[0].ID == "breaks" {
		panic("planted after the commit")
	}
}

// However often the outcomes of commands without an id break an actor, the outcomes of others reach it: an
// actor that is kept from what it waits for would wait for ever.
func TestAnActorGetsItsOwnResults(t *testing.T) {
	in(t, func(t *testing.T) {
		l := actortest.TripLedger()
		to := born(l, "a")
		kind := toys(ports(l), nil)
		kind.New = func(ctx context.Context, self *actors.Self) (actors.Actor, error) {
			return actors.NewDurable(ctx, self, ledger.Ref{Kind: ledger.Trip, ID: self.ID()}, ports(l), fragileEnd{toyBehaviour{id: self.ID()}})
		}
		s := actortest.Start(t, actors.Config{}, kind)
		for range 5 {
			must[toyReply](t)(ask(t, s, to, add{id: "breaks"}))
			synctest.Wait()
		}
		began := time.Now()
		if got := must[toyReply](t)(ask(t, s, to, add{id: "fine"})); got.Ops != 6 || time.Since(began) > time.Second {
			t.Errorf("answered %+v after %s", got, time.Since(began))
		}
	})
}
