package chaostest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"

	"weelo/internal/ledger"
)

// Who is on which live trip, seen as registers: each driver, each vehicle and each slot of an order holds
// one trip or none. Births and ends of trips come from everywhere at once, by themselves and together with
// their order; porcupine searches for an order of them that explains what all clients saw.

// LiveTrip is a live trip as stored.
type LiveTrip struct {
	ID, Driver, Vehicle, Order, Slot string
}

// registers are the three that a trip occupies.
func (l LiveTrip) registers() []string {
	return []string{"driver " + l.Driver, "vehicle " + l.Vehicle, "slot " + l.Order + " " + l.Slot}
}

// byConstraint tells which of the registers a unique index speaks for.
var byConstraint = map[string]int{"one_live_trip_per_driver": 0, "one_live_trip_per_vehicle": 1, "one_live_trip_per_slot": 2}

// move is one operation on one register. An assign puts the trip there, an end takes it away, and a
// look, which has no trip, reads.
type move struct {
	register string
	trip     string
	end      bool
}

// result is what the client was told: done, refused because somebody else is there, unknown, or, of a
// look, who is there.
type result struct {
	word string
	trip string
}

const (
	wasDone    = "done"
	wasBusy    = "busy"
	wasUnknown = "unknown"
	wasRead    = "read"
)

var slotModel = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[string][]porcupine.Operation{}
		for _, op := range history {
			register := op.Input.(move).register
			parts[register] = append(parts[register], op)
		}
		var all [][]porcupine.Operation
		for _, p := range parts {
			all = append(all, p)
		}
		return all
	},
	Init: func() []any { return []any{""} },
	Step: func(state, input, output any) []any {
		there, m, out := state.(string), input.(move), output.(result)
		fits, after := there == "", m.trip
		if m.end {
			fits, after = there == m.trip, ""
		}
		switch {
		case out.word == wasRead && out.trip == there,
			out.word == wasBusy && there != "",
			out.word == wasUnknown && !fits:
			return []any{there}
		case out.word == wasDone && fits:
			return []any{after}
		case out.word == wasUnknown:
			return []any{there, after} // happened, or did not
		default:
			return nil
		}
	},
	DescribeOperation: func(input, output any) string {
		m, out := input.(move), output.(result)
		switch {
		case out.word == wasRead:
			return "look -> " + out.trip
		case m.end:
			return "end " + m.trip + " -> " + out.word
		default:
			return "assign " + m.trip + " -> " + out.word
		}
	},
}

// CheckSlots judges a history. porcupine.Unknown (it took too long) counts as a failure.
func CheckSlots(history []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(slotModel.ToModel(), history, limit)
}

const (
	slotClients      = 8
	slotOrders       = 4
	slotsOfOrder     = 2
	slotDrivers      = 6
	callsPerKill     = 250
	callsAfterKill   = 200
	perJoint         = 2 // births or ends in one transaction with their order
	claimsAmongCalls = 8 // one call in so many claims an order, so that others are fenced
)

// Joined is what became of the transactions over several aggregates.
type Joined struct {
	Committed int
	Refused   int
	Unknown   int
	Partial   int // of which some rows were written and others not
	Wrong     int // answered Committed and not there, or refused and there
}

func (j Joined) String() string {
	return fmt.Sprintf("%d committed, %d refused, %d unknown; %d partial, %d answered wrongly", j.Committed, j.Refused, j.Unknown, j.Partial, j.Wrong)
}

// Slots runs clients that give birth to trips and end them over the same few orders, drivers and
// vehicles, while the store is killed, and gives what each saw.
func Slots(t testing.TB, b Backend, kills int) ([]porcupine.Operation, Joined) {
	t.Helper()
	ctx, cancel := within(t)
	defer cancel()
	run := &slotRun{b: b, began: time.Now()}
	for range slotOrders {
		ref := ledger.Ref{Kind: ledger.Order, ID: uuid.NewString()}
		if o := b.Writer.Commit(ctx, []ledger.Transition{{Ref: ref, State: json.RawMessage(`{}`), At: time.Now()}})[0]; o.Status != ledger.Committed {
			t.Fatalf("birth of an order: %v (%v)", o.Status, o.Err)
		}
		run.orders = append(run.orders, ref)
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	var clients sync.WaitGroup
	for c := range slotClients {
		clients.Go(func() { run.client(ctx, working, c) })
	}
	for k := range kills {
		run.await(t, ctx, int64((k+1)*callsPerKill))
		b.Kill()
	}
	run.await(t, ctx, int64(kills*callsPerKill+callsAfterKill))
	stop()
	clients.Wait()
	return run.history(), run.joined(t, ctx)
}

type slotRun struct {
	b      Backend
	orders []ledger.Ref
	began  time.Time
	done   atomic.Int64
	mu     sync.Mutex
	ops    []porcupine.Operation
	joints []joint
}

// joint is one transaction over several aggregates, each transition with one event.
type joint struct {
	ts     []ledger.Transition
	status ledger.Status // of the first
}

func (r *slotRun) await(t testing.TB, ctx context.Context, target int64) {
	t.Helper()
	err := eventually(ctx, func() error {
		if r.done.Load() < target {
			return errors.New("too few calls")
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%d of %d calls: %v", r.done.Load(), target, err)
	}
}

// client does one thing after the other.
func (r *slotRun) client(ctx, working context.Context, id int) {
	random := rand.New(rand.NewPCG(3, uint64(id)))
	var live []LiveTrip // as last seen
	for working.Err() == nil {
		order := r.orders[random.IntN(len(r.orders))]
		switch random.IntN(claimsAmongCalls) {
		case 0:
			_, _ = r.b.Claimer.Claim(ctx, order, "n")
		case 1, 2:
			if seen, ok := r.look(ctx, id); ok {
				live = seen
			}
		case 3:
			r.births(ctx, id, random, order, 1, false)
		case 4, 5:
			r.births(ctx, id, random, order, perJoint, true)
		case 6:
			random.Shuffle(len(live), func(i, k int) { live[i], live[k] = live[k], live[i] })
			r.ends(ctx, id, order, live[:min(1, len(live))], false)
		case 7:
			var ofOrder []LiveTrip
			for _, l := range live {
				if l.Order == order.ID {
					ofOrder = append(ofOrder, l)
				}
			}
			r.ends(ctx, id, order, ofOrder[:min(perJoint, len(ofOrder))], true)
		}
	}
}

// look reads every register at one moment.
func (r *slotRun) look(ctx context.Context, client int) ([]LiveTrip, bool) {
	call := r.now()
	live, err := r.b.Live(ctx)
	if err != nil {
		return nil, false // a read that failed says nothing
	}
	there := make(map[string]string)
	for _, l := range live {
		for _, register := range l.registers() {
			if there[register] != "" {
				there[register] += " and " // two at once: no state of the model
			}
			there[register] += l.ID
		}
	}
	var ops []porcupine.Operation
	for _, register := range r.all() {
		ops = append(ops, porcupine.Operation{ClientId: client, Call: call, Input: move{register: register}, Output: result{word: wasRead, trip: there[register]}})
	}
	r.record(ops)
	return live, true
}

func (r *slotRun) all() []string {
	var registers []string
	for d := range slotDrivers {
		registers = append(registers, fmt.Sprint("driver d", d), fmt.Sprint("vehicle v", d))
	}
	for _, o := range r.orders {
		for s := range slotsOfOrder {
			registers = append(registers, fmt.Sprintf("slot %s s%d", o.ID, s))
		}
	}
	return registers
}

// births gives trips to drivers and vehicles in slots of the order, one by itself or some together with
// the order.
func (r *slotRun) births(ctx context.Context, client int, random *rand.Rand, order ledger.Ref, n int, together bool) {
	drivers, vehicles, slots := random.Perm(slotDrivers), random.Perm(slotDrivers), random.Perm(slotsOfOrder)
	var trips []LiveTrip
	var ts []ledger.Transition
	for i := range n {
		l := LiveTrip{ID: uuid.NewString(), Driver: fmt.Sprint("d", drivers[i]), Vehicle: fmt.Sprint("v", vehicles[i]), Order: order.ID, Slot: fmt.Sprint("s", slots[i])}
		trips, ts = append(trips, l), append(ts, stepOf(ledger.Ref{Kind: ledger.Trip, ID: l.ID}, ledger.Place{}, l, true))
	}
	r.commit(ctx, client, order, trips, ts, together, false)
}

// ends ends trips, one by itself after a claim, or some together with the order at the epoch they are
// read at.
func (r *slotRun) ends(ctx context.Context, client int, order ledger.Ref, trips []LiveTrip, together bool) {
	var ts []ledger.Transition
	for _, l := range trips {
		ref := ledger.Ref{Kind: ledger.Trip, ID: l.ID}
		place, err := r.b.Place(ctx, ref)
		if !together && err == nil {
			var c ledger.Claimed
			c, err = r.b.Claimer.Claim(ctx, ref, "n")
			place = ledger.Place{Version: c.Version, Epoch: c.Epoch}
		}
		if err != nil || place.Version != 1 {
			return // down, or it has ended by now
		}
		ts = append(ts, stepOf(ref, place, l, false))
	}
	if len(ts) > 0 {
		r.commit(ctx, client, order, trips, ts, together, true)
	}
}

func stepOf(ref ledger.Ref, at ledger.Place, l LiveTrip, live bool) ledger.Transition {
	now := time.Now()
	state, err := json.Marshal(map[string]any{"live": live, "driverId": l.Driver, "vehicleId": l.Vehicle, "orderId": l.Order, "slot": l.Slot})
	if err != nil {
		panic(err)
	}
	return ledger.Transition{
		Ref: ref, Version: at.Version, Epoch: at.Epoch, State: state, At: now,
		Events: []ledger.Event{{ID: uuid.NewString(), Type: "moved", PayloadVersion: 1, At: now, Data: json.RawMessage(`{}`), Recipients: []string{l.Driver}}},
	}
}

// commit writes what a client decided and records what it was told.
func (r *slotRun) commit(ctx context.Context, client int, order ledger.Ref, trips []LiveTrip, ts []ledger.Transition, together, end bool) {
	var outcomes []ledger.Outcome
	var call int64
	if together {
		place, err := r.b.Place(ctx, order)
		if err != nil {
			return
		}
		all := append([]ledger.Transition{stepOf(order, place, LiveTrip{}, true)}, ts...)
		call = r.now()
		outcomes = r.b.Joint.CommitTogether(ctx, all)
		r.mu.Lock()
		r.joints = append(r.joints, joint{ts: all, status: outcomes[0].Status})
		r.mu.Unlock()
		outcomes = outcomes[1:]
	} else {
		call = r.now()
		outcomes = r.b.Writer.Commit(ctx, ts)
	}
	var ops []porcupine.Operation
	for i, o := range outcomes {
		for at, register := range trips[i].registers() {
			op := porcupine.Operation{ClientId: client, Call: call, Input: move{register: register, trip: trips[i].ID, end: end}}
			which, named := byConstraint[o.Constraint]
			switch {
			case o.Status == ledger.Committed:
				op.Output = result{word: wasDone}
			case o.Status == ledger.Unknown:
				op.Output = result{word: wasUnknown}
			case o.Status == ledger.Taken && named && which == at:
				op.Output = result{word: wasBusy}
			default:
				continue // refused for another reason: nothing happened here
			}
			ops = append(ops, op)
		}
	}
	r.record(ops)
}

func (r *slotRun) now() int64 { return int64(time.Since(r.began)) }

func (r *slotRun) record(ops []porcupine.Operation) {
	now := r.now()
	r.mu.Lock()
	for _, op := range ops {
		op.Return = now
		r.ops = append(r.ops, op)
	}
	r.mu.Unlock()
	if len(ops) > 0 {
		r.done.Add(1)
	}
}

// history ends every unknown operation after everything else: it may take effect at any later time.
func (r *slotRun) history() []porcupine.Operation {
	end := r.now() + 1
	for i := range r.ops {
		if r.ops[i].Output.(result).word == wasUnknown {
			r.ops[i].Return = end
			r.ops[i].ClientId = slotClients + i
		}
	}
	return r.ops
}

// joined compares what each joint transaction was answered with the histories of its aggregates.
func (r *slotRun) joined(t testing.TB, ctx context.Context) Joined {
	t.Helper()
	stored := make(map[ledger.Ref]map[string]bool)
	has := func(tr ledger.Transition) bool {
		if stored[tr.Ref] == nil {
			events := eventsOf(t, ctx, r.b, tr.Ref)
			stored[tr.Ref] = make(map[string]bool)
			for _, e := range events {
				stored[tr.Ref][e.Event.ID] = true
			}
		}
		return stored[tr.Ref][tr.Events[0].ID]
	}
	var sum Joined
	for _, j := range r.joints {
		there := 0
		for _, tr := range j.ts {
			if has(tr) {
				there++
			}
		}
		switch j.status {
		case ledger.Committed:
			sum.Committed++
		case ledger.Unknown:
			sum.Unknown++
		default:
			sum.Refused++
		}
		switch {
		case there != 0 && there != len(j.ts):
			sum.Partial++
		case j.status != ledger.Unknown && (there != 0) != (j.status == ledger.Committed):
			sum.Wrong++
		}
	}
	return sum
}

// UnknownMoves counts the operations of a history whose outcome nobody knows.
func UnknownMoves(history []porcupine.Operation) int {
	n := 0
	for _, op := range history {
		if op.Output.(result).word == wasUnknown {
			n++
		}
	}
	return n
}

// Apart is a joint writer that commits each transition by itself: the control of what is all or nothing.
type Apart struct{ ledger.Writer }

// CommitTogether implements ledger.JointWriter, badly.
func (a Apart) CommitTogether(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	return a.Commit(ctx, ts)
}
