package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/ledger"
)

// desk takes letters for every actor, each in its time; those that are stuck take none.
type desk struct {
	actors.Router
	mu    sync.Mutex
	stuck map[string]bool
	kept  map[string]bool // letters in quarantine
	takes time.Duration
	tries map[string]int      // by receiver
	got   map[string][]string // letters by receiver
	open  map[string]bool     // letters that are being handled
	twice []string            // letters that were handled by two at once
}

func newDesk(takes time.Duration, stuck ...string) *desk {
	d := &desk{takes: takes, stuck: map[string]bool{}, kept: map[string]bool{}, tries: map[string]int{}, got: map[string][]string{}, open: map[string]bool{}}
	for _, id := range stuck {
		d.stuck[id] = true
	}
	return d
}

// Ask implements actors.Router.
func (d *desk) Ask(ctx context.Context, to actors.Address, msg any) (any, error) {
	id := msg.(*protocol.Letter).ID
	d.mu.Lock()
	d.tries[to.ID]++
	stuck := d.stuck[to.ID]
	if d.kept[id] {
		d.mu.Unlock()
		return nil, actors.ErrPoisoned
	}
	if d.open[id] {
		d.twice = append(d.twice, id)
	}
	d.open[id] = true
	d.mu.Unlock()
	if stuck {
		<-ctx.Done()
	} else {
		<-time.After(d.takes)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, id)
	if stuck {
		return nil, actors.ErrNoAnswer
	}
	d.got[to.ID] = append(d.got[to.ID], id)
	return struct{}{}, nil
}

// release lets a stuck one take its letters, or a letter out of quarantine.
func (d *desk) release(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.stuck, id)
	delete(d.kept, id)
}

func (d *desk) of(id string) (got []string, tries int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.got[id]), d.tries[id]
}

// writes puts count letters from one actor to another into the outbox and gives their ids in order.
func writes(t *testing.T, l *actortest.Ledger, from, to string, count int) []string {
	t.Helper()
	birth := ledger.Transition{Ref: ledger.Ref{Kind: ledger.Trip, ID: from}, State: []byte(`{}`), At: time.Now()}
	var ids []string
	for n := range count {
		id := fmt.Sprintf("%s-%04d", from, n)
		ids = append(ids, id)
		birth.Outbox = append(birth.Outbox, ledger.Message{ID: id, Channel: "actor", To: "trip/" + to, Type: "hello", Body: []byte(`{}`)})
	}
	if o := l.Commit(t.Context(), []ledger.Transition{birth})[0]; o.Status != ledger.Committed {
		t.Fatalf("not written: %+v", o)
	}
	return ids
}

func relay(t *testing.T, l *actortest.Ledger, to actors.Router) {
	t.Helper()
	run(t, (&actors.Relay{Outbox: l, Router: to, Log: slog.New(slog.DiscardHandler)}).Run)
}

// An actor that does not answer has more letters than a page holds. It is tried with one of them, each
// time after a longer wait; everybody else's arrive at once; and when it comes back it gets all, in order.
//
// Invariants: 21.
func TestAStuckReceiverStopsOnlyItsOwnLetters(t *testing.T) {
	in(t, func(t *testing.T) {
		l := sqliteLedger(t)
		d := newDesk(10*time.Millisecond, "stuck")
		stuck := writes(t, l, "a", "stuck", 200)
		relay(t, l, d)
		<-time.After(2500 * time.Millisecond) // it is being tried
		early := writes(t, l, "b", "well", 3)
		<-time.After(1500 * time.Millisecond)
		if got, _ := d.of("well"); !cmp.Equal(got, early) {
			t.Errorf("beside a stuck receiver %v arrived of %v", got, early)
		}
		<-time.After(55 * time.Second)
		if _, tries := d.of("stuck"); tries == 0 || tries > 5 {
			t.Errorf("it was tried %d times in a minute", tries)
		}
		d.release("stuck")
		<-time.After(90 * time.Second)
		if got, _ := d.of("stuck"); !cmp.Equal(got, stuck) {
			t.Errorf("%d of %d letters came, in this order: %v", len(got), len(stuck), got)
		}
		if left := unsent(t, l); left != 0 {
			t.Errorf("%d letters are left", left)
		}
	})
}

// A letter that is kept from its receiver holds up none behind it. Released, it comes within half a
// minute.
//
// Invariants: 21.
func TestAQuarantinedLetterHoldsUpNone(t *testing.T) {
	in(t, func(t *testing.T) {
		l := sqliteLedger(t)
		d := newDesk(10 * time.Millisecond)
		letters := writes(t, l, "a", "well", 100)
		d.kept[letters[0]], d.kept[letters[50]] = true, true
		relay(t, l, d)
		<-time.After(5 * time.Second)
		if got, _ := d.of("well"); !cmp.Equal(got, slices.Concat(letters[1:50], letters[51:])) {
			t.Errorf("%d letters came beside the quarantined ones: %v", len(got), got)
		}
		<-time.After(5 * time.Minute)
		if left := unsent(t, l); left != 2 {
			t.Errorf("%d letters are left", left)
		}
		if _, tries := d.of("well"); tries > 98+2*12 {
			t.Errorf("%d tries", tries)
		}
		d.release(letters[0])
		d.release(letters[50])
		<-time.After(35 * time.Second)
		if left := unsent(t, l); left != 0 {
			t.Errorf("%d letters are left", left)
		}
	})
}

// A receiver that takes four seconds for each letter outlasts the lease of a page. Two tasks relay: no
// letter is handled by both at once, and each arrives once.
func TestNoLetterOutlivesItsLease(t *testing.T) {
	in(t, func(t *testing.T) {
		l := sqliteLedger(t)
		d := newDesk(4 * time.Second)
		want := writes(t, l, "a", "slow", 12)
		relay(t, l, d)
		relay(t, l, d)
		<-time.After(3 * time.Minute)
		got, _ := d.of("slow")
		if slices.Sort(got); !cmp.Equal(got, want) {
			t.Errorf("arrived: %v", got)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.twice) > 0 {
			t.Errorf("handled by two at once: %v", d.twice)
		}
	})
}
