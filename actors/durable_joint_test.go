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
	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/ledger"
)

// pair adds an op to the toy and to another one, in one transaction; born: the other is born by it.
type pair struct {
	op, other string
	born      bool
	key, hash string
}

// paired is a pair with the other's row as its preparation read it.
type paired struct {
	pair
	row ledger.Claimed
}

func (p pair) CommandID() string { return p.key }

// pairs is a toy that can be paired. look reads the other's row, off the turn.
type pairs struct {
	toyBehaviour
	look    func(ctx context.Context, p pair) (paired, error)
	refused func(command any, index int, constraint string) error
}

func (b pairs) Request(msg any) (actors.Request, bool) {
	switch m := msg.(type) {
	case pair:
		return actors.Request{Do: m, Scope: "somebody", Key: m.key, Hash: m.hash}, true
	case *protocol.Letter:
		return actors.Request{Do: m}, true // whose it is, the shell knows
	default:
		return b.toyBehaviour.Request(msg)
	}
}

func (b pairs) Prepare(_ context.Context, _ toy, command any, _ time.Time) func(context.Context) (any, error) {
	p, ok := command.(pair)
	if !ok {
		return nil
	}
	return func(ctx context.Context) (any, error) { return b.look(ctx, p) }
}

func (b pairs) Decide(s toy, command any, now time.Time) (actors.Step[toy], error) {
	p, ok := command.(paired)
	if !ok {
		return b.toyBehaviour.Decide(s, command, now)
	}
	step, err := b.toyBehaviour.Decide(s, add{id: p.op}, now)
	if err != nil || step.Transition == nil {
		return step, err
	}
	var other toy
	if !p.born {
		if err := json.Unmarshal(p.row.State, &other); err != nil {
			return step, err
		}
	}
	with, err := b.toyBehaviour.Decide(other, add{id: p.op}, now)
	if err != nil {
		return step, err
	}
	t := *with.Transition
	t.Ref, t.Version, t.Epoch = ledger.Ref{Kind: ledger.Trip, ID: p.other}, p.row.Version, p.row.Epoch
	t.Outbox = []ledger.Message{{ID: "m" + p.op, Channel: "actor", To: "trip/a", Type: "hello", Body: json.RawMessage(`{}`)}}
	step.With = []ledger.Transition{t}
	return step, nil
}

func (b pairs) Refused(command any, index int, constraint string) error {
	if b.refused == nil {
		return nil
	}
	return b.refused(command, index, constraint)
}

// reading looks at the ledger.
func reading(l *actortest.Ledger) func(context.Context, pair) (paired, error) {
	return func(_ context.Context, p pair) (paired, error) {
		if p.born {
			return paired{pair: p}, nil
		}
		row, ok := l.Row(ledger.Ref{Kind: ledger.Trip, ID: p.other})
		if !ok {
			return paired{}, actors.ErrNotFound
		}
		return paired{pair: p, row: row}, nil
	}
}

// pairKind is the kind of pairs over a ledger; change may alter the behaviour.
func pairKind(l *actortest.Ledger, change ...func(*pairs)) actors.Kind {
	k := toys(ports(l), nil)
	k.New = func(ctx context.Context, self *actors.Self) (actors.Actor, error) {
		b := pairs{toyBehaviour: toyBehaviour{id: self.ID()}, look: reading(l)}
		for _, c := range change {
			c(&b)
		}
		return actors.NewDurable(ctx, self, ledger.Ref{Kind: ledger.Trip, ID: self.ID()}, ports(l), b)
	}
	return k
}

func wantOps(t *testing.T, l *actortest.Ledger, id string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, stateOf(t, l, id).Ops); diff != "" {
		t.Fatalf("effects on %s:\n%s", id, diff)
	}
}

// While a command is prepared, others wait their turn and queries are answered.
func TestPreparationRunsOffTheTurn(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		born(l, "b")
		gate := make(chan struct{})
		s := actortest.Start(t, actors.Config{}, pairKind(l, func(b *pairs) {
			look := b.look
			b.look = func(ctx context.Context, p pair) (paired, error) {
				<-gate
				return look(ctx, p)
			}
		}))
		first, second := make(chan any, 1), make(chan any, 1)
		go func() { first <- must[toyReply](t)(ask(t, s, to, pair{op: "1", other: "b"})) }()
		synctest.Wait()
		go func() { second <- must[toyReply](t)(ask(t, s, to, add{id: "2"})) }()
		synctest.Wait()
		if got := must[toy](t)(ask(t, s, to, get{})); len(got.Ops) != 0 || len(first)+len(second) != 0 {
			t.Fatalf("something happened before the preparation was done: %v", got)
		}
		close(gate)
		if a, b := <-first, <-second; a != (toyReply{Ops: 1, Version: 2}) || b != (toyReply{Ops: 2, Version: 3}) {
			t.Fatalf("answers = %+v, %+v", a, b)
		}
		wantOps(t, l, "a", "1", "2")
		wantOps(t, l, "b", "1")
	})
}

// Nothing leaves before the commit of the whole; then the behaviour gets the whole.
func TestNothingOfAJointStepLeavesBeforeItsCommit(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		slow := slowly{l, make(chan struct{}), make(chan struct{}, 1)}
		committed := make(chan actors.Committed, 2)
		k := pairKind(l)
		k.New = func(ctx context.Context, self *actors.Self) (actors.Actor, error) {
			p := ports(l)
			p.Joint = slow
			b := pairs{toyBehaviour: toyBehaviour{self.ID(), committed}, look: reading(l)}
			return actors.NewDurable(ctx, self, ledger.Ref{Kind: ledger.Trip, ID: self.ID()}, p, b)
		}
		s := actortest.Start(t, actors.Config{}, k)
		answered := make(chan toyReply, 1)
		go func() { answered <- must[toyReply](t)(ask(t, s, to, pair{op: "1", other: "b", born: true})) }()
		<-slow.begun
		synctest.Wait()
		if len(answered)+len(committed) != 0 {
			t.Fatal("answered or fanned out before the commit")
		}
		began := time.Now()
		slow.gate <- struct{}{}
		if got := <-answered; got != (toyReply{Ops: 1, Version: 2}) {
			t.Fatalf("answer = %+v", got)
		}
		done := <-committed
		if len(done.With) != 1 || done.With[0].Ref.ID != "b" || done.With[0].At.IsZero() || done.With[0].Version != 0 {
			t.Fatalf("committed with %+v", done.With)
		}
		numbers := append(done.Numbers, done.With[0].Numbers...)
		want := []ledger.Number{{Recipient: "watcher", Seq: 1}, {Recipient: "watcher", Seq: 2}}
		if !cmp.Equal(numbers, want) {
			t.Fatalf("numbers = %v", numbers)
		}
		// The other's durable message was kept from the relay and sent at once.
		if at := done.With[0].Outbox[0].NotBefore; at.Sub(began) < time.Second {
			t.Errorf("the relay may send the message %v after the commit", at.Sub(began))
		}
		synctest.Wait()
		if got := stateOf(t, l, "a").Letters; !cmp.Equal(got, []string{"m1"}) {
			t.Errorf("letters = %v", got)
		}
		if unsent(t, l) != 0 {
			t.Error("a delivered message is left")
		}
	})
}

func (s slowly) CommitTogether(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	s.begun <- struct{}{}
	<-s.gate
	return s.Ledger.CommitTogether(ctx, ts)
}

// What was prepared on has moved: it is prepared and decided again, a few times, then BUSY. The actor's
// own row is read again only if it moved itself.
func TestMovedIsPreparedAgain(t *testing.T) {
	moves := map[string]func(t *testing.T, l *actortest.Ledger){
		"the other was written": func(t *testing.T, l *actortest.Ledger) { write(t, l, "b", `{"ops":["elsewhere"]}`) },
		"the other was claimed": func(t *testing.T, l *actortest.Ledger) {
			if _, err := l.Claim(t.Context(), ledger.Ref{Kind: ledger.Trip, ID: "b"}, "n"); err != nil {
				t.Error(err)
			}
		},
		"its own was written": func(t *testing.T, l *actortest.Ledger) { write(t, l, "a", `{"ops":["elsewhere"]}`) },
	}
	for name, move := range moves {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, l *actortest.Ledger) {
				to := born(l, "a")
				born(l, "b")
				looks, times := 0, 2
				s := actortest.Start(t, actors.Config{}, pairKind(l, func(b *pairs) {
					look := b.look
					b.look = func(ctx context.Context, p pair) (paired, error) {
						looked, err := look(ctx, p)
						if looks++; looks <= times {
							move(t, l)
						}
						return looked, err
					}
				}))
				must[toyReply](t)(ask(t, s, to, pair{op: "1", other: "b"}))
				if looks != 3 {
					t.Errorf("prepared %d times, want 3", looks)
				}
				row, _ := l.Row(ledger.Ref{Kind: ledger.Trip, ID: "a"})
				own := name == "its own was written"
				if want := map[bool]int64{true: 3, false: 1}[own]; row.Epoch != want {
					t.Errorf("epoch = %d, want %d", row.Epoch, want)
				}
				if got := stateOf(t, l, "b").Ops; len(got) == 0 || got[len(got)-1] != "1" {
					t.Errorf("effects on the other = %v", got)
				}
				before := stateOf(t, l, "a")
				looks, times = 0, 1000
				_, err := ask(t, s, to, pair{op: "2", other: "b"})
				wantErr(t, err, actors.ErrBusy)
				if looks != 4 {
					t.Errorf("prepared %d times before giving up, want 4", looks)
				}
				if !own && !cmp.Equal(before.Ops, stateOf(t, l, "a").Ops) {
					t.Error("a busy command had an effect")
				}
				times = 0
				must[toyReply](t)(ask(t, s, to, add{id: "3"}))
			})
		})
	}
}

// write writes a row as somebody else's transaction does: version + 1, epoch untouched.
func write(t *testing.T, l *actortest.Ledger, id, state string) {
	ref := ledger.Ref{Kind: ledger.Trip, ID: id}
	row, _ := l.Row(ref)
	o := l.Commit(t.Context(), []ledger.Transition{{Ref: ref, Version: row.Version, Epoch: row.Epoch, State: json.RawMessage(state), At: time.Now()}})
	if o[0].Status != ledger.Committed {
		t.Errorf("write from elsewhere: %+v", o[0])
	}
}

func TestIndexRefusesAJointStep(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		born(l, "b")
		var asked string
		errOwn := fault.New(fault.Conflict, "OWN_WORD", "No.")
		own := false
		s := actortest.Start(t, actors.Config{}, pairKind(l, func(b *pairs) {
			b.refused = func(command any, index int, constraint string) error {
				asked = fmt.Sprintf("%s %d %t", command.(paired).op, index, constraint != "")
				if own {
					return errOwn
				}
				return nil
			}
		}))
		_, err := ask(t, s, to, pairBirth("2", "b"))
		wantErr(t, err, fault.New(fault.Conflict, "TAKEN", ""))
		if asked != "2 0 true" {
			t.Errorf("asked for a word about %q", asked)
		}
		own = true
		_, err = ask(t, s, to, pairBirth("3", "b"))
		wantErr(t, err, errOwn)
		if got := stateOf(t, l, "b").Ops; len(got) != 0 {
			t.Errorf("effects on the other = %v", got)
		}
	})
}

func pairBirth(op, other string) pair { return pair{op: op, other: other, born: true} }

// A preparation's refusal is the command's; one that takes too long, or that breaks, is nobody's answer.
func TestPreparationThatFails(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		born(l, "b")
		s := actortest.Start(t, actors.Config{}, pairKind(l, func(b *pairs) {
			look := b.look
			b.look = func(ctx context.Context, p pair) (paired, error) {
				switch p.op {
				case "refused":
					return paired{}, errNotToday
				case "hangs":
					<-ctx.Done()
					return paired{}, fmt.Errorf("look: %w", ctx.Err())
				case "breaks":
					panic("planted in a preparation")
				default:
					return look(ctx, p)
				}
			}
		}))
		_, err := ask(t, s, to, pair{op: "refused", other: "b", key: "k1"})
		wantErr(t, err, errNotToday)
		began := time.Now()
		_, err = ask(t, s, to, pair{op: "hangs", other: "b"})
		wantErr(t, err, actors.ErrInterrupted)
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("a preparation that hangs was given up after %v", took)
		}
		for _, want := range []*fault.Error{actors.ErrInterrupted, actors.ErrInterrupted, actors.ErrInterrupted, actors.ErrPoisoned} {
			_, err = ask(t, s, to, pair{op: "breaks", other: "b", key: "k2", hash: "h"})
			wantErr(t, err, want)
		}
		must[toyReply](t)(ask(t, s, to, pair{op: "1", other: "b"}))
		wantOps(t, l, "a", "1")
		wantOps(t, l, "b", "1")
	})
}

// The answer to a joint step was lost: both rows are written or neither, and the retry meets the truth,
// whatever a preparation would say by now.
//
// Invariants: 3, 24.
func TestLostReplyOfAJointStep(t *testing.T) {
	for name, f := range map[string]actortest.Fault{"after the commit": actortest.LostReply, "before the commit": actortest.LostWrite} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, l *actortest.Ledger) {
				to := born(l, "a")
				born(l, "b")
				first, full := true, false
				l.Break(func(ledger.Transition) actortest.Fault {
					if first {
						first = false
						return f
					}
					return actortest.NoFault
				})
				s := actortest.Start(t, actors.Config{}, pairKind(l, func(b *pairs) {
					look := b.look
					b.look = func(ctx context.Context, p pair) (paired, error) {
						if full {
							return paired{}, errNotToday
						}
						return look(ctx, p)
					}
				}))
				cmd := pair{op: "1", other: "b", key: "k", hash: "h"}
				_, err := ask(t, s, to, cmd)
				wantErr(t, err, actors.ErrInterrupted)
				synctest.Wait()
				if s.Live("trip") != 0 {
					t.Fatal("an actor that does not know its state must stop")
				}
				full = f == actortest.LostReply
				if got := must[toyReply](t)(ask(t, s, to, cmd)); got.Ops != 1 {
					t.Fatalf("retry = %+v", got)
				}
				_, err = ask(t, s, to, pair{op: "2", other: "b", key: "k", hash: "another"})
				wantErr(t, err, actors.ErrKeyReused)
				wantOps(t, l, "a", "1")
				wantOps(t, l, "b", "1")
			})
		})
	}
}

// A durable message has its effect once: its record is the receiver's, under the message's id.
func TestLetterIsRecordedWithItsEffect(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		s := actortest.Start(t, actors.Config{}, pairKind(l))
		letter := &protocol.Letter{ID: "m1", Type: "hello", Body: json.RawMessage(`{}`)}
		must[toyReply](t)(ask(t, s, to, letter))
		if _, used, err := l.Used(t.Context(), "trip/a", "m1"); err != nil || !used {
			t.Fatalf("record of the message: %v (%v)", used, err)
		}
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := actortest.Start(t, actors.Config{Node: "node-2"}, pairKind(l))
		must[toyReply](t)(ask(t, again, to, letter))
		if got := stateOf(t, l, "a").Letters; !cmp.Equal(got, []string{"m1"}) {
			t.Fatalf("letters = %v", got)
		}
	})
}

// Somebody else wrote the row while the actor was busy with something that did not: it reads the row
// when it is done, without being asked.
func TestHintDuringAFlightIsNotLost(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		to := born(l, "a")
		gate := make(chan struct{})
		s := actortest.Start(t, actors.Config{}, pairKind(l, func(b *pairs) {
			b.look = func(context.Context, pair) (paired, error) {
				<-gate
				return paired{}, errNotToday
			}
		}))
		refused := make(chan error, 1)
		go func() {
			_, err := ask(t, s, to, pair{op: "1", other: "b"})
			refused <- err
		}()
		synctest.Wait()
		write(t, l, "a", `{"ops":["elsewhere"]}`)
		if err := s.Tell(t.Context(), to, protocol.Hint{Version: 2}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		close(gate)
		if err := <-refused; !errors.Is(err, errNotToday) {
			t.Fatalf("error = %v", err)
		}
		synctest.Wait()
		if got := must[toy](t)(ask(t, s, to, get{})); !cmp.Equal(got.Ops, []string{"elsewhere"}) {
			t.Fatalf("state after the flight = %v", got)
		}
	})
}

// A step that needs a joint writer where there is none is a fault of the program, and harmless.
func TestJointStepWithoutAJointWriter(t *testing.T) {
	in(t, func(t *testing.T) {
		l := actortest.NewLedger()
		to := born(l, "a")
		k := pairKind(l)
		k.New = func(ctx context.Context, self *actors.Self) (actors.Actor, error) {
			p := ports(l)
			p.Joint = nil
			return actors.NewDurable(ctx, self, ledger.Ref{Kind: ledger.Trip, ID: self.ID()}, p, pairs{toyBehaviour: toyBehaviour{id: self.ID()}, look: reading(l)})
		}
		s := actortest.Start(t, actors.Config{}, k)
		if _, err := ask(t, s, to, pairBirth("1", "b")); err == nil {
			t.Fatal("no refusal")
		}
		must[toyReply](t)(ask(t, s, to, add{id: "2"}))
		wantOps(t, l, "a", "2")
	})
}
