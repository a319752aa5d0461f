package actors_test

import (
	"context"
	"encoding/json"
	"errors"
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
	"weelo/internal/fault"
	"weelo/internal/ledger"
)

// slowly answers commits and claims only when told to.
type slowly struct {
	*actortest.Ledger
	gate  chan struct{} // one receive per commit
	begun chan struct{} // one send per commit
}

func (s slowly) Commit(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	s.begun <- struct{}{}
	<-s.gate
	return s.Ledger.Commit(ctx, ts)
}

func ask(t *testing.T, r actors.Router, to actors.Address, msg any) (any, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return r.Ask(ctx, to, msg)
}

func must[T any](t *testing.T) func(v any, err error) T {
	t.Helper()
	return func(v any, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		return v.(T)
	}
}

func wantErr(t *testing.T, err error, want *fault.Error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error = %v, want %s", err, want.Reason)
	}
}

func stateOf(t *testing.T, l *actortest.Ledger, id string) toy {
	t.Helper()
	row, ok := l.Row(ledger.Ref{Kind: ledger.Trip, ID: id})
	if !ok {
		t.Fatalf("no row %s", id)
	}
	var s toy
	if err := json.Unmarshal(row.State, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNothingLeavesBeforeTheCommit(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		slow := slowly{l, make(chan struct{}), make(chan struct{}, 1)}
		committed := make(chan actors.Committed, 1)
		s := actortest.Start(t, actors.Config{}, toys(actors.Ledger{Writer: slow, Claimer: l}, committed))
		answered := make(chan toyReply, 1)
		go func() { answered <- must[toyReply](t)(ask(t, s, to, add{id: "x"})) }()
		<-slow.begun
		synctest.Wait()
		select {
		case <-answered:
			t.Fatal("answered before the commit")
		case <-committed:
			t.Fatal("fanned out before the commit")
		default:
		}
		if got := must[toy](t)(ask(t, s, to, get{})); len(got.Ops) != 0 {
			t.Fatalf("a query saw what is not committed: %v", got)
		}
		slow.gate <- struct{}{}
		if got := <-answered; got != (toyReply{Ops: 1, Version: 2}) {
			t.Fatalf("answer = %+v", got)
		}
		done := <-committed
		if want := []ledger.Number{{Event: 0, Recipient: "watcher", Seq: 1}}; !cmp.Equal(done.Numbers, want) {
			t.Fatalf("numbers = %v", done.Numbers)
		}
		if got := must[toy](t)(ask(t, s, to, get{})); len(got.Ops) != 1 {
			t.Fatalf("state after the commit = %v", got)
		}
	})
}

func TestCommandsWaitBehindACommitAndThenAreRefused(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		slow := slowly{l, make(chan struct{}), make(chan struct{}, 64)}
		s := actortest.Start(t, actors.Config{}, toys(actors.Ledger{Writer: slow, Claimer: l}, nil))
		const commands = 40
		results := make(chan error, commands)
		for n := range commands {
			go func() {
				_, err := ask(t, s, to, add{id: fmt.Sprint(n)})
				results <- err
			}()
		}
		synctest.Wait()
		busy := 0
		for len(results) > 0 {
			wantErr(t, <-results, actors.ErrBusy)
			busy++
		}
		if busy != commands-33 {
			t.Fatalf("%d refused, want all but the one in flight and the 32 that wait", busy)
		}
		close(slow.gate)
		for range 33 {
			if err := <-results; err != nil {
				t.Fatalf("one that waited: %v", err)
			}
		}
		if got := stateOf(t, l, "a"); len(got.Ops) != 33 {
			t.Fatalf("%d effects, want 33", len(got.Ops))
		}
	})
}

func TestRefusalAndReplayWriteNothing(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		s := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		_, err := ask(t, s, to, add{id: "refused"})
		wantErr(t, err, errNotToday)
		if got := must[toyReply](t)(ask(t, s, to, add{id: "nothing"})); got.Version != 1 {
			t.Fatalf("answer = %+v", got)
		}
		if l.Commits() != 1 {
			t.Fatalf("%d commits, want the birth alone", l.Commits())
		}
	})
}

func TestMissingRowLeavesNoActivation(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		s := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		_, err := ask(t, s, actors.Address{Kind: "trip", ID: "nowhere"}, get{})
		wantErr(t, err, actors.ErrNotFound)
		synctest.Wait()
		if s.Live("trip") != 0 {
			t.Fatal("a missing row left an activation")
		}
	})
}

// A command whose COMMIT was answered into the void: the actor stops without an answer, and the
// client's retry meets the truth.
func TestLostReplyIsNeitherLostNorDoubled(t *testing.T) {
	for name, f := range map[string]actortest.Fault{"after the commit": actortest.LostReply, "before the commit": actortest.LostWrite} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, l *actortest.Ledger) {
				to := born(l, "a")
				first := true
				l.Break(func(ledger.Transition) actortest.Fault {
					if first {
						first = false
						return f
					}
					return actortest.NoFault
				})
				s := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
				cmd := add{id: "x", key: "k1", hash: "h"}
				_, err := ask(t, s, to, cmd)
				wantErr(t, err, actors.ErrInterrupted)
				synctest.Wait()
				if s.Live("trip") != 0 {
					t.Fatal("an actor that does not know its state must stop")
				}
				if got := must[toyReply](t)(ask(t, s, to, cmd)); got.Ops != 1 {
					t.Fatalf("retry = %+v", got)
				}
				if got := stateOf(t, l, "a").Ops; !cmp.Equal(got, []string{"x"}) {
					t.Fatalf("effects = %v, want x once", got)
				}
			})
		})
	}
}

func TestCommandIDHasOneEffect(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		s := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		cmd := add{id: "x", key: "k1", hash: "h"}
		first := must[toyReply](t)(ask(t, s, to, cmd))
		must[toyReply](t)(ask(t, s, to, add{id: "y"}))
		again := must[toyReply](t)(ask(t, s, to, cmd)) // from the activation's memory
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		second := actortest.Start(t, actors.Config{Node: "node-2"}, toys(ports(l), nil))
		later := must[toyReply](t)(ask(t, second, to, cmd)) // from the idempotency record
		if first != again || first != later {
			t.Fatalf("answers differ: %+v, %+v, %+v", first, again, later)
		}
		_, err := ask(t, second, to, add{id: "z", key: "k1", hash: "another"})
		wantErr(t, err, actors.ErrKeyReused)
		if got := stateOf(t, l, "a").Ops; !cmp.Equal(got, []string{"x", "y"}) {
			t.Fatalf("effects = %v", got)
		}
	})
}

// Two tasks believe to own the row. The older one is refused at its next commit and stops.
func TestFencedActivationStops(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		old := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		young := actortest.Start(t, actors.Config{Node: "node-2"}, toys(ports(l), nil))
		must[toyReply](t)(ask(t, old, to, add{id: "1"}))
		must[toyReply](t)(ask(t, young, to, add{id: "2"}))
		_, err := ask(t, old, to, add{id: "3"})
		wantErr(t, err, actors.ErrInterrupted)
		synctest.Wait()
		if old.Live("trip") != 0 {
			t.Fatal("a fenced actor must leave the table")
		}
		must[toyReply](t)(ask(t, young, to, add{id: "4"}))
		if got := stateOf(t, l, "a").Ops; !cmp.Equal(got, []string{"1", "2", "4"}) {
			t.Fatalf("effects = %v", got)
		}
	})
}

// The control: without the fence the older activation overwrites what the younger one acknowledged.
func TestWithoutTheFenceAnAcknowledgedCommandIsLost(t *testing.T) {
	in(t, func(t *testing.T) {
		l := actortest.Unfenced()
		to := born(l, "a")
		old := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		young := actortest.Start(t, actors.Config{Node: "node-2"}, toys(ports(l), nil))
		must[toyReply](t)(ask(t, old, to, add{id: "1"}))
		must[toyReply](t)(ask(t, young, to, add{id: "2"}))
		must[toyReply](t)(ask(t, old, to, add{id: "3"}))
		if got := stateOf(t, l, "a").Ops; cmp.Equal(got, []string{"1", "2", "3"}) {
			t.Fatal("nothing was lost without the fence: the test of the fence proves nothing")
		}
	})
}

// Somebody else's transaction wrote the row under our epoch: read it and decide again.
func TestMovedRowIsReadAndDecidedAgain(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		s := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		must[toyReply](t)(ask(t, s, to, add{id: "1"}))
		elsewhere(t, l, `{"ops":["1","other"]}`)
		if got := must[toyReply](t)(ask(t, s, to, add{id: "2"})); got != (toyReply{Ops: 3, Version: 4}) {
			t.Fatalf("answer = %+v", got)
		}
		if got := stateOf(t, l, "a").Ops; !cmp.Equal(got, []string{"1", "other", "2"}) {
			t.Fatalf("effects = %v", got)
		}
	})
}

// elsewhere writes the row as a command over several aggregates does: version + 1, epoch untouched.
func elsewhere(t *testing.T, l *actortest.Ledger, state string) int64 {
	t.Helper()
	ref := ledger.Ref{Kind: ledger.Trip, ID: "a"}
	row, _ := l.Row(ref)
	o := l.Commit(t.Context(), []ledger.Transition{{Ref: ref, Version: row.Version, Epoch: row.Epoch, State: json.RawMessage(state), At: time.Now()}})
	if o[0].Status != ledger.Committed {
		t.Fatalf("write from elsewhere: %+v", o[0])
	}
	return row.Version + 1
}

func TestRowThatMovesForEverIsBusy(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		moving := always{ledger.Outcome{Status: ledger.Moved}}
		s := actortest.Start(t, actors.Config{}, toys(actors.Ledger{Writer: moving, Claimer: l}, nil))
		_, err := ask(t, s, to, add{id: "x"})
		wantErr(t, err, actors.ErrBusy)
		if row, _ := l.Row(ledger.Ref{Kind: ledger.Trip, ID: "a"}); row.Epoch != 4 {
			t.Fatalf("epoch = %d, want the first claim and three more", row.Epoch)
		}
	})
}

// always answers every transition alike.
type always struct{ ledger.Outcome }

func (a always) Commit(_ context.Context, ts []ledger.Transition) []ledger.Outcome {
	out := make([]ledger.Outcome, len(ts))
	for i := range out {
		out[i] = a.Outcome
	}
	return out
}

func TestOutcomesThatStopAndThatDoNot(t *testing.T) {
	for _, c := range []struct {
		status ledger.Status
		want   *fault.Error
		stops  bool
	}{
		{ledger.Unknown, actors.ErrInterrupted, true},
		{ledger.Fenced, actors.ErrInterrupted, true},
		{ledger.Broken, actors.ErrInterrupted, true},
		{ledger.Missing, actors.ErrNotFound, true},
		{ledger.Failed, actors.ErrInterrupted, false},
		{ledger.Mismatched, actors.ErrKeyReused, false},
		{ledger.Taken, fault.New(fault.Conflict, "TAKEN", ""), false},
	} {
		t.Run(c.want.Reason, func(t *testing.T) {
			each(t, func(t *testing.T, l *actortest.Ledger) {
				to := born(l, "a")
				s := actortest.Start(t, actors.Config{}, toys(actors.Ledger{Writer: always{ledger.Outcome{Status: c.status}}, Claimer: l}, nil))
				_, err := ask(t, s, to, add{id: "x"})
				wantErr(t, err, c.want)
				synctest.Wait()
				if stopped := s.Live("trip") == 0; stopped != c.stops {
					t.Fatalf("status %d: stopped = %v, want %v", c.status, stopped, c.stops)
				}
			})
		})
	}
}

func TestPanicReloadsFromTheStore(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		s := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		must[toyReply](t)(ask(t, s, to, add{id: "1"}))
		for _, want := range []*fault.Error{actors.ErrInterrupted, actors.ErrInterrupted, actors.ErrPoisoned, actors.ErrPoisoned} {
			_, err := ask(t, s, to, bomb{"b"})
			wantErr(t, err, want)
		}
		if got := must[toyReply](t)(ask(t, s, to, add{id: "2"})); got.Ops != 2 {
			t.Fatalf("answer = %+v", got)
		}
	})
}

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
