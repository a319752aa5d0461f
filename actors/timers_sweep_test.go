package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/ledger"
)

// late is a store whose claims and commits take their time.
type late struct{ *actortest.Ledger }

const storeTakes = 10 * time.Millisecond

func (l late) Claim(ctx context.Context, ref ledger.Ref, node string) (ledger.Claimed, error) {
	<-time.After(storeTakes)
	if strings.HasPrefix(ref.ID, "stuck") {
		return ledger.Claimed{}, fmt.Errorf("planted: %s cannot be loaded", ref.ID)
	}
	return l.Ledger.Claim(ctx, ref, node)
}

func (l late) Commit(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	<-time.After(storeTakes)
	return l.Ledger.Commit(ctx, ts)
}

// roomy is a task with room for many toys over a late store.
func roomy(t *testing.T, l *actortest.Ledger, node string) *actors.System {
	t.Helper()
	kind := toys(actors.Ledger{Writer: late{l}, Claimer: late{l}}, nil)
	kind.MaxLive = 50_000
	return actortest.Start(t, actors.Config{Node: node}, kind)
}

// waiting puts toys into the ledger whose bells are due at an instant, as a killed task leaves them.
func waiting(t *testing.T, l *actortest.Ledger, prefix string, count int, due time.Time) {
	t.Helper()
	const batch = 500
	for n := 0; n < count; n += batch {
		var births []ledger.Transition
		for i := n; i < min(n+batch, count); i++ {
			b := ledger.Transition{Ref: ledger.Ref{Kind: ledger.Trip, ID: fmt.Sprintf("%s-%05d", prefix, i)}, State: []byte(`{"bell":1}`), At: time.Now()}
			b.Timers = []ledger.TimerChange{{Name: "bell", Due: due, Number: 1}}
			births = append(births, b)
		}
		for _, o := range l.Commit(t.Context(), births) {
			if o.Status != ledger.Committed {
				t.Fatalf("not born: %+v", o)
			}
		}
	}
}

// rung counts the toys whose bell rang once, and fails when one rang more often.
func rung(t *testing.T, l *actortest.Ledger, prefix string, count int) int {
	t.Helper()
	once := 0
	for i := range count {
		switch rings := stateOf(t, l, fmt.Sprintf("%s-%05d", prefix, i)).Rings; rings {
		case 0:
		case 1:
			once++
		default:
			t.Errorf("%s %d rang %d times", prefix, i, rings)
		}
	}
	return once
}

// A task dies with 10,000 timers pending, all of which are overdue when the next one starts. Ten seconds
// later none is more than 10 s overdue, and each has fired once.
//
// Invariants: 20.
func TestManyOverdueTimersFireInTenSeconds(t *testing.T) {
	timers := 10_000
	if testing.Short() {
		timers = 4_000
	}
	in(t, func(t *testing.T) {
		l := sqliteLedger(t)
		waiting(t, l, "toy", timers, time.Now().Add(5*time.Second))
		<-time.After(30 * time.Second)
		s := roomy(t, l, "node-2")
		run(t, (&actors.Sweeper{Timers: l, Router: s, Log: slog.New(slog.DiscardHandler)}).Run)
		<-time.After(10 * time.Second)
		late, err := l.Overdue(t.Context(), time.Now().Add(-10*time.Second), ledger.Timer{}, timers)
		if err != nil || len(late) != 0 {
			t.Errorf("%d of %d timers are more than 10 s overdue (%v)", len(late), timers, err)
		}
		if once := rung(t, l, "toy", timers); once != timers {
			t.Errorf("%d of %d fired", once, timers)
		}
	})
}

// Rows that cannot be served, more than a page of them and the oldest of all, keep nobody waiting.
func TestUnservedTimersStarveNobody(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		const stuck = 1500
		waiting(t, l, "stuck", stuck, time.Now())
		<-time.After(10 * time.Second)
		waiting(t, l, "toy", 1, time.Now())
		tells := &counted{Router: roomy(t, l, "node-1"), seen: map[string]int{}}
		run(t, (&actors.Sweeper{Timers: l, Router: tells, Log: slog.New(slog.DiscardHandler)}).Run)
		<-time.After(5*time.Second + 100*time.Millisecond)
		if rung(t, l, "toy", 1) != 1 {
			t.Error("the one that can be served has not fired 5 s after it was due")
		}
		<-time.After(6 * time.Second)
		for id, n := range tells.all() { // at the ticks of 1, 4, 7 and 10 s
			if n > 4 {
				t.Errorf("%s was sent %d firings in 11 s", id, n)
			}
		}
	})
}

// counted counts what is told to each actor.
type counted struct {
	actors.Router
	mu   sync.Mutex
	seen map[string]int
}

// Tell implements actors.Router.
func (c *counted) Tell(ctx context.Context, to actors.Address, msg any) error {
	c.mu.Lock()
	c.seen[to.ID]++
	c.mu.Unlock()
	if c.Router == nil {
		return nil
	}
	return c.Router.Tell(ctx, to, msg)
}

func (c *counted) all() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	copied := make(map[string]int, len(c.seen))
	for id, n := range c.seen {
		copied[id] = n
	}
	return copied
}

// endless is a store with so many overdue timers, none of which is ever served.
type endless int

// Overdue implements ledger.Timers.
func (e endless) Overdue(_ context.Context, _ time.Time, after ledger.Timer, limit int) ([]ledger.Timer, error) {
	var page []ledger.Timer
	for n := int(after.Number) + 1; n <= int(e) && len(page) < limit; n++ {
		page = append(page, ledger.Timer{Ref: ledger.Ref{Kind: ledger.Trip, ID: fmt.Sprint(n)}, Name: "bell", Number: int64(n)})
	}
	return page, nil
}

// What a tick sends and what the sweeper remembers are bounded; whoever waits behind has his turn later.
func TestSweeperIsBoundedAndFair(t *testing.T) {
	in(t, func(t *testing.T) {
		const rows, bound = 50_000, 20_480
		tells := &counted{seen: map[string]int{}}
		run(t, (&actors.Sweeper{Timers: endless(rows), Router: tells, Log: slog.New(slog.DiscardHandler)}).Run)
		<-time.After(1500 * time.Millisecond)
		if got := len(tells.all()); got == 0 || got > bound {
			t.Errorf("the first tick sent %d firings, want at most %d", got, bound)
		}
		<-time.After(10 * time.Second)
		if got := len(tells.all()); got != rows {
			t.Errorf("%d of %d rows had their turn", got, rows)
		}
	})
}

// Two tasks know of one timer row: each has had its actor in memory, the clock of each is armed, and both
// sweep. It has one effect, and it is gone.
//
// Invariants: 6, 20.
func TestTwoTasksFireOneTimerOnce(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		one := actortest.Start(t, actors.Config{Node: "node-1"}, toys(ports(l), nil))
		two := actortest.Start(t, actors.Config{Node: "node-2"}, toys(ports(l), nil))
		for _, s := range []*actors.System{one, two} {
			run(t, (&actors.Sweeper{Timers: l, Router: s, Log: slog.New(slog.DiscardHandler)}).Run)
		}
		must[toyReply](t)(ask(t, one, to, arm{45 * time.Second}))
		must[toy](t)(ask(t, two, to, get{})) // claims the row; the first still believes that it owns it
		if one.Live("trip") != 1 || two.Live("trip") != 1 {
			t.Fatal("the actor is not in memory on both")
		}
		row, _ := l.Row(ledger.Ref{Kind: ledger.Trip, ID: "a"})
		<-time.After(45 * time.Second)
		synctest.Wait()
		for range 3 { // and both are told again, at once
			for _, s := range []*actors.System{one, two} {
				if err := s.Tell(t.Context(), to, protocol.TimerDue{Name: "bell", Number: 1}); err != nil {
					t.Fatal(err)
				}
			}
		}
		<-time.After(20 * time.Second)
		after, _ := l.Row(ledger.Ref{Kind: ledger.Trip, ID: "a"})
		if got := stateOf(t, l, "a").Rings; got != 1 || after.Version != row.Version+1 {
			t.Errorf("rang %d times in %d steps, want once in one", got, after.Version-row.Version)
		}
		left, err := l.Overdue(t.Context(), time.Now(), ledger.Timer{}, 10)
		if err != nil || len(left) != 0 {
			t.Errorf("left: %v (%v)", left, err)
		}
	})
}
