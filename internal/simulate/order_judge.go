package simulate

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"weelo/internal/world"
)

// judge waits until the last events have come and holds what everybody saw, and what the server says
// now, against the promises.
func (m *market) judge(ctx context.Context) {
	m.settleDown(ctx)
	m.judgeOrders(ctx)
	m.judgeOffers()
	m.judgeFleets(ctx)
}

// settleDown waits until nobody waits to be told any more, at most Settle.
func (m *market) settleDown(ctx context.Context) {
	for deadline := time.Now().Add(m.Settle); time.Now().Before(deadline); {
		_, _, _, live, _ := m.book.counts()
		if live == 0 && len(m.untold()) == 0 {
			return
		}
		if !pause(ctx, 100*time.Millisecond) {
			return
		}
	}
}

// untold are the offers on screens that show what is over.
func (m *market) untold() (all []string) {
	m.book.mu.Lock()
	defer m.book.mu.Unlock()
	for who, of := range m.book.shown {
		for order, s := range of {
			if s.open && !s.told {
				all = append(all, "order "+order+" on the screen of "+who)
			}
		}
	}
	return all
}

func (m *market) judgeOffers() {
	for _, left := range m.untold() {
		m.meter.fail("not told of the end of an offer", fmt.Errorf("%s", left))
	}
}

// orderAnswer is GET bookings/orders/{id} as far as it is judged.
type orderAnswer struct {
	Order struct {
		ID           string `json:"id"`
		Status       string `json:"status"`
		TotalTrucks  int    `json:"totalTrucks"`
		TrucksFilled int    `json:"trucksFilled"`
	} `json:"order"`
	Requests []struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		TripID string `json:"tripId"`
	} `json:"requests"`
	Dispute *struct {
		ID string `json:"disputeId"`
	} `json:"dispute"`
}

func (m *market) judgeOrders(ctx context.Context) {
	m.book.mu.Lock()
	var orders []*booking // copies: an answer may still be on its way to the book
	for _, o := range m.book.orders {
		seen := *o
		orders = append(orders, &seen)
	}
	trips := make(map[string][]*journey, len(orders))
	for _, t := range m.book.trips {
		seen := *t
		trips[t.order] = append(trips[t.order], &seen)
	}
	m.book.mu.Unlock()
	for _, o := range orders {
		if o.token == "" || ctx.Err() != nil {
			continue // another simulation's, or an order whose booking was never answered
		}
		var a orderAnswer
		if err := m.api.call(ctx, http.MethodGet, "bookings/orders/"+o.id, o.token, nil, &a); err != nil {
			m.meter.fail("read back", err)
			continue
		}
		for _, broken := range judgeOrder(o, a, trips[o.id]) {
			m.meter.fail(broken.promise, fmt.Errorf("order %s: %s", o.id, broken.how))
		}
		m.tally.end(a.Order.Status, a.Order.TrucksFilled, a.Order.TotalTrucks)
	}
}

// breach is a promise that was not kept.
type breach struct{ promise, how string }

// judgeOrder holds one order, as the server has it in the end, against what was seen of it.
func judgeOrder(o *booking, a orderAnswer, trips []*journey) (broken []breach) {
	fail := func(promise, format string, args ...any) {
		broken = append(broken, breach{promise, fmt.Sprintf(format, args...)})
	}
	if !orderEnds[a.Order.Status] {
		fail("not terminal", "it is %s", a.Order.Status)
	}
	switch {
	case len(o.ends) == 0:
		fail("the customer was not told of the end", "it is %s", a.Order.Status)
	case len(o.ends) > 1:
		fail("more than one end", "the customer was told %v", o.ends)
	case o.ends[0] != a.Order.Status:
		fail("another end than was told", "it is %s, the customer was told %s", a.Order.Status, o.ends[0])
	}
	if o.cancelled && a.Order.Status != "cancelled" {
		fail("a cancellation was lost", "it is %s", a.Order.Status)
	}
	if len(a.Requests) != o.trucks || a.Order.TotalTrucks != o.trucks {
		fail("slots are not conserved", "%d slots and %d trucks of %d booked", len(a.Requests), a.Order.TotalTrucks, o.trucks)
	}
	if o.dispute != "" && (a.Dispute == nil || a.Dispute.ID != o.dispute) {
		fail("a dispute was lost", "the customer raised %s, it has %+v", o.dispute, a.Dispute)
	}
	// A slot has one winner: of all trips that were confirmed for it, at most one was driven to its end.
	won, holder := map[string]int{}, map[string]string{}
	filled := 0
	for _, r := range a.Requests {
		if r.TripID != "" {
			holder[r.ID] = r.TripID
		}
		switch r.Status {
		case "searching", "held", "assigned":
			fail("a slot still waits", "slot %s is %s", r.ID, r.Status)
		case "accepted", "in_progress", "completed", "partial":
			filled++
		}
	}
	for _, t := range trips {
		if t.ended == "" {
			fail("a trip without an end", "trip %s", t.id)
		}
		if t.reported != "" && t.ended != "" && t.ended != t.reported {
			fail("another end than the driver reported", "trip %s is %s, he said %s", t.id, t.ended, t.reported)
		}
		if t.ended == "completed" || t.ended == "partial_delivery" {
			won[t.slot]++
			if t.half {
				fail("a repeated accept was refused", "trip %s was driven to its end", t.id)
			}
			if t.slot != "" && holder[t.slot] != "" && holder[t.slot] != t.id {
				fail("a slot with another winner", "slot %s has trip %s, %s was driven", t.slot, holder[t.slot], t.id)
			}
		}
	}
	for slot, n := range won {
		if slot != "" && n > 1 {
			fail("two winners of one slot", "slot %s was driven %d times", slot, n)
		}
	}
	if a.Order.Status == "completed" && filled != a.Order.TrucksFilled {
		fail("trucksFilled is wrong", "%d filled, %d slots say so", a.Order.TrucksFilled, filled)
	}
	return broken
}

// judgeFleets looks for what was left behind: a truck that is on hold or on the road, a driver on a trip.
func (m *market) judgeFleets(ctx context.Context) {
	for _, t := range m.World.Transporters {
		token, err := m.purse.of(ctx, world.FilePerson{ID: t.ID, Token: t.Token}, false)
		var list struct {
			Vehicles []struct {
				Number string `json:"vehicleNumber"`
				Status string `json:"status"`
			} `json:"vehicles"`
		}
		if err == nil {
			err = m.api.call(ctx, http.MethodGet, "vehicles/list", token, nil, &list)
		}
		if err != nil {
			m.meter.fail("read back", err)
			continue
		}
		for _, v := range list.Vehicles {
			if v.Status == "on_hold" || v.Status == "in_transit" {
				m.meter.fail("a vehicle left held", fmt.Errorf("%s is %s", v.Number, v.Status))
			}
		}
	}
	for _, d := range m.drivers {
		trip, err := d.active(ctx)
		switch {
		case err != nil:
			m.meter.fail("read back", err)
		case trip != "":
			m.meter.fail("a driver left on a trip", fmt.Errorf("driver %s is on %s", d.person.ID, trip))
		}
	}
}
