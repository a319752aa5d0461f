package actors_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors"
	"weelo/actors/actortest"
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

// What the state would refuse now, or answer without a write, is still the repeat it is: the record
// is asked before, and once more by an activation that remembers nothing.
func TestRepeatIsRecalledBeforeItIsRefused(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		s := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		first := must[toyReply](t)(ask(t, s, to, add{id: "x", key: "k1", hash: "h"}))
		must[toyReply](t)(ask(t, s, to, add{id: "y"}))
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, now := range []string{"refused", "nothing"} { // what Decide makes of the same command today
			s := actortest.Start(t, actors.Config{Node: now}, toys(ports(l), nil))
			if again := must[toyReply](t)(ask(t, s, to, add{id: now, key: "k1", hash: "h"})); again != first {
				t.Errorf("%s: %+v, want the first answer %+v", now, again, first)
			}
			_, err := ask(t, s, to, add{id: now, key: "k1", hash: "another"})
			wantErr(t, err, actors.ErrKeyReused)
			if err := s.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			s = actortest.Start(t, actors.Config{Node: now + " again"}, toys(ports(l), nil))
			_, err = ask(t, s, to, add{id: now, key: "k1", hash: "another"}) // with nothing in memory
			wantErr(t, err, actors.ErrKeyReused)
			_, err = ask(t, s, to, add{id: "refused", key: "new", hash: "h"})
			wantErr(t, err, errNotToday)
		}
	})
}

// Nobody can tell whether it was done: neither a refusal nor an answer would be true.
func TestUnreadableRecordIsNoRefusal(t *testing.T) {
	in(t, func(t *testing.T) {
		l := actortest.NewLedger()
		to := born(l, "a")
		p := ports(l)
		p.Replies = blind{}
		s := actortest.Start(t, actors.Config{}, toys(p, nil))
		_, err := ask(t, s, to, add{id: "refused", key: "k", hash: "h"})
		wantErr(t, err, actors.ErrInterrupted)
		if got := must[toyReply](t)(ask(t, s, to, add{id: "x", key: "k", hash: "h"})); got.Ops != 1 {
			t.Fatalf("the next command = %+v", got)
		}
	})
}

// blind is a store of records that cannot be read.
type blind struct{}

func (blind) Used(context.Context, string, string) (ledger.Idem, bool, error) {
	return ledger.Idem{}, false, errors.New("planted: the store is down")
}

// Two tasks believe to own the row. The older one is refused at its next commit, stops, and its
// successor claims: the command is decided on the truth, and nobody notices but the log.
func TestFencedActivationStops(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		old := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		young := actortest.Start(t, actors.Config{Node: "node-2"}, toys(ports(l), nil))
		must[toyReply](t)(ask(t, old, to, add{id: "1"}))
		must[toyReply](t)(ask(t, young, to, add{id: "2"}))
		if got := must[toyReply](t)(ask(t, old, to, add{id: "3"})); got != (toyReply{Ops: 3, Version: 4}) {
			t.Fatalf("answer = %+v", got)
		}
		if row, _ := l.Row(ledger.Ref{Kind: ledger.Trip, ID: "a"}); row.Epoch != 3 {
			t.Fatalf("epoch = %d, want a claim each and one of the successor", row.Epoch)
		}
		must[toyReply](t)(ask(t, young, to, add{id: "4"}))
		if got := stateOf(t, l, "a").Ops; !cmp.Equal(got, []string{"1", "2", "3", "4"}) {
			t.Fatalf("effects = %v", got)
		}
	})
}

// A timer of the older activation has nobody to ask again: it stops and leaves the table.
func TestFencedActivationLeavesTheTable(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		old := actortest.Start(t, actors.Config{}, toys(ports(l), nil))
		young := actortest.Start(t, actors.Config{Node: "node-2"}, toys(ports(l), nil))
		must[toyReply](t)(ask(t, old, to, arm{10 * time.Second}))
		must[toyReply](t)(ask(t, young, to, add{id: "2"}))
		<-time.After(11 * time.Second)
		if old.Live("trip") != 0 || young.Live("trip") != 1 {
			t.Fatal("a fenced actor must leave the table")
		}
		if got := stateOf(t, l, "a"); got.Rings != 1 || len(got.Ops) != 1 {
			t.Fatalf("state = %+v, want the younger one's ring alone", got)
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
		{ledger.Fenced, actors.ErrInterrupted, true}, // after three activations in a row
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
