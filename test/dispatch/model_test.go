package dispatch

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"
)

// Two kinds of registers are judged. A slot of an order is open, held, on a trip that waits for its driver,
// on one that he accepted, or over. A driver or a vehicle is free or on a trip. What clients do not do but
// time does (holds, accept timers and searches run out) is a step that may come before any operation that
// returned after it was due.

// label names a trip by what every client knows of it, also when the answer that named it was lost.
type label struct{ order, hold, slot string }

// phase is where a register stands.
type phase string

const (
	free     phase = "free"     // nobody has it: an open slot, an idle driver
	held     phase = "held"     // a slot's hold
	pending  phase = "pending"  // on a trip whose driver has not answered
	accepted phase = "accepted" // on a trip whose driver has
	lost     phase = "lost"     // the slot's trip has ended, and the order may not know
	over     phase = "over"     // the slot's order wants nothing more
)

// state is a register. due is when its hold or accept timer may run out, since the earliest time of any
// operation that may find it as it is (ns since the run began).
type state struct {
	phase  phase
	of     label  // of a hold only known by its transporter, hold is empty
	by     string // the transporter
	due    int64
	since  int64
	closed bool // the search is known to be over
}

// deed is what a client did to one register.
type deed string

const (
	doHold    deed = "hold"
	doRelease deed = "release"
	doConfirm deed = "confirm"
	doAccept  deed = "accept"
	doDecline deed = "decline"
	doEnd     deed = "end"
	doCancel  deed = "cancel"
	doLook    deed = "look"
)

// input is one operation on one register.
type input struct {
	register string // "slot …", "driver …" or "vehicle …"
	deed     deed
	of       label
	by       string // the transporter
	due      int64  // when what it makes may run out, at the earliest
	ends     int64  // when the search may end, at the earliest
}

// word is what the client was told.
type word string

const (
	yes      word = "yes"
	again    word = "again"    // yes, as an earlier attempt or a twin was told
	no       word = "no"       // refused by the register
	inactive word = "inactive" // refused: the search is over
	unknown  word = "unknown"
	saw      word = "saw" // of a look
)

// output is the answer; there and of are what a look saw. returned is the operation's return.
type output struct {
	word     word
	there    phase
	of       label
	returned int64
}

func (in input) slot() bool { return in.register[:4] == "slot" }

// model is both kinds of registers.
var model = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[string][]porcupine.Operation{}
		for _, op := range history {
			r := op.Input.(input).register
			parts[r] = append(parts[r], op)
		}
		var all [][]porcupine.Operation
		for _, p := range parts {
			all = append(all, p)
		}
		return all
	},
	Init: func() []any { return []any{state{phase: free}} },
	Step: func(from, in, out any) []any {
		seen := map[state]bool{}
		var next []any
		for _, s := range passed(from.(state), in.(input), out.(output).returned) {
			for _, n := range step(s, in.(input), out.(output)) {
				if !seen[n.(state)] {
					seen[n.(state)] = true
					next = append(next, n)
				}
			}
		}
		return next
	},
	DescribeOperation: func(in, out any) string {
		i, o := in.(input), out.(output)
		return fmt.Sprintf("%s %s %v -> %s %s %v", i.by, i.deed, i.of, o.word, o.there, o.of)
	},
}

// passed gives the register with and without what may have run out before an operation returned.
func passed(s state, in input, returned int64) []state {
	if returned < s.since {
		return nil // it cannot come after something that was not due yet
	}
	all := []state{s}
	then := func(p phase, at int64) {
		all = append(all, passed(state{phase: p, since: max(s.since, at), closed: s.closed}, in, returned)...)
	}
	switch {
	case s.phase == held && returned >= s.due:
		then(free, s.due)
	case s.phase == pending && returned >= s.due && in.slot():
		then(lost, s.due)
	case s.phase == pending && returned >= s.due:
		then(free, s.due)
	case s.phase == lost:
		then(free, s.since)
		then(over, s.since)
	case s.phase == free && in.slot() && returned >= in.ends:
		then(over, in.ends)
	}
	return all
}

// step gives what an operation may make of a register; nothing: it cannot have been answered so.
func step(s state, in input, out output) []any {
	if out.word == saw {
		return look(s, in, out)
	}
	after, fits := effect(s, in)
	switch out.word {
	case yes:
		if fits {
			return []any{after}
		}
		if in.deed == doHold && s.of.hold == in.of.hold {
			return repeated(s, in, after, fits) // a twin's: a hold is named once
		}
	case again:
		return repeated(s, in, after, fits)
	case no:
		late := (s.phase == held || s.phase == pending) && out.returned >= s.due // refused, and its timer not heard yet
		if late && in.deed != doHold || refusable(s, in, fits) {
			return []any{s}
		}
	case inactive:
		s.closed = true
		return []any{s}
	case unknown:
		if fits {
			return []any{s, after} // happened, or did not
		}
		return []any{s}
	}
	return nil
}

// holds tells whether a register is held for the operation's hold, known by name or by its transporter.
func (s state) holds(of label, by string) bool {
	return s.phase == held && (s.of.hold == of.hold || of.hold == "" || s.of.hold == "") && s.by == by
}

// on tells whether a register is on the trip.
func (s state) on(of label) bool { return (s.phase == pending || s.phase == accepted) && s.of == of }

// effect is what an operation makes of a register when it happens; false: it cannot.
func effect(s state, in input) (state, bool) {
	after := s
	switch in.deed {
	case doHold:
		after = state{phase: held, of: in.of, by: in.by, due: in.due, since: s.since}
		return after, s.phase == free && !s.closed
	case doRelease:
		if s.holds(in.of, in.by) {
			return state{phase: free, since: s.since, closed: s.closed}, true
		}
		return s, !s.on(in.of) // a hold that is over is given back already
	case doConfirm:
		after = state{phase: pending, of: in.of, due: in.due, since: s.since, closed: s.closed}
		if in.slot() {
			return after, s.holds(in.of, in.by) && !s.closed
		}
		return after, s.phase == free
	case doAccept:
		after.phase, after.due = accepted, 0
		return after, s.on(in.of)
	case doDecline, doEnd:
		if !s.on(in.of) {
			return s, in.deed == doEnd // ended by the order, or by its timer, before
		}
		if in.slot() {
			return state{phase: lost, since: s.since, closed: s.closed}, s.phase == pending || in.deed == doEnd
		}
		return state{phase: free, since: s.since}, s.phase == pending || in.deed == doEnd
	case doCancel:
		if in.slot() {
			return state{phase: over, since: s.since, closed: true}, true
		}
		if s.phase != free && s.of.order == in.of.order {
			return state{phase: free, since: s.since}, true
		}
		return s, true
	}
	return s, false
}

// repeated is an answer that may be an earlier copy's: it happened now, or it is so already.
func repeated(s state, in input, after state, fits bool) []any {
	var next []any
	if fits {
		next = append(next, after)
	}
	if in.deed == doHold && s.holds(in.of, in.by) {
		s.of = in.of
		next = append(next, s)
	}
	if in.deed != doHold && !s.on(in.of) && !s.holds(in.of, in.by) {
		next = append(next, s)
	}
	return next
}

// refusable tells whether the register may say no.
func refusable(s state, in input, fits bool) bool {
	switch in.deed {
	case doConfirm:
		if in.slot() {
			return !fits // no hold any more
		}
		return s.phase != free // busy
	case doEnd:
		return !s.on(in.of)
	default:
		return !fits
	}
}

// look compares what was read with the register.
func look(s state, in input, out output) []any {
	if !in.slot() {
		if (out.there == free) == (s.phase == free) {
			return []any{s}
		}
		return nil
	}
	switch {
	case out.there == held && s.holds(out.of, s.by):
		s.of = out.of
		return []any{s}
	case out.there == pending && (s.on(out.of) || s.phase == lost), // the letter is on its way
		out.there == accepted && (s.phase == accepted && s.of == out.of || s.phase == lost),
		out.there == free && s.phase == free,
		out.there == over && s.phase == over:
		return []any{s}
	}
	return nil
}

// check judges a history. porcupine.Unknown (it took too long) counts as a failure.
func check(history []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(model.ToModel(), history, 60*time.Second)
}
