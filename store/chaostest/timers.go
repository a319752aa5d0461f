package chaostest

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"weelo/internal/ledger"
)

// TimersSurvive arms, moves and cancels timers with kills in between: what is overdue afterwards is
// exactly what was last acknowledged, and a claim loads it for the next activation.
func TimersSurvive(t testing.TB, b Backend, timers ledger.Timers) {
	t.Helper()
	ctx, cancel := within(t)
	defer cancel()
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	tr := ledger.Transition{
		Ref: ledger.Ref{Kind: ledger.Trip, ID: uuid.NewString()}, State: json.RawMessage(`{}`), At: at,
		Timers: []ledger.TimerChange{{Name: "accept", Due: at.Add(45 * time.Second), Number: 1}, {Name: "silence", Due: at.Add(6 * time.Hour), Number: 1}},
	}
	step := func(changes ...ledger.TimerChange) {
		t.Helper()
		if changes != nil {
			tr.Timers = changes
		}
		if o := b.Writer.Commit(ctx, []ledger.Transition{tr})[0]; o.Status != ledger.Committed {
			t.Fatalf("%v (%v)", o.Status, o.Err)
		}
		tr.Version++
	}
	// after kills, and tells that the sweeper and the next activation both find want.
	after := func(want ...ledger.Timer) {
		t.Helper()
		b.Kill()
		var claimed ledger.Claimed
		if err := eventually(ctx, func() (err error) {
			claimed, err = b.Claimer.Claim(ctx, tr.Ref, "next")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		tr.Epoch = claimed.Epoch
		if diff := cmp.Diff(want, claimed.Timers); diff != "" {
			t.Errorf("loaded by a claim:\n%s", diff)
		}
		overdue, err := timers.Overdue(ctx, at.Add(24*time.Hour), ledger.Timer{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, overdue); diff != "" {
			t.Errorf("overdue:\n%s", diff)
		}
	}
	timer := func(name string, due time.Duration, number int64) ledger.Timer {
		return ledger.Timer{Ref: tr.Ref, Name: name, Due: at.Add(due), Number: number}
	}
	step()
	after(timer("accept", 45*time.Second, 1), timer("silence", 6*time.Hour, 1))
	// It fired: the step that it caused cancels it and moves the other, all in one.
	step(ledger.TimerChange{Name: "accept"}, ledger.TimerChange{Name: "silence", Due: at.Add(12 * time.Hour), Number: 2})
	after(timer("silence", 12*time.Hour, 2))
	// The same firing again, by the activation that died: refused, so it cannot cancel twice.
	stale := tr
	stale.Epoch, stale.Timers = tr.Epoch-1, []ledger.TimerChange{{Name: "silence"}}
	if o := b.Writer.Commit(ctx, []ledger.Transition{stale})[0]; o.Status != ledger.Fenced {
		t.Errorf("a dead activation's timer: %v (%v)", o.Status, errors.Unwrap(o.Err))
	}
	after(timer("silence", 12*time.Hour, 2))
}
