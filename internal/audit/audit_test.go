package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weelo/internal/audit"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/trip"
)

const t0 = int64(1_790_000_000_000) // Unix ms

// world is what is stored: one live order of three trucks (one slot held, one driven, one whose first
// trip was declined and whose second waits), and its three trips.
type world struct {
	order   order.State
	trips   []trip.State
	offers  []ledger.Offer
	told    []string
	letters []audit.Letter
	waiting int // letters to the order

	orderTimers  []ledger.Timer // nil: those of the snapshot
	tripTimers   []ledger.Timer
	history      []audit.Line
	orderVersion int64
	tripHistory  map[string][]audit.Line
	more         []order.State
}

// Orders implements audit.Rows. Every order's page is one.
func (w *world) Orders(_ context.Context, after string, _ int) ([]audit.Order, error) {
	if after != "" {
		return nil, nil
	}
	out := []audit.Order{w.one()}
	for _, s := range w.more {
		o := audit.Order{Aggregate: aggregate(ledger.Order, s.ID, s, nil)}
		out = append(out, o)
	}
	return out, nil
}

func (w *world) one() audit.Order {
	timers := w.orderTimers
	if timers == nil {
		for name, t := range w.order.Timers {
			timers = append(timers, ledger.Timer{Name: name, Number: t.Number, Due: time.UnixMilli(t.DueMS)})
		}
	}
	o := audit.Order{Aggregate: aggregate(ledger.Order, "o", w.order, timers), Offers: w.offers, Told: w.told, Letters: w.waiting}
	o.History, o.Version = w.history, w.orderVersion
	for _, t := range w.trips {
		o.Trips = append(o.Trips, aggregate(ledger.Trip, t.ID, t, nil))
	}
	return o
}

// Trips implements audit.Rows.
func (w *world) Trips(_ context.Context, after string, _ int) (out []audit.Aggregate, _ error) {
	for _, t := range w.trips {
		if after != "" {
			break
		}
		timers := w.tripTimers
		if timers == nil {
			for name, armed := range t.Timers {
				timers = append(timers, ledger.Timer{Name: name, Number: armed.Number, Due: time.UnixMilli(armed.DueMS)})
			}
		}
		a := aggregate(ledger.Trip, t.ID, t, timers)
		if h := w.tripHistory[t.ID]; h != nil {
			a.History = h
		}
		out = append(out, a)
	}
	return out, nil
}

// Letters implements audit.Rows.
func (w *world) Letters(context.Context, int) ([]audit.Letter, error) { return w.letters, nil }

func aggregate(kind ledger.Kind, id string, state any, timers []ledger.Timer) audit.Aggregate {
	raw, err := json.Marshal(state)
	if err != nil {
		panic(err)
	}
	return audit.Aggregate{
		Ref: ledger.Ref{Kind: kind, ID: id}, Version: 1, Epoch: 1, State: raw, Timers: timers,
		History: []audit.Line{{Version: 1, Type: "x"}},
	}
}

func good() *world {
	slot := func(n int, status order.SlotStatus, hold, tripID string) order.Slot {
		return order.Slot{ID: fmt.Sprint("s", n), Number: n, Status: status, HoldID: hold, TripID: tripID, TransporterID: "f"}
	}
	born := order.State{
		ID: "o", Status: order.Broadcasting, Live: true, Searching: true, CustomerID: "c", Needs: []order.Need{{Quantity: 3}}, Searches: 1,
		Route: []order.Stop{}, Slots: []order.Slot{slot(1, order.SlotSearching, "", ""), slot(2, order.SlotSearching, "", ""), slot(3, order.SlotSearching, "", "")},
		CreatedMS: t0, ExpiresMS: t0 + 120_000, Timers: map[string]order.Timer{},
	}
	s := born
	s.Status, s.StatusMS = order.Active, t0
	s.Slots = []order.Slot{slot(1, order.SlotHeld, "H1", ""), slot(2, order.SlotInProgress, "H2", "t2"), slot(3, order.SlotAssigned, "H3", "t4")}
	s.Holds = []order.Hold{
		{ID: "H1", TransporterID: "f", SlotIDs: []string{"s1"}, Status: order.HoldActive, ExpiresMS: t0 + 90_000},
		{ID: "H2", TransporterID: "f", SlotIDs: []string{"s2"}, Status: order.HoldConfirmed},
	}
	s.Offered = []order.Offered{{TransporterID: "f", Version: 1}, {TransporterID: "g", Version: 2, Closed: true}}
	s.Timers = map[string]order.Timer{"search": {Number: 1, DueMS: t0 + 120_000}, "hold:H1": {Number: 2, DueMS: t0 + 90_000}}
	s.Count = 1
	one := func(id, slot string, status trip.Status) trip.State {
		t := trip.State{
			ID: id, OrderID: "o", Slot: slot, Status: status, Live: !status.Terminal(), TransporterID: "f", DriverID: "d1", VehicleID: "v1",
			AssignedMS: t0 + 20_000, Timers: map[string]trip.Timer{},
		}
		if t.Live {
			t.Timers["accept"] = trip.Timer{Number: 1, DueMS: t0 + 65_000}
		} else {
			t.EndedMS = t0 + 30_000
		}
		return t
	}
	w := &world{
		order: s, trips: []trip.State{one("t1", "s3", trip.DriverDeclined), one("t2", "s2", trip.InTransit), one("t4", "s3", trip.Pending)},
		offers: []ledger.Offer{
			{Recipient: "f", Version: 1, Open: true},
			{Recipient: "g", Version: 2, Closed: time.UnixMilli(t0)},
		},
		told: []string{"g"}, orderVersion: 2,
		history: []audit.Line{
			{Version: 1, Type: "order_created"},
			{Version: 2, Type: "order_status", Status: "broadcasting"}, {Version: 2, Ordinal: 1, Epoch: 1, Type: "order_status", Status: "active"},
		},
		tripHistory: map[string][]audit.Line{},
	}
	w.trips[1].DriverID, w.trips[1].VehicleID = "d2", "v2"
	w.trips[2].AssignedMS = t0 + 31_000
	return w
}

var opt = audit.Options{Now: time.UnixMilli(t0 + 40_000), Quiet: true}

func run(t *testing.T, w *world) audit.Report {
	t.Helper()
	r, err := audit.Run(t.Context(), w, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestGoodStore: nothing is found where nothing is wrong.
func TestGoodStore(t *testing.T) {
	t.Parallel()
	r := run(t, good())
	if !r.OK() || r.Orders != 1 || r.LiveOrders != 1 || r.Trips != 3 || r.LiveTrips != 2 || r.Offers != 2 {
		t.Errorf("%+v", r)
	}
}

// end makes the order a terminal one, as it should be.
func end(w *world) {
	w.order.Status, w.order.Live, w.order.Searching, w.order.EndedMS = order.Expired, false, false, t0+39_000
	w.order.Timers = nil
}

// TestEachInvariantIsFound breaks each invariant that the audit judges, one way each. These are its
// controls: a rule that finds nothing here would find nothing anywhere.
//
// Invariants: 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22.
func TestEachInvariantIsFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		number int
		how    string
		spoil  func(*world)
	}{
		{4, "a hole in the history", func(w *world) { w.history[2].Ordinal = 2 }},
		{4, "a version without events", func(w *world) { w.orderVersion = 3 }},
		{5, "another status than was told", func(w *world) { w.order.Status = order.PartiallyFilled }},
		{5, "live in a terminal status", func(w *world) { w.trips[0].Live = true }},
		{6, "an epoch that goes back", func(w *world) { w.history[0].Epoch = 2 }},
		{7, "a step that is no edge", func(w *world) { w.history[1].Status = "in_progress" }},
		{7, "a trip that goes back", func(w *world) {
			w.tripHistory["t2"] = []audit.Line{{Version: 1, Status: "in_transit"}, {Version: 1, Ordinal: 1, Status: "at_pickup"}, {Version: 1, Ordinal: 2, Status: "in_transit"}}
		}},
		{8, "one driver on two trips", func(w *world) { w.trips[1].DriverID = "d1" }},
		{9, "one vehicle on two trips", func(w *world) { w.trips[1].VehicleID = "v1" }},
		{10, "two winners of one slot", func(w *world) { w.trips[0].Status = trip.Completed }},
		{10, "a trip for no slot", func(w *world) { w.trips[0].Slot = "s9" }},
		{11, "a trip won after the search", func(w *world) { w.trips[2].AssignedMS = t0 + 200_000 }},
		{12, "a winner who was not offered it", func(w *world) { w.trips[0].TransporterID = "x" }},
		{12, "a holder who was not offered it", func(w *world) { w.order.Holds[0].TransporterID = "x" }},
		{13, "a held slot without a hold", func(w *world) { w.order.Holds[0].Status = order.HoldExpired }},
		{13, "a hold without a timer", func(w *world) { delete(w.order.Timers, "hold:H1") }},
		{13, "a hold of an order that has ended", end},
		{14, "a live trip of a cancelled order", func(w *world) { end(w); w.order.Status = order.Cancelled }},
		{14, "a slot that waits in an order that has ended", end},
		{15, "a slot that is not there", func(w *world) { w.order.Slots = w.order.Slots[:2] }},
		{16, "two ends", func(w *world) {
			w.history = append(w.history, audit.Line{Version: 2, Ordinal: 2, Epoch: 1, Status: "expired"}, audit.Line{Version: 2, Ordinal: 3, Epoch: 1, Status: "cancelled"})
		}},
		{17, "an open offer of an order that has ended", end},
		{17, "somebody who was not told", func(w *world) { w.told = nil }},
		{17, "an offer that the order thinks closed", func(w *world) { w.order.Offered[0].Closed = true }},
		{18, "two searching orders of one customer", func(w *world) { other := w.order; other.ID = "p"; w.more = []order.State{other} }},
		{18, "searching when it is over", func(w *world) { w.order.Closed = true }},
		{19, "a timer row that is not the snapshot's", func(w *world) { w.orderTimers = []ledger.Timer{{Name: "search", Number: 9}} }},
		{19, "a trip without a timer", func(w *world) { w.trips[1].Timers = nil }},
		{20, "an overdue timer", func(w *world) { w.order.Timers["search"] = order.Timer{Number: 1, DueMS: t0} }},
		{21, "a letter that was not delivered", func(w *world) { w.letters = []audit.Letter{{ID: "m", To: "order/o"}} }},
		{22, "a slot whose trip is another", func(w *world) { w.order.Slots[1].TripID = "t1" }},
		{22, "a filled slot whose trip was declined", func(w *world) { w.order.Slots[2].Status, w.order.Slots[2].TripID = order.SlotAccepted, "t1" }},
	} {
		t.Run(fmt.Sprintf("I%d %s", c.number, c.how), func(t *testing.T) {
			t.Parallel()
			w := good()
			c.spoil(w)
			r := run(t, w)
			if !slices.ContainsFunc(r.Breaches, func(b audit.Breach) bool { return b.Number == c.number }) {
				t.Errorf("not found; found %v", r.Breaches)
			}
		})
	}
}

// TestUnderWay: what is only true at rest is not asked of a store that is at work.
func TestUnderWay(t *testing.T) {
	t.Parallel()
	w := good()
	w.order.Timers["search"] = order.Timer{Number: 1, DueMS: t0}
	w.letters = []audit.Letter{{ID: "m", To: "order/o", Type: "DriverAccepted"}}
	w.order.Slots[2].Status, w.waiting = order.SlotSearching, 1
	r, err := audit.Run(t.Context(), w, audit.Options{Now: opt.Now})
	if err != nil || !r.OK() || r.Letters != 1 {
		t.Errorf("%v %+v", err, r.Breaches)
	}
	if quiet := run(t, w); quiet.Count != 2 || !strings.Contains(quiet.Breaches[0].String(), "I20 order o: timer search is 40s overdue") {
		t.Errorf("%v", quiet.Breaches)
	}
}
