package order_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"weelo/internal/fault"
	"weelo/internal/order"
	"weelo/internal/pricing"
	"weelo/internal/trip"
)

func TestWhatCannotBeOrdered(t *testing.T) {
	t.Parallel()
	p := order.DefaultPolicy()
	need := func(change func(*order.Need)) func(*order.NewOrder) {
		return func(n *order.NewOrder) { change(&n.Needs[0]) }
	}
	for name, tt := range map[string]struct {
		change func(*order.NewOrder)
		field  string
	}{
		"pickup in the sea":        {func(n *order.NewOrder) { n.Pickup.Latitude = 3 }, "pickup"},
		"drop in London":           {func(n *order.NewOrder) { n.Drop.Latitude, n.Drop.Longitude = 51.5, -0.1 }, "drop"},
		"no address":               {func(n *order.NewOrder) { n.Pickup.Address = "  " }, "pickup.address"},
		"a drop around the corner": {func(n *order.NewOrder) { n.Drop.Latitude, n.Drop.Longitude = 12.9720, 77.5946 }, "drop"},
		"further than India":       {func(n *order.NewOrder) { n.DistanceKm = 5001 }, "distanceKm"},
		"five stops":               {func(n *order.NewOrder) { n.Route = make([]order.Stop, 5) }, "routePoints"},
		"a route that goes back": {func(n *order.NewOrder) {
			n.Route = []order.Stop{{Type: "DROP", Place: n.Drop}, {Type: "PICKUP", Place: n.Pickup}}
		}, "routePoints"},
		"no trucks":               {func(n *order.NewOrder) { n.Needs = nil }, "vehicleRequirements"},
		"0 trucks":                {need(func(n *order.Need) { n.Quantity = 0 }), "vehicleRequirements[0].quantity"},
		"21 trucks":               {need(func(n *order.Need) { n.Quantity = 21 }), "vehicleRequirements[0].quantity"},
		"an unknown type":         {need(func(n *order.Need) { n.Type = "spaceship" }), "vehicleRequirements[0].vehicleType"},
		"no size":                 {need(func(n *order.Need) { n.Subtype = " " }), "vehicleRequirements[0].vehicleSubtype"},
		"a price under the floor": {need(func(n *order.Need) { n.PriceRupees = 999 }), "vehicleRequirements[0].pricePerTruck"},
		"yesterday":               {func(n *order.NewOrder) { n.ScheduledMS = start.Add(-24 * time.Hour).UnixMilli() }, "scheduledAt"},
		"in a year":               {func(n *order.NewOrder) { n.ScheduledMS = start.Add(365 * 24 * time.Hour).UnixMilli() }, "scheduledAt"},
		"a mountain":              {func(n *order.NewOrder) { n.WeightKg = 2_000_000 }, "cargoWeightKg"},
		"more trucks than one order takes": {func(n *order.NewOrder) {
			n.Needs = []order.Need{n.Needs[0], n.Needs[0], n.Needs[0]}
			for i := range n.Needs {
				n.Needs[i].Quantity = 20
			}
		}, "vehicleRequirements"},
	} {
		n := wish(2)
		tt.change(&n)
		_, err := n.Checked(pricing.CheckPrice, start, p)
		var e *fault.Error
		if !errors.As(err, &e) || e.Reason != "VALIDATION_ERROR" || len(e.Fields) != 1 || e.Fields[0].Field != tt.field {
			t.Errorf("%s: %+v, want field %s", name, err, tt.field)
		}
	}
}

func TestBirth(t *testing.T) {
	t.Parallel()
	n := wish(2)
	n.Needs = append(n.Needs, order.Need{Type: "Container", Subtype: "20 Feet", Quantity: 1, PriceRupees: 20000})
	n.Route = []order.Stop{{Type: "PICKUP", Place: n.Pickup}, {Type: "STOP", Place: place(12.9, 78.5, "Krishnagiri", "Krishnagiri")}, {Type: "DROP", Place: n.Drop}}
	w := bornOf(t, n, table(near(asha, 1249, 2), near(ravi, 3000, 0)))
	s := w.s
	if s.TotalRupees != 38000 || len(s.Slots) != 3 || s.Slots[2].Key != "container_20ft" || s.Slots[2].Number != 3 {
		t.Errorf("slots %+v for %d rupees", s.Slots, s.TotalRupees)
	}
	if s.DistanceKm < 280 || s.DistanceKm > 300 {
		t.Errorf("the straight line is %d km", s.DistanceKm)
	}
	if !s.Searching || !s.Live || s.Status != order.Active || s.Dispatch != order.Dispatched || s.Wave != 1 {
		t.Errorf("born %s, searching %v, dispatch %s, wave %d", s.Status, s.Searching, s.Dispatch, s.Wave)
	}
	if d := s.Timers[order.SearchTimer].DueMS - start.UnixMilli(); d != 120_000 {
		t.Errorf("the search lasts %d ms", d)
	}
	tr, ok, err := w.last.Transition(0, 0)
	if err != nil || !ok || tr.Check() != nil || !tr.Contended {
		t.Fatalf("transition %v: %v %v", ok, err, tr.Check())
	}
	if len(tr.Offers) != 1 || tr.Offers[0].Recipient != string(asha) || tr.Offers[0].ID != order.OfferID(s.ID, asha) || !tr.Offers[0].Open {
		t.Errorf("offers %+v", tr.Offers)
	}
	o, _ := s.OfferData(asha)
	if o.YouCanProvide != 2 || o.YourAvailable != 2 || o.YourTotal != 3 || o.StillNeeded != 3 || o.PickupKm != 1.2 || o.PickupMinutes != 4 ||
		o.PayloadVersion != "1" || o.FarePerTruck != 9000 || len(o.Requested) != 2 || o.TotalStops != 3 || o.ExpiresAt != s.ExpiresMS {
		t.Errorf("asha is shown %+v", o)
	}
	if _, ok := s.OfferData(ravi); ok {
		t.Error("ravi, who has no truck, was offered the order")
	}
	if b := s.Broadcast(); b.Notified != 1 || b.Kinds[0].Notified != 1 || b.Kinds[1].Notified != 0 {
		t.Errorf("summary %+v", b)
	}
}

func TestBirthWithoutIDs(t *testing.T) {
	t.Parallel()
	n, err := wish(2).Checked(pricing.CheckPrice, start, order.DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := order.Birth(n, slotIDs(1), order.Found{}, start, order.DefaultPolicy()); err == nil {
		t.Error("one slot id was enough for two trucks")
	}
	n.ID = ""
	if _, err := n.Checked(pricing.CheckPrice, start, order.DefaultPolicy()); err == nil {
		t.Error("an order without id was born")
	}
}

// TestScheduled: it waits for its time, does not count as the customer's active order, and then searches
// like any other.
func TestScheduled(t *testing.T) {
	t.Parallel()
	n := wish(1)
	n.ScheduledMS = start.Add(5 * time.Hour).UnixMilli()
	if _, now := n.Look(start, order.DefaultPolicy()); now {
		t.Error("an order for the afternoon looks around in the morning")
	}
	w := bornOf(t, n, order.Found{})
	w.status(order.Created)
	if w.s.Searching || len(w.s.Timers) != 1 || w.s.RemainingSeconds(start) != 120 {
		t.Errorf("searching %v, timers %v, %d s", w.s.Searching, w.s.Timers, w.s.RemainingSeconds(start))
	}
	if len(w.heard(customer, order.KindStatus)) != 1 {
		t.Error("the customer's other phone was not told")
	}
	if err := w.refused(order.PlaceHold{By: byFleet(asha), HoldID: "H", Type: "open", Subtype: "17 Feet", Quantity: 1}); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("hold before the opening: %v", err)
	}
	armed := w.s.Timers[order.OpenTimer]
	if got := time.UnixMilli(armed.DueMS).UTC(); !got.Equal(start.Add(3 * time.Hour)) {
		t.Errorf("it opens at %v", got)
	}
	if wanted, ok := order.Look(w.s, order.TimerFired{Name: order.OpenTimer, Number: armed.Number}, w.now, w.p); !ok || wanted.RadiusKM != 5 || wanted.Slots[truck17] != 1 {
		t.Errorf("it looks for %+v, %v", wanted, ok)
	}
	w.fire(order.OpenTimer, near(asha, 1000, 1))
	w.status(order.Active)
	if w.s.Searching || w.s.ExpiresMS != w.now.Add(2*time.Minute).UnixMilli() {
		t.Errorf("searching %v until %d", w.s.Searching, w.s.ExpiresMS)
	}
	w.accept(w.confirm(asha, 1)[0])
	w.status(order.FullyFilled)
}

// TestScheduledHeardTooLate: an order whose opening nobody heard is searched for until half an hour after
// its pickup time; then it ends, and its customer learns why.
func TestScheduledHeardTooLate(t *testing.T) {
	t.Parallel()
	n := wish(2)
	n.ScheduledMS = start.Add(5 * time.Hour).UnixMilli()
	for _, tt := range []struct {
		after time.Duration
		want  order.Status
	}{{30 * time.Minute, order.Active}, {30*time.Minute + time.Second, order.Expired}, {25 * time.Hour, order.Expired}} {
		w := bornOf(t, n, order.Found{})
		w.now = start.Add(5*time.Hour + tt.after)
		armed := w.s.Timers[order.OpenTimer]
		opening := order.TimerFired{Name: order.OpenTimer, Number: armed.Number, Found: table(near(asha, 1000, 1))}
		if _, looks := order.Look(w.s, opening, w.now, w.p); looks != (tt.want == order.Active) {
			t.Errorf("%s after the pickup time it looks around: %v", tt.after, looks)
		}
		w.do(opening)
		w.status(tt.want)
		if tt.want == order.Active {
			continue
		}
		got := w.heard(customer, order.KindStatus)
		if len(got) != 1 || got[0].Data.(order.StatusData).ReasonCode != order.ReasonTooLate || !strings.Contains(got[0].Data.(order.StatusData).Message, "pickup time passed") {
			t.Errorf("the customer was told %+v", got)
		}
		if len(w.s.Offered) != 0 || len(w.s.Timers) != 0 {
			t.Errorf("offered %v, timers %v", w.s.Offered, w.s.Timers)
		}
	}
}

func TestScheduledSoonIsNow(t *testing.T) {
	t.Parallel()
	n := wish(1)
	n.ScheduledMS = start.Add(time.Hour).UnixMilli()
	w := bornOf(t, n, table(near(asha, 1000, 1)))
	w.status(order.Active)
	if !w.s.Searching {
		t.Error("it does not count as the customer's active order")
	}
}

func TestScheduledCancelled(t *testing.T) {
	t.Parallel()
	n := wish(1)
	n.ScheduledMS = start.Add(5 * time.Hour).UnixMilli()
	w := bornOf(t, n, order.Found{})
	w.do(order.Cancel{By: byCustomer()})
	w.status(order.Cancelled)
	if len(w.s.Timers) != 0 {
		t.Errorf("timers %v", w.s.Timers)
	}
}

// TestFaresOfTrips: a trip earns what its own line of the order pays.
func TestFaresOfTrips(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	id := w.confirm(asha, 1)[0]
	got := w.trips[id].State
	want := trip.Cargo{Goods: "General", DistanceKm: w.s.DistanceKm, FareRupees: 9000}
	if got.Cargo != want || got.CustomerID != customer || got.OrderID != w.s.ID || got.Slot != "slot1" ||
		got.TransporterID != asha || got.Names.Customer != "Farhan" || got.Names.Driver != "Suresh" {
		t.Errorf("the trip is %+v", got)
	}
	if _, is := w.s.Timers[order.SearchTimer]; !is {
		t.Errorf("nothing ends the wait for the driver's answer here: %v", w.s.Timers)
	}
}
