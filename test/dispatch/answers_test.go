package dispatch

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/google/uuid"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// answer is a driver's: yes, no, both at once, or nothing until it is too late; and what ends a trip.
func (d *day) answer(random *rand.Rand) {
	d.book.Lock()
	if len(d.jobs) == 0 {
		d.book.Unlock()
		return
	}
	n := random.IntN(len(d.jobs))
	j := d.jobs[n]
	d.jobs = slices.Delete(d.jobs, n, n+1)
	d.book.Unlock()
	by := trip.By{User: j.driver, Role: fleet.Driver, Fleet: j.owner}
	accept := func(random *rand.Rand) { d.drive(random, j, doAccept, trip.Accept{By: by}) }
	end := func(random *rand.Rand) {
		d.drive(random, j, doEnd, trip.Cancel{By: trip.By{User: j.owner, Role: fleet.Transporter}, Reason: "no diesel"})
	}
	twin := rand.New(rand.NewPCG(random.Uint64(), 2))
	var both sync.WaitGroup
	switch n := random.IntN(10); {
	case n < 3:
		accept(random)
		end(random)
	case n < 5:
		both.Go(func() { accept(twin) })
		d.drive(random, j, doDecline, trip.Decline{By: by, Reason: "too far"})
	case n < 6:
		d.drive(random, j, doDecline, trip.Decline{By: by, Reason: "too far"})
	case n < 8:
		both.Go(func() { accept(twin) })
		accept(random)
		both.Wait()
		d.book.Lock()
		d.jobs = append(d.jobs, j) // somebody ends it later, or its order does
		d.book.Unlock()
	case n < 9:
		both.Go(func() { accept(twin) })
		end(random)
	}
	both.Wait()
}

// drive sends a trip a command.
func (d *day) drive(random *rand.Rand, j job, deed deed, c trip.Command) {
	call, key := d.now(), uuid.NewString()
	var reply *protocol.TripReply
	w, _, tries := d.ask(random, string(deed), func(ctx context.Context, t *task) error {
		v, err := t.sys.Ask(ctx, protocol.TripAddress(j.trip), &protocol.TripCommand{Do: c, Key: key})
		reply, _ = v.(*protocol.TripReply)
		return err
	})
	if w == yes && reply.Replayed {
		told := false
		if w, told = d.replayed(tries); !told {
			return
		}
	}
	in := input{deed: deed, of: label{hold: j.of.hold}, by: string(j.owner)}
	d.note(call, w, append(slotOps(j.order, []string{j.of.slot}, in), d.crewOps(j, in)...), output{})
}

// cancel ends an order with all its trips.
func (d *day) cancel(random *rand.Rand) {
	if p, ok := d.some(random); ok {
		d.cancelOrder(random, p)
		d.forget(random, p)
	}
}

func (d *day) cancelOrder(random *rand.Rand, p placed) {
	call := d.now()
	var reply *protocol.OrderReply
	w, _, tries := d.ask(random, "cancel", func(ctx context.Context, t *task) (err error) {
		reply, err = t.orders.Cancel(ctx, protocol.OrderRequest{OrderID: p.id, By: order.By{User: p.customer, Role: fleet.Customer}, Reason: "changed my mind"})
		return err
	})
	if w == no {
		return // it is over already
	}
	if w == yes && reply.Replayed {
		told := false
		if w, told = d.replayed(tries); !told {
			return
		}
	}
	ops := slotOps(p, p.slots, input{deed: doCancel})
	d.book.Lock()
	for register := range d.assigned[p.id] {
		ops = append(ops, input{register: register, deed: doCancel, of: label{order: p.id}})
	}
	d.book.Unlock()
	d.note(call, w, ops, output{})
}

// lookAtOrder reads an order's row.
func (d *day) lookAtOrder(random *rand.Rand) {
	p, ok := d.some(random)
	if !ok {
		return
	}
	call := d.now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := d.w.task(random).orders.Get(ctx, p.id, order.By{})
	if err != nil {
		d.verdict("get", err)
		return // says nothing
	}
	for _, s := range r.State.Slots {
		there := map[order.SlotStatus]phase{
			order.SlotSearching: free, order.SlotHeld: held, order.SlotAssigned: pending, order.SlotAccepted: accepted,
			order.SlotCancelled: over, order.SlotExpired: over,
		}[s.Status]
		d.note(call, saw, slotOps(p, []string{s.ID}, input{deed: doLook}), output{there: there, of: label{p.id, s.HoldID, s.ID}})
	}
}

// lookAtCrew reads who is on a trip.
func (d *day) lookAtCrew(random *rand.Rand) {
	owner := transporter(random.IntN(transporters))
	v, dr := vehicle(owner, random.IntN(perFleet)), driver(owner, random.IntN(perFleet))
	call := d.now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	crew, err := d.w.store.supply.Crew(ctx, []fleet.VehicleID{v}, []fleet.UserID{dr})
	if err != nil {
		return
	}
	tell := func(register, tripID string) {
		there := free
		if tripID != "" {
			there = pending
		}
		d.note(call, saw, []input{{register: register, deed: doLook}}, output{there: there})
	}
	tell("driver "+string(dr), crew.Drivers[dr].TripID)
	tell("vehicle "+string(v), crew.Vehicles[v].TripID)
}
