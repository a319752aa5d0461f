package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/ledger"
)

func TestTimerRowsOutliveTheTask(t *testing.T) {
	for name, after := range map[string]func(t *testing.T, l *actortest.Ledger, to actors.Address, second *actors.System){
		"activated by a message": func(t *testing.T, _ *actortest.Ledger, to actors.Address, second *actors.System) {
			must[toy](t)(ask(t, second, to, get{}))
		},
		"found by the sweeper": func(t *testing.T, l *actortest.Ledger, _ actors.Address, second *actors.System) {
			run(t, (&actors.Sweeper{Timers: l, Router: second, Log: slog.New(slog.DiscardHandler)}).Run)
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, l *actortest.Ledger) {
				to := born(l, "a")
				first := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
				must[toyReply](t)(ask(t, first, to, arm{45 * time.Second}))
				if err := first.Drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				<-time.After(30 * time.Second)
				second := actortest.Start(t, actors.Config{Node: "node-2"}, toys(ports(l), nil))
				after(t, l, to, second)
				<-time.After(14 * time.Second)
				if got := stateOf(t, l, "a").Rings; got != 0 {
					t.Fatalf("rang %d times a second too early", got)
				}
				<-time.After(5 * time.Second)
				if got := stateOf(t, l, "a").Rings; got != 1 {
					t.Fatalf("rang %d times, want once", got)
				}
			})
		})
	}
}

// run starts something that runs until the test ends.
func run(t *testing.T, f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func TestWrongTimerNumberIsIgnored(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		s := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		must[toyReply](t)(ask(t, s, to, arm{time.Hour}))
		must[toyReply](t)(ask(t, s, to, arm{2 * time.Hour})) // number 2 replaces number 1
		for _, n := range []int64{0, 1, 3} {
			if err := s.Tell(t.Context(), to, protocol.TimerDue{Name: "bell", Number: n}); err != nil {
				t.Fatal(err)
			}
		}
		if got := must[toy](t)(ask(t, s, to, get{})); got.Rings != 0 {
			t.Fatal("a wrong number rang")
		}
		for range 2 { // the armed number, delivered twice
			if err := s.Tell(t.Context(), to, protocol.TimerDue{Name: "bell", Number: 2}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := must[toy](t)(ask(t, s, to, get{})); got.Rings != 1 {
			t.Fatalf("rang %d times, want once", got.Rings)
		}
	})
}

func TestDurableMessageArrivesOnce(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		from, to := born(l, "a"), born(l, "b")
		s := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		run(t, (&actors.Relay{Outbox: l, Router: s, Log: slog.New(slog.DiscardHandler)}).Run)

		must[toyReply](t)(ask(t, s, from, send{"m1", to.String()}))
		synctest.Wait()
		if got, left := stateOf(t, l, "b").Letters, unsent(t, l); !cmp.Equal(got, []string{"m1"}) || left != 0 {
			t.Fatalf("letters = %v, %d unsent: a message is sent at once and crossed off", got, left)
		}

		refuse := 4 // how many letters the receiver's writer still refuses
		l.Break(func(tr ledger.Transition) actortest.Fault {
			if tr.Ref.ID == "b" && refuse > 0 {
				refuse--
				return []actortest.Fault{actortest.Refused, actortest.LostReply}[refuse%2]
			}
			return actortest.NoFault
		})
		must[toyReply](t)(ask(t, s, from, send{"m2", to.String()}))
		<-time.After(time.Minute)
		if got, left := stateOf(t, l, "b").Letters, unsent(t, l); !cmp.Equal(got, []string{"m1", "m2"}) || left != 0 {
			t.Fatalf("letters = %v, %d unsent: the relay sends until it is committed", got, left)
		}

		must[toyReply](t)(ask(t, s, from, send{"m3", "trip/nowhere"}))
		<-time.After(time.Minute)
		if left := unsent(t, l); left != 1 {
			t.Fatalf("%d unsent, want the one that has no receiver", left)
		}
	})
}

func TestHintReadsWhatSomebodyElseWrote(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		s := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		must[toyReply](t)(ask(t, s, to, add{id: "1"}))
		version := elsewhere(t, l, `{"ops":["1","other"]}`)
		if err := s.Tell(t.Context(), to, protocol.Hint{Version: version}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := must[toy](t)(ask(t, s, to, get{})).Ops; !cmp.Equal(got, []string{"1", "other"}) {
			t.Fatalf("state = %v", got)
		}
	})
}

func TestDrainFinishesWhatIsInFlight(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		slow := slowly{l, make(chan struct{}), make(chan struct{}, 64)}
		s := actortest.Start(t, actors.Config{}, toys(actors.Ledger{Writer: slow, Claimer: l}, nil))
		var all sync.WaitGroup
		for n := range 5 {
			all.Go(func() {
				if _, err := ask(t, s, to, add{id: fmt.Sprint(n)}); err != nil {
					t.Errorf("accepted before the drain: %v", err)
				}
			})
		}
		synctest.Wait()
		all.Go(func() {
			if err := s.Drain(context.Background()); err != nil {
				t.Errorf("drain: %v", err)
			}
		})
		<-time.After(100 * time.Millisecond)
		close(slow.gate)
		all.Wait()
		_, err := ask(t, s, to, get{})
		wantErr(t, err, actors.ErrShuttingDown)
		if got := stateOf(t, l, "a").Ops; len(got) != 5 {
			t.Fatalf("%d effects, want 5", len(got))
		}
	})
}
