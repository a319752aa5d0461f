package order_test

import (
	"fmt"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/pricing"
	"weelo/internal/trip"
)

// start is when every test begins.
var start = time.Date(2026, 1, 26, 6, 0, 0, 0, time.UTC)

const (
	customer = fleet.UserID("c1")
	asha     = fleet.UserID("asha") // transporters
	ravi     = fleet.UserID("ravi")
	meena    = fleet.UserID("meena")
	outsider = fleet.UserID("outsider") // never offered anything

	truck17 = "open_17ft"
)

func byCustomer() order.By { return order.By{User: customer, Role: fleet.Customer} }
func byOps() order.By      { return order.By{User: "o1", Role: fleet.Ops} }
func byFleet(id fleet.UserID) order.By {
	return order.By{User: id, Role: fleet.Transporter}
}

func place(lat, lng float64, address, city string) trip.Place {
	return trip.Place{Latitude: lat, Longitude: lng, Address: address, City: city}
}

// wish is an order for trucks of one kind.
func wish(trucks int) order.NewOrder {
	return order.NewOrder{
		ID: "0d000000-0000-4000-8000-000000000001", CustomerID: customer,
		Customer: order.Customer{Name: "Farhan", Phone: "+919876543210"},
		Pickup:   place(12.9716, 77.5946, "Majestic", "Bengaluru"),
		Drop:     place(13.0827, 80.2707, "Koyambedu", "Chennai"),
		Needs:    []order.Need{{Type: "open", Subtype: "17 Feet", Quantity: trucks, PriceRupees: 9000}},
		Goods:    "General",
	}
}

func slotIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("slot%d", i+1)
	}
	return ids
}

// near is a candidate with some free trucks of the first kind.
func near(id fleet.UserID, metres, free int) fleet.Candidate {
	c := fleet.Candidate{
		Transporter: id, DistanceM: metres, ETASeconds: metres / 6, Free: free, Total: free + 1,
		Stocks: map[string]fleet.Stock{truck17: {Free: free, Total: free + 1}},
	}
	if free == 0 {
		c.Skipped = fleet.SkipNoVehicle
	}
	return c
}

func table(cs ...fleet.Candidate) order.Found { return order.Found{RadiusKM: 5, Table: cs} }

// tb is what the tests need of *testing.T and *rapid.T.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// world is one order and its trips, played by hand: whatever is decided is taken at once.
type world struct {
	t     tb
	p     order.Policy
	now   time.Time
	s     order.State
	trips map[string]*order.TripRow
	last  order.Decision
	told  []order.Told // by the last decision
	// history is what the ledger would keep.
	history []ledger.Recorded
	version int64
}

// born starts a world with an order for some trucks, offered to asha and ravi.
func born(t tb, trucks int) *world {
	t.Helper()
	return bornOf(t, wish(trucks), table(near(asha, 1200, 5), near(ravi, 2400, 5)))
}

func bornOf(t tb, n order.NewOrder, found order.Found) *world {
	t.Helper()
	w := &world{t: t, p: order.DefaultPolicy(), now: start, trips: map[string]*order.TripRow{}}
	n, err := n.Checked(pricing.CheckPrice, w.now, w.p)
	if err != nil {
		t.Fatal(err)
	}
	d, err := order.Birth(n, slotIDs(n.Trucks()), found, w.now, w.p)
	w.take(d, err)
	return w
}

func (w *world) take(d order.Decision, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("refused: %v", err)
	}
	w.told = order.TellTale(d)
	if tr, ok, err := d.Transition(w.version, 1); err != nil {
		w.t.Fatal(err)
	} else if ok {
		w.version++
		for i, e := range tr.Events {
			w.history = append(w.history, ledger.Recorded{Version: w.version, Ordinal: i, Event: e})
		}
	}
	w.last, w.s = d, d.State
	for _, b := range d.Births {
		w.trips[b.State.ID] = &order.TripRow{State: b.State, Version: 1}
	}
	for _, c := range d.Cancels {
		w.trips[c.Decision.State.ID].State = c.Decision.State
	}
}

func (w *world) do(c order.Command) order.Decision {
	w.t.Helper()
	d, err := order.Decide(w.s, c, w.now, w.p)
	w.take(d, err)
	return d
}

func (w *world) refused(c order.Command) error {
	w.t.Helper()
	d, err := order.Decide(w.s, c, w.now, w.p)
	if err == nil {
		w.t.Fatalf("%s was not refused: %+v", order.CommandName(c), d.Events)
	}
	return err
}

func (w *world) wait(d time.Duration) { w.now = w.now.Add(d) }

// fire lets a timer run out at its time.
func (w *world) fire(name string, found ...fleet.Candidate) order.Decision {
	w.t.Helper()
	armed, ok := w.s.Timers[name]
	if !ok {
		w.t.Fatalf("timer %s is not armed: %v", name, w.s.Timers)
	}
	if due := time.UnixMilli(armed.DueMS); due.After(w.now) {
		w.now = due
	}
	return w.do(order.TimerFired{Name: name, Number: armed.Number, Found: table(found...)})
}

// hold lets a transporter hold trucks of the first kind.
func (w *world) hold(by fleet.UserID, quantity int) string {
	w.t.Helper()
	id := fmt.Sprintf("HOLD_%s%04d", by, w.s.Count)
	return w.do(order.PlaceHold{By: byFleet(by), HoldID: id, Type: "OPEN", Subtype: "17ft", Quantity: quantity}).HoldID
}

// crew names good vehicles and drivers for each slot of a hold.
func (w *world) crew(holdID string) order.Confirm {
	w.t.Helper()
	h := w.s.Hold(holdID)
	need := w.s.Needs[h.Need]
	c := order.Confirm{
		By: byFleet(h.TransporterID), Name: string(h.TransporterID), HoldID: holdID,
		Crew:   fleet.Crew{Vehicles: map[fleet.VehicleID]fleet.VehicleFact{}, Drivers: map[fleet.UserID]fleet.DriverFact{}},
		Online: map[fleet.UserID]bool{},
	}
	for i := range h.SlotIDs {
		n := fmt.Sprintf("%s-%d-%d", h.TransporterID, w.s.Count, i)
		v, d := fleet.VehicleID("v-"+n), fleet.UserID("d-"+n)
		c.Picks = append(c.Picks, order.Pick{VehicleID: v, DriverID: d})
		c.TripIDs = append(c.TripIDs, "t-"+n)
		c.Crew.Vehicles[v] = fleet.VehicleFact{Vehicle: fleet.Vehicle{
			ID: v, TransporterID: h.TransporterID, Number: "KA01AB1234", Type: need.Type, Subtype: need.Subtype, Status: fleet.VehicleAvailable,
		}}
		c.Crew.Drivers[d] = fleet.DriverFact{User: fleet.User{
			ID: d, TransporterID: h.TransporterID, Role: fleet.Driver, Name: "Suresh", Phone: "+919123456789",
		}}
		c.Online[d] = true
	}
	return c
}

// confirm holds and confirms, and gives the trips.
func (w *world) confirm(by fleet.UserID, quantity int) []string {
	w.t.Helper()
	id := w.hold(by, quantity)
	w.do(w.crew(id))
	return w.s.Hold(id).TripIDs
}

// on plays a command on a trip and gives the letters that it sends to the order.
func (w *world) on(tripID string, c trip.Command) []order.TripNotice {
	w.t.Helper()
	row := w.trips[tripID]
	d, err := trip.Decide(row.State, c, w.now, w.p.Trip)
	if err != nil {
		w.t.Fatalf("trip %s: %v", tripID, err)
	}
	row.State = d.State
	row.Version++
	return letters(w.t, d)
}

func letters(t tb, d trip.Decision) []order.TripNotice {
	t.Helper()
	tr, _, err := d.Transition(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	var out []order.TripNotice
	for _, m := range tr.Outbox {
		if m.Channel != "actor" {
			continue
		}
		n, err := order.ReadLetter(m)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

// drive plays a command on a trip and lets the order read its letters.
func (w *world) drive(tripID string, c trip.Command) {
	w.t.Helper()
	for _, n := range w.on(tripID, c) {
		w.do(n)
	}
}

func (w *world) driver(tripID string) trip.By {
	s := w.trips[tripID].State
	return trip.By{User: s.DriverID, Role: fleet.Driver, Fleet: s.TransporterID}
}

func (w *world) accept(tripID string) {
	w.t.Helper()
	w.drive(tripID, trip.Accept{By: w.driver(tripID)})
}
func (w *world) decline(tripID string) {
	w.t.Helper()
	w.drive(tripID, trip.Decline{By: w.driver(tripID)})
}
func (w *world) step(tripID string, to trip.Status) {
	w.t.Helper()
	w.drive(tripID, trip.ChangeStatus{By: w.driver(tripID), To: to})
}

// rows are the trips as the actor would read them.
func (w *world) rows() []order.TripRow {
	var rows []order.TripRow
	for _, id := range w.s.LiveTrips() {
		rows = append(rows, *w.trips[id])
	}
	return rows
}

func (w *world) status(want order.Status) {
	w.t.Helper()
	if w.s.Status != want {
		w.t.Errorf("the order is %s, want %s", w.s.Status, want)
	}
}

func (w *world) slots(want order.Tally) {
	w.t.Helper()
	want.Total = len(w.s.Slots)
	if got := w.s.Tally(); got != want {
		w.t.Errorf("slots %+v, want %+v", got, want)
	}
}

// heard gives the last decision's events of a kind that somebody was told.
func (w *world) heard(who fleet.UserID, kind string) []order.Told {
	var out []order.Told
	for _, n := range w.told {
		if n.Kind == kind && n.To[string(who)] {
			out = append(out, n)
		}
	}
	return out
}
