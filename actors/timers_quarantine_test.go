package actors_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/ledger"
)

// crackedBell is the toy, but one arming of its bell breaks it.
type crackedBell struct {
	toyBehaviour
	cracked int64 // its number
}

func (b crackedBell) Decide(s toy, command any, now time.Time) (actors.Step[toy], error) {
	if due, ok := command.(protocol.TimerDue); ok && due.Number == b.cracked {
		panic("planted in the bell")
	}
	return b.toyBehaviour.Decide(s, command, now)
}

// An arming of a timer that breaks its actor three times is kept from it, and nothing but that arming:
// the timer of the same name that is armed next rings, once.
func TestAQuarantinedArmingBlocksOnlyItself(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		kind := toys(ports(l), nil)
		kind.New = func(ctx context.Context, self *actors.Self) (actors.Actor, error) {
			return actors.NewDurable(ctx, self, ledger.Ref{Kind: ledger.Trip, ID: self.ID()}, ports(l), crackedBell{toyBehaviour{id: self.ID()}, 1})
		}
		kept := &struck{of: map[ledger.Ref][]ledger.Struck{}}
		s := actortest.Start(t, actors.Config{Quarantine: kept}, kind)
		run(t, (&actors.Sweeper{Timers: l, Router: s, Log: slog.New(slog.DiscardHandler)}).Run)
		must[toyReply](t)(ask(t, s, to, arm{wait: time.Second}))
		<-time.After(time.Minute)
		left, err := l.Overdue(t.Context(), time.Now(), ledger.Timer{}, 10)
		if err != nil || len(left) != 1 || left[0].Number != 1 {
			t.Fatalf("left is %v, %v, want the broken arming", left, err)
		}
		must[toyReply](t)(ask(t, s, to, arm{wait: time.Second}))
		<-time.After(time.Minute)
		if got := must[toy](t)(ask(t, s, to, get{})); got.Rings != 1 || got.Bell != 2 {
			t.Errorf("armed again: %+v, want one ring", got)
		}
		kept.mu.Lock()
		defer kept.mu.Unlock()
		of := kept.of[ledger.Ref{Kind: ledger.Trip, ID: "a"}]
		if !slices.ContainsFunc(of, func(c ledger.Struck) bool { return c.CommandID == "timer:bell:1" && c.Strikes == ledger.StrikesOut }) || len(of) != 1 {
			t.Errorf("strikes %+v, want three of the first arming", of)
		}
	})
}
