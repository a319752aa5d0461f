package ledger_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"weelo/internal/ledger"
)

// A simulation of the whole write path with its real cores (Queue, Judge) and a store that fails in
// every way it may: refuses, forgets to answer, answers late. Actors die when an outcome is unknown
// and are activated again, sometimes while the old one still believes; clients retry with their key
// until they are answered. No goroutine, no clock: what rapid draws is what happens, and a failing
// run is replayed from its seed.

// simRow is a stored aggregate: its effects are the command keys, in order.
type simRow struct {
	place   ledger.Place
	effects []string
}

// simActivation is one copy of an actor. More than one may believe at a time.
type simActivation struct {
	ref   ledger.Ref
	place ledger.Place
	busy  bool
	dead  bool
}

// simCommand is what a client wants done once.
type simCommand struct {
	key      string
	ref      ledger.Ref
	flying   bool
	answered bool
}

// simStep is a transition in the writer's queue.
type simStep struct {
	transition ledger.Transition
	by         *simActivation
	command    *simCommand
}

type simulation struct {
	queue       *ledger.Queue
	rows        map[ledger.Ref]*simRow
	used        map[string]ledger.Idem
	activations []*simActivation
	commands    []*simCommand
	steps       map[uint64]*simStep
	flights     map[uint64][]uint64
	next        uint64
	fenced      bool // whether the store compares epochs
	stale       int  // commits of an activation that another claim had overtaken
}

func newSimulation(limits ledger.Limits, aggregates int) *simulation {
	s := &simulation{
		queue: ledger.NewQueue(limits), rows: map[ledger.Ref]*simRow{}, used: map[string]ledger.Idem{},
		steps: map[uint64]*simStep{}, flights: map[uint64][]uint64{}, fenced: true,
	}
	for i := range aggregates {
		s.rows[ledger.Ref{Kind: ledger.Trip, ID: fmt.Sprint(i)}] = &simRow{place: ledger.Place{Version: 1}}
	}
	return s
}

// activate claims: whoever believed before is fenced from now on, and may not know.
func (s *simulation) activate(ref ledger.Ref) *simActivation {
	row := s.rows[ref]
	row.place.Epoch++
	a := &simActivation{ref: ref, place: row.place}
	s.activations = append(s.activations, a)
	return a
}

// decide lets an activation take a command to the writer.
func (s *simulation) decide(a *simActivation, c *simCommand) {
	a.busy, c.flying = true, true
	s.next++
	s.steps[s.next] = &simStep{by: a, command: c, transition: ledger.Transition{
		Ref: a.ref, Version: a.place.Version, Epoch: a.place.Epoch, Idem: &ledger.Idem{Scope: "s", Key: c.key, Hash: c.key},
	}}
	s.input(ledger.Input{Offered: []ledger.Item{{ID: s.next, Ref: a.ref, Bytes: 1}}})
}

func (s *simulation) input(in ledger.Input) {
	starts, refused := s.queue.Step(in)
	for _, start := range starts {
		s.flights[start.Flush] = start.Items
	}
	for _, id := range refused {
		s.outcome(id, ledger.Outcome{Status: ledger.Failed})
	}
}

// store is what the database does with one transition of a transaction that commits.
func (s *simulation) store(t ledger.Transition) ledger.Outcome {
	row := s.rows[t.Ref]
	var used *ledger.Idem
	if u, ok := s.used[t.Idem.Key]; ok {
		used = &u
	}
	if used == nil && row.place.Version == t.Version && (row.place.Epoch == t.Epoch || !s.fenced) {
		if row.place.Epoch != t.Epoch {
			s.stale++
		}
		row.place.Version++
		row.effects = append(row.effects, t.Idem.Key)
		s.used[t.Idem.Key] = *t.Idem
		return ledger.Outcome{Status: ledger.Committed}
	}
	return ledger.Judge(t, &row.place, used)
}

// land ends a flush: committed says whether its transaction was, told whether anybody learns it.
func (s *simulation) land(flush uint64, committed, told bool) {
	items := s.flights[flush]
	delete(s.flights, flush)
	outcomes := make([]ledger.Outcome, len(items))
	for i, id := range items {
		switch {
		case committed:
			outcomes[i] = s.store(s.steps[id].transition)
		case told:
			outcomes[i].Status = ledger.Failed
		}
		if !told {
			outcomes[i] = ledger.Outcome{Status: ledger.Unknown}
		}
	}
	s.input(ledger.Input{Done: flush})
	for i, id := range items {
		s.outcome(id, outcomes[i])
	}
}

// outcome is what the actor and its client make of an answer.
func (s *simulation) outcome(id uint64, o ledger.Outcome) {
	step := s.steps[id]
	delete(s.steps, id)
	step.by.busy, step.command.flying = false, false
	switch o.Status {
	case ledger.Committed:
		step.by.place.Version++
		step.command.answered = true
	case ledger.Replayed:
		step.command.answered = true
	case ledger.Unknown, ledger.Fenced, ledger.Moved, ledger.Broken:
		step.by.dead = true // it stops without an answer; the next activation reloads
	}
}

// check holds at every moment.
func (s *simulation) check(t *rapid.T) {
	if s.stale > 0 {
		t.Fatalf("%d commits of an activation that was overtaken", s.stale)
	}
	effects := map[string]int{}
	for ref, row := range s.rows {
		if row.place.Version != int64(len(row.effects))+1 {
			t.Fatalf("%v has version %d after %d effects", ref, row.place.Version, len(row.effects))
		}
		for _, key := range row.effects {
			if effects[key]++; effects[key] > 1 {
				t.Fatalf("command %s had two effects", key)
			}
		}
	}
	for _, c := range s.commands {
		if c.answered && effects[c.key] != 1 {
			t.Fatalf("command %s was answered and had %d effects", c.key, effects[c.key])
		}
	}
}

// believers are the activations that could take a command now, and idle the commands that wait.
func (s *simulation) believers(ref ledger.Ref) (free []*simActivation) {
	for _, a := range s.activations {
		if a.ref == ref && !a.busy && !a.dead {
			free = append(free, a)
		}
	}
	return free
}

func (s *simulation) idle() (waiting []*simCommand) {
	for _, c := range s.commands {
		if !c.answered && !c.flying {
			waiting = append(waiting, c)
		}
	}
	return waiting
}

func (s *simulation) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"": s.check,
		"a client asks": func(t *rapid.T) {
			ref := ledger.Ref{Kind: ledger.Trip, ID: fmt.Sprint(rapid.IntRange(0, len(s.rows)-1).Draw(t, "trip"))}
			s.commands = append(s.commands, &simCommand{key: fmt.Sprint("k", len(s.commands)), ref: ref})
		},
		"a command is decided": func(t *rapid.T) {
			if waiting := s.idle(); len(waiting) > 0 {
				c := rapid.SampledFrom(waiting).Draw(t, "command")
				if free := s.believers(c.ref); len(free) > 0 {
					s.decide(rapid.SampledFrom(free).Draw(t, "activation"), c)
				}
			}
		},
		"somebody activates": func(t *rapid.T) {
			s.activate(ledger.Ref{Kind: ledger.Trip, ID: fmt.Sprint(rapid.IntRange(0, len(s.rows)-1).Draw(t, "trip"))})
		},
		"a flush lands": func(t *rapid.T) {
			if flying := s.queue.InFlight(); len(flying) > 0 {
				flush := rapid.SampledFrom(flying).Draw(t, "flush")
				s.land(flush, rapid.Bool().Draw(t, "committed"), rapid.IntRange(0, 3).Draw(t, "told") > 0)
			}
		},
	}
}

// settle is what happens when the faults are over: every client is answered.
func (s *simulation) settle(t *rapid.T) {
	for range 10 * (len(s.commands) + len(s.steps) + 10) {
		if flying := s.queue.InFlight(); len(flying) > 0 {
			s.land(flying[0], true, true)
			continue
		}
		waiting := s.idle()
		if len(waiting) == 0 {
			break
		}
		c := waiting[0]
		if free := s.believers(c.ref); len(free) > 0 {
			s.decide(free[0], c)
		} else {
			s.activate(c.ref)
		}
	}
	s.check(t)
	for _, c := range s.commands {
		if !c.answered {
			t.Fatalf("command %s is never answered", c.key)
		}
	}
}

func simLimits(t *rapid.T) ledger.Limits {
	return ledger.Limits{
		MaxBatch: rapid.IntRange(1, 4).Draw(t, "batch"), MaxBytes: 100,
		Flushes: rapid.IntRange(1, 2).Draw(t, "flushes"), Queue: rapid.IntRange(1, 8).Draw(t, "queue"),
	}
}

func TestSimulatedWritePath(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newSimulation(simLimits(t), rapid.IntRange(1, 4).Draw(t, "trips"))
		t.Repeat(s.actions())
		s.settle(t)
	})
}

// TestSimulationSeesAMissingFence is the control: a store that does not compare epochs lets an
// overtaken activation commit, in the simplest run there is.
func TestSimulationSeesAMissingFence(t *testing.T) {
	t.Parallel()
	for _, fenced := range []bool{true, false} {
		s := newSimulation(ledger.Limits{MaxBatch: 4, MaxBytes: 100, Flushes: 1, Queue: 8}, 1)
		s.fenced = fenced
		ref := ledger.Ref{Kind: ledger.Trip, ID: "0"}
		old := s.activate(ref)
		s.activate(ref)
		c := &simCommand{key: "k", ref: ref}
		s.commands = append(s.commands, c)
		s.decide(old, c)
		s.land(1, true, true)
		if fenced == (s.stale > 0) || old.dead != fenced {
			t.Errorf("fenced %v: %d stale commits, the old activation stopped: %v", fenced, s.stale, old.dead)
		}
	}
}
