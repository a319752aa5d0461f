package dispatch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/order"
)

const (
	clients    = 10
	liveOrders = 4
	// patience bounds one request, as a client's does.
	patience = 2 * time.Second
)

// placed is an order that clients know of.
type placed struct {
	id       string
	customer fleet.UserID
	slots    []string
	ends     int64 // when its search may end, at the earliest
}

// job is a trip that somebody may answer.
type job struct {
	of      label
	order   placed
	trip    string
	owner   fleet.UserID
	driver  fleet.UserID
	vehicle fleet.VehicleID
}

// day is one run: what clients know, and what they were told.
type day struct {
	w     *town
	began time.Time
	book  sync.Mutex
	live  []placed
	next  int // customer
	jobs  []job
	ops   []porcupine.Operation
	odd   []string // answers that nobody may get
	done  int
	// assigned is which drivers and vehicles may have been put on trips of an order.
	assigned map[string]map[string]bool
	// seen is how the deeds ended.
	seen map[string]int
}

func newDay(w *town) *day {
	return &day{w: w, began: time.Now(), assigned: map[string]map[string]bool{}, seen: map[string]int{}}
}

func (d *day) now() int64 { return int64(time.Since(d.began)) }

// at is a wall clock time of the product in the run's own, at the earliest.
func (d *day) at(unixMS int64) int64 {
	return int64(time.UnixMilli(unixMS).Sub(d.began)) - int64(time.Millisecond)
}

// note records what one request was told, register by register. A task that lost an order to another one
// and does not know it yet may refuse by what it remembers: where that can be, refusals are no evidence.
func (d *day) note(call int64, word word, ins []input, out output) {
	now := d.now()
	d.book.Lock()
	defer d.book.Unlock()
	out.word = word
	d.done++
	hearsay := d.w.zombies && (word == no || word == inactive)
	for _, in := range ins {
		d.seen[string(in.deed)+" "+string(word)]++
		out.returned = now
		if hearsay {
			continue
		}
		d.ops = append(d.ops, porcupine.Operation{Input: in, Output: out, Call: call, Return: now})
	}
}

// history ends what is unknown after everything else, and gives every operation a client of its own.
func (d *day) history() []porcupine.Operation {
	end := d.now() + 1
	for i := range d.ops {
		d.ops[i].ClientId = i
		if out := d.ops[i].Output.(output); out.word == unknown {
			out.returned = end
			d.ops[i].Output, d.ops[i].Return = out, end
		}
	}
	return d.ops
}

// verdict is an answer: what it means, and its reason.
func (d *day) verdict(what string, err error) (word, string) {
	if err == nil {
		return yes, ""
	}
	f := fault.From(err)
	if f.Code == fault.Unavailable || errors.Is(err, context.DeadlineExceeded) {
		return unknown, f.Reason
	}
	if f.Code == fault.Internal {
		d.book.Lock()
		d.odd = append(d.odd, fmt.Sprintf("%s: %v", what, err))
		d.book.Unlock()
	}
	return no, f.Reason
}

// ask makes a request. One whose outcome is unknown is made again with its key, mostly.
func (d *day) ask(random *rand.Rand, what string, request func(ctx context.Context, t *task) error) (word, string, int) {
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := request(ctx, d.w.task(random))
		cancel()
		w, reason := d.verdict(what, err)
		if w != unknown || try == 4 {
			return w, reason, try
		}
		<-time.After(time.Duration(50+random.IntN(100)) * time.Millisecond)
		if random.IntN(3) == 0 {
			return w, reason, try
		}
	}
}

// client does what people do, until ctx ends.
func (d *day) client(ctx context.Context, random *rand.Rand) {
	think := time.NewTimer(0)
	defer think.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-think.C:
		}
		switch n := random.IntN(100); {
		case n < 10:
			d.create(random)
		case n < 55:
			d.hold(random)
		case n < 80:
			d.answer(random)
		case n < 83:
			d.cancel(random)
		case n < 94:
			d.lookAtOrder(random)
		default:
			d.lookAtCrew(random)
		}
		think.Reset(time.Duration(1+random.IntN(15)) * time.Millisecond)
	}
}

// create keeps a few orders on the board.
func (d *day) create(random *rand.Rand) {
	d.book.Lock()
	d.live = slices.DeleteFunc(d.live, func(p placed) bool { return d.now() > p.ends+int64(2*time.Second) })
	enough := len(d.live) >= liveOrders
	who := customer(d.next % customers)
	if !enough {
		d.next++
	}
	d.book.Unlock()
	if enough {
		return
	}
	trucks, key := 1+random.IntN(2), uuid.NewString()
	var reply *protocol.OrderReply
	w, _, _ := d.ask(random, "create", func(ctx context.Context, t *task) (err error) {
		reply, err = t.orders.Create(ctx, protocol.NewOrder{
			By: order.By{User: who, Role: fleet.Customer}, Repeat: protocol.Repeat{Key: key, Hash: "h"},
			Order: order.NewOrder{Pickup: pickup, Drop: drop, Goods: "General", Needs: []order.Need{{Type: kind, Subtype: subtype, Quantity: trucks, PriceRupees: 9000}}},
		})
		return err
	})
	if w != yes {
		return
	}
	p := placed{id: reply.State.ID, customer: who, ends: d.at(reply.State.ExpiresMS)}
	for _, s := range reply.State.Slots {
		p.slots = append(p.slots, s.ID)
	}
	d.book.Lock()
	d.live = append(d.live, p)
	d.book.Unlock()
}

// forget takes an order from the board, mostly: some go on asking for what is over.
func (d *day) forget(random *rand.Rand, p placed) {
	if random.IntN(3) == 0 {
		return
	}
	d.book.Lock()
	defer d.book.Unlock()
	d.live = slices.DeleteFunc(d.live, func(other placed) bool { return other.id == p.id })
}

// some picks an order from the board.
func (d *day) some(random *rand.Rand) (placed, bool) {
	d.book.Lock()
	defer d.book.Unlock()
	if len(d.live) == 0 {
		return placed{}, false
	}
	return d.live[random.IntN(len(d.live))], true
}

// slotOps is a deed on slots of an order.
func slotOps(p placed, slots []string, in input) []input {
	var all []input
	for _, s := range slots {
		in.register, in.of.order, in.of.slot, in.ends = "slot "+s, p.id, s, p.ends
		all = append(all, in)
	}
	return all
}

// hold takes trucks, and then confirms, gives them back, or forgets them.
func (d *day) hold(random *rand.Rand) {
	p, ok := d.some(random)
	if !ok {
		return
	}
	owner, quantity, key := transporter(random.IntN(transporters)), 1+random.IntN(len(p.slots)), uuid.NewString()
	var reply *protocol.OrderReply
	call := d.now()
	w, reason, tries := d.ask(random, "hold", func(ctx context.Context, t *task) (err error) {
		reply, err = t.orders.Hold(ctx, protocol.HoldRequest{
			OrderID: p.id, By: byOwner(owner), Type: kind, Subtype: subtype, Quantity: quantity, Repeat: protocol.Repeat{Key: key, Hash: "h"},
		})
		return err
	})
	in := input{deed: doHold, by: string(owner), due: min(call+int64(d.w.policy.HoldFor)-int64(time.Millisecond), p.ends)}
	switch {
	case w == unknown:
		d.note(call, unknown, slotOps(p, p.slots, in), output{})
		return
	case w == no && reason == order.ErrInactive.Reason:
		d.note(call, inactive, slotOps(p, p.slots, in), output{})
		d.forget(random, p)
		return
	case w == no && reason == order.ErrNotEnough.Reason && quantity == 1:
		d.note(call, no, slotOps(p, p.slots, in), output{})
		return
	case w == no:
		return // not shown to him, or he holds other trucks: that says nothing of a slot
	}
	if reply.Replayed {
		if w, ok = d.replayed(tries); !ok {
			return
		}
	} else if tries > 1 {
		w = again
	}
	in.of.hold, in.due = reply.Hold.ID, d.at(reply.Hold.ExpiresMS)
	d.note(call, w, slotOps(p, reply.Hold.SlotIDs, in), output{})
	switch n := random.IntN(10); {
	case n < 5:
		d.confirm(random, p, owner, *reply.Hold)
	case n < 7: // a double tap, with another crew in the second copy
		var both sync.WaitGroup
		twin := rand.New(rand.NewPCG(random.Uint64(), 1))
		both.Go(func() { d.confirm(twin, p, owner, *reply.Hold) })
		d.confirm(random, p, owner, *reply.Hold)
		both.Wait()
	case n < 8:
		d.release(random, p, owner, *reply.Hold)
	}
}

// replayed is what an answer means that a task gave without a write: an earlier attempt may have done it;
// without one, it is so already, as far as the task knows.
func (d *day) replayed(tries int) (word, bool) {
	if d.w.zombies {
		return unknown, tries > 1
	}
	return again, true
}

func (d *day) release(random *rand.Rand, p placed, owner fleet.UserID, h order.Hold) {
	call := d.now()
	var reply *protocol.OrderReply
	w, _, tries := d.ask(random, "release", func(ctx context.Context, t *task) (err error) {
		reply, err = t.orders.ReleaseHold(ctx, protocol.HoldChange{HoldID: h.ID, By: byOwner(owner)})
		return err
	})
	told := w != no
	if w == yes && reply.Replayed {
		w, told = d.replayed(tries)
	}
	if told {
		d.note(call, w, slotOps(p, h.SlotIDs, input{deed: doRelease, by: string(owner), of: label{hold: h.ID}}), output{})
	}
}

// crewOps is a deed on the driver and the vehicle of a trip.
func (d *day) crewOps(j job, in input) []input {
	in.of = j.of
	drives, carries := in, in
	drives.register, carries.register = "driver "+string(j.driver), "vehicle "+string(j.vehicle)
	if in.deed == doConfirm {
		d.book.Lock()
		if d.assigned[j.of.order] == nil {
			d.assigned[j.of.order] = map[string]bool{}
		}
		d.assigned[j.of.order][drives.register], d.assigned[j.of.order][carries.register] = true, true
		d.book.Unlock()
	}
	return []input{drives, carries}
}

// confirm names crews, any of the fleet's.
func (d *day) confirm(random *rand.Rand, p placed, owner fleet.UserID, h order.Hold) {
	drivers, vehicles := random.Perm(perFleet), random.Perm(perFleet)
	var (
		picks []order.Pick
		jobs  []job
		ops   []input
	)
	call := d.now()
	in := input{deed: doConfirm, by: string(owner), of: label{hold: h.ID}, due: call + int64(d.w.policy.Trip.AcceptWithin) - int64(time.Millisecond)}
	for i, slot := range h.SlotIDs {
		j := job{of: label{p.id, h.ID, slot}, order: p, owner: owner, driver: driver(owner, drivers[i]), vehicle: vehicle(owner, vehicles[i])}
		jobs, picks = append(jobs, j), append(picks, order.Pick{VehicleID: j.vehicle, DriverID: j.driver})
		ops = append(ops, d.crewOps(j, in)...)
	}
	key := uuid.NewString()
	var reply *protocol.OrderReply
	var refused error
	w, reason, tries := d.ask(random, "confirm", func(ctx context.Context, t *task) error {
		reply, refused = t.orders.Confirm(ctx, protocol.ConfirmRequest{HoldID: h.ID, By: byOwner(owner), Picks: picks, Repeat: protocol.Repeat{Key: key, Hash: "h"}})
		return refused
	})
	slots := slotOps(p, h.SlotIDs, in)
	switch {
	case w == yes && reply.Replayed:
		// The copy's, or an earlier attempt's: each of the two says so itself.
		if tries == 1 {
			return
		}
		fallthrough
	case w == unknown:
		d.note(call, unknown, append(slots, ops...), output{})
	case w == yes:
		d.note(call, yes, append(slots, ops...), output{})
		d.book.Lock()
		for i, j := range jobs {
			j.trip = reply.Hold.TripIDs[i]
			d.jobs = append(d.jobs, j)
		}
		d.book.Unlock()
	case reason == order.ErrInactive.Reason:
		d.note(call, inactive, slots, output{})
	case reason == order.ErrHoldExpired.Reason || reason == order.ErrTrucksChanged.Reason:
		d.note(call, no, slots, output{})
	case reason == order.ErrConfirm.Reason:
		d.busy(call, jobs, in, order.FailedPicks(refused))
	}
}

// busy records who a confirmation was told to be on a trip.
func (d *day) busy(call int64, jobs []job, in input, failed []order.FailedPick) {
	for _, f := range failed {
		for _, j := range jobs {
			if j.vehicle != f.VehicleID {
				continue
			}
			switch ops := d.crewOps(j, in); f.Reason {
			case order.PickDriverBusy:
				d.note(call, no, ops[:1], output{})
			case order.PickVehicleBusy:
				d.note(call, no, ops[1:], output{})
			}
		}
	}
}
