package actors_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/trip"
	"weelo/store/sqlite"
)

func TestOrderFromItsBirthToItsEnd(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(2)
		m.wants(id, order.Active, order.SlotSearching, order.SlotSearching)
		if got := m.shown(); !cmp.Equal(got, []string{"T1 v1 open"}) {
			t.Fatalf("the first wave was shown to %v", got)
		}
		<-time.After(26 * time.Second) // 5 km for 10 s, 10 km for 10 s, then 15 km
		if got := m.shown(); !cmp.Equal(got, []string{"T2 v1 open"}) {
			t.Fatalf("the third wave was shown to %v", got)
		}
		one, two := m.hold(id, first, 1), m.hold(id, second, 1)
		m.wants(id, order.Active, order.SlotHeld, order.SlotHeld)
		trips := append(m.confirm(one, first, "V1", "D1"), m.confirm(two, second, "V3", "D3")...)
		m.wants(id, order.Active, order.SlotAssigned, order.SlotAssigned)
		if got := m.inbox("C1"); !cmp.Equal(got, []string{"order_status:active"}) {
			t.Fatalf("before a driver accepts the customer was told %v", got)
		}
		m.must(m.drive(trips[0], trip.Accept{By: ravi}))
		m.wants(id, order.PartiallyFilled, order.SlotAccepted, order.SlotAssigned)
		m.must(m.drive(trips[1], trip.Accept{By: imran}))
		m.wants(id, order.FullyFilled, order.SlotAccepted, order.SlotAccepted)
		for i, by := range []trip.By{ravi, imran} {
			for _, step := range []trip.Status{trip.AtPickup, trip.InTransit, trip.Completed} {
				m.must(m.drive(trips[i], trip.ChangeStatus{By: by, To: step}))
			}
		}
		s := m.wants(id, order.Completed, order.SlotCompleted, order.SlotCompleted)
		if s.Live || len(s.Timers) != 0 {
			t.Errorf("an order that has ended lives on: live %v, timers %v", s.Live, s.Timers)
		}
		m.toldTheCustomer()
		for _, line := range []string{"order_status:active", "offer_closed:fully_filled", "trip_status:completed", "order_status:completed"} {
			if got := m.inbox("T2"); !contains(got, line) { // the first is about his hold
				t.Errorf("T2 was not told %s: %v", line, got)
			}
		}
		if left := unsent(t, m.ledger); left != 0 {
			t.Errorf("%d letters were not delivered", left)
		}
	})
}

func (m *market) toldTheCustomer() {
	m.t.Helper()
	var ofOrder []string
	for _, line := range m.inbox("C1") {
		if strings.HasPrefix(line, "order_") {
			ofOrder = append(ofOrder, line)
		}
	}
	if diff := cmp.Diff([]string{
		"order_status:active", "order_fill:1", "order_status:partially_filled", "order_fill:2", "order_status:fully_filled",
		"order_status:in_progress", "order_completed", "order_status:completed",
	}, reorder(ofOrder)); diff != "" {
		m.t.Errorf("the customer was told (-want +got):\n%s", diff)
	}
}

// reorder puts the end's two events into one order.
func reorder(lines []string) []string {
	if n := len(lines); n > 1 && lines[n-1] == "order_completed" {
		lines[n-1], lines[n-2] = lines[n-2], lines[n-1]
	}
	return lines
}

func contains(lines []string, want string) bool {
	for _, l := range lines {
		if l == want {
			return true
		}
	}
	return false
}

func TestASecondOrderIsRefusedWithTheFirst(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		one, err := m.orders.Create(t.Context(), asks(1, "k1"))
		m.must(err)
		again, err := m.orders.Create(t.Context(), asks(1, "k1"))
		m.must(err)
		if again.State.ID != one.State.ID || !again.Replayed {
			t.Errorf("the repeat gave %s, replayed %v; want %s again", again.State.ID, again.Replayed, one.State.ID)
		}
		_, err = m.orders.Create(t.Context(), asks(2, "k1"))
		m.refuses(err, "IDEMPOTENCY_KEY_REUSED")
		_, err = m.orders.Create(t.Context(), asks(1, "k2"))
		m.refuses(err, "ACTIVE_ORDER_EXISTS")
		if got := fault.From(err).Data["activeOrderId"]; got != one.State.ID {
			t.Errorf("activeOrderId %v, want %s", got, one.State.ID)
		}
	})
}

// TestPlansHaveALimit: ten scheduled orders of a customer may wait; one that is cancelled makes room, and
// an order for now is not in their way.
func TestPlansHaveALimit(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		plan := func(key string) (string, error) {
			r := asks(1, key)
			r.Order.ScheduledMS = time.Now().Add(24 * time.Hour).UnixMilli()
			reply, err := m.orders.Create(t.Context(), r)
			if err != nil {
				return "", err
			}
			return reply.State.ID, nil
		}
		ids := make([]string, 0, 10)
		for i := range 10 {
			id, err := plan(fmt.Sprint("plan", i))
			m.must(err)
			ids = append(ids, id)
		}
		_, err := plan("one too many")
		m.refuses(err, "SCHEDULED_LIMIT_REACHED")
		again, err := plan("plan3") // a repeat is answered as ever
		m.must(err)
		if again != ids[3] {
			t.Errorf("a repeat gave order %s, not %s", again, ids[3])
		}
		m.create(1)
		_, err = m.orders.Cancel(t.Context(), protocol.OrderRequest{OrderID: ids[0], By: asha})
		m.must(err)
		<-time.After(time.Minute) // the cool-down
		_, err = plan("in its place")
		m.must(err)
	})
}

// Many at once, and the index decides: the reads before it saw nobody, for each has read before the first
// commits.
//
// Invariants: 18.
func TestOrdersOfOneCustomerAtOnce(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		const n = 8
		tried := 0
		m.ledger.Break(func(tr ledger.Transition) actortest.Fault {
			if tr.Ref.Kind == ledger.Order && tr.Version == 0 {
				tried++
			}
			return actortest.NoFault
		})
		orders := actors.NewOrders(actors.OrdersConfig{
			Ledger: ports(m.ledger), Router: m.router(), Publisher: m.hub, Policy: m.policy, Matcher: m.meeting(n),
			Price: func(string, string, int) error { return nil }, Reads: sqlite.NewOrderReads(m.db), Trips: sqlite.NewTripReads(m.db),
			Users: sqlite.NewUsers(m.db), NewID: uuid.NewString,
		})
		results := make(chan error, n)
		for i := range n {
			go func() {
				_, err := orders.Create(context.Background(), asks(1, fmt.Sprint("key-", i)))
				results <- err
			}()
		}
		won := 0
		for range n {
			if err := <-results; err == nil {
				won++
			} else if r := fault.From(err).Reason; r != "ACTIVE_ORDER_EXISTS" {
				t.Errorf("refused with %v", err)
			}
		}
		if won != 1 || tried < n {
			t.Errorf("of %d births that came to the store %d were committed, want 1 of %d", tried, won, n)
		}
	})
}

// meeting is a matcher who finds nobody, and that only when so many have asked it.
func (m *market) meeting(size int) actors.OrderMatcher {
	var all sync.WaitGroup
	all.Add(size)
	return matchmaker(func() {
		all.Done()
		all.Wait()
	})
}

type matchmaker func()

// Candidates implements actors.OrderMatcher.
func (f matchmaker) Candidates(context.Context, fleet.Wanted) ([]fleet.Candidate, error) {
	f()
	return nil, nil
}

func TestDeclinedAndTimedOutTrucksAreSearchedForAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(2)
		trips := m.confirm(m.hold(id, first, 2), first, "V1", "D1", "V2", "D2")
		m.must(m.drive(trips[0], trip.Decline{By: ravi, Reason: "too far"}))
		m.wants(id, order.Active, order.SlotSearching, order.SlotAssigned)
		<-time.After(46 * time.Second) // nobody answers for the other truck
		if diff := cmp.Diff([]protocol.TripEnded{{TripID: trips[0], Reason: "reassigned"}, {TripID: trips[1], Reason: "reassigned"}}, m.hub.Ended()); diff != "" {
			t.Errorf("watchers were told (-want +got):\n%s", diff)
		}
		s := m.wants(id, order.Active, order.SlotSearching, order.SlotSearching)
		if s.Slots[0].Tries != 1 || s.Slots[1].Tries != 1 {
			t.Errorf("tries %d and %d, want 1 and 1", s.Slots[0].Tries, s.Slots[1].Tries)
		}
		// Both trucks and drivers are free again.
		m.confirm(m.hold(id, first, 2), first, "V1", "D1", "V2", "D2")
	})
}

func TestHoldRunsOut(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(1)
		hold := m.hold(id, first, 1)
		_, err := m.orders.Hold(t.Context(), protocol.HoldRequest{OrderID: id, By: first, Type: "open", Subtype: "17 Feet", Quantity: 1})
		m.must(err) // the same again is a replay
		r, err := m.orders.ExtendHold(t.Context(), protocol.HoldChange{HoldID: hold, By: first})
		m.must(err)
		if r.Hold.Extensions != 1 {
			t.Errorf("%d extensions", r.Hold.Extensions)
		}
		_, err = m.orders.ExtendHold(t.Context(), protocol.HoldChange{HoldID: hold, By: second})
		m.refuses(err, "HOLD_NOT_FOUND")
		<-time.After(119 * time.Second)
		m.wants(id, order.Active, order.SlotHeld)
		<-time.After(2 * time.Second) // the search is over as well
		m.wants(id, order.Expired, order.SlotExpired)
		if got := m.inbox("T1"); !contains(got, "hold_expired:expired") || !contains(got, "offer_closed:timeout") {
			t.Errorf("T1 was told %v", got)
		}
		_, err = m.orders.Confirm(t.Context(), protocol.ConfirmRequest{HoldID: hold, By: first, Picks: pick("V1", "D1")})
		m.refuses(err, "HOLD_EXPIRED")
	})
}

// Expiry closes the search only: a driver who was asked before may still accept, and the order lives.
//
// Invariants: 25.
func TestExpiryWaitsForPendingTrips(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(2)
		<-time.After(110 * time.Second)
		trips := m.confirm(m.hold(id, first, 1), first, "V1", "D1")
		<-time.After(11 * time.Second)
		s := m.wants(id, order.Active, order.SlotAssigned, order.SlotExpired)
		if !s.Closed {
			t.Error("the search goes on")
		}
		m.must(m.drive(trips[0], trip.Accept{By: ravi}))
		m.wants(id, order.PartiallyFilled, order.SlotAccepted, order.SlotExpired)
		for _, step := range []trip.Status{trip.AtPickup, trip.InTransit, trip.Completed} {
			m.must(m.drive(trips[0], trip.ChangeStatus{By: ravi, To: step}))
		}
		m.wants(id, order.Completed, order.SlotCompleted, order.SlotExpired)
	})
}

func TestCancelEndsEverything(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(2)
		trips := m.confirm(m.hold(id, first, 1), first, "V1", "D1")
		m.must(m.drive(trips[0], trip.Accept{By: ravi}))
		quote, err := m.orders.CancelPreview(t.Context(), id, asha)
		m.must(err)
		cancel := protocol.OrderRequest{OrderID: id, By: asha, Reason: "plans changed", Repeat: protocol.Repeat{Key: "c1", Hash: "h"}}
		r, err := m.orders.Cancel(t.Context(), cancel)
		m.must(err)
		if c := r.State.Cancellation; c == nil || c.TripsEnded != 1 || c.Penalty.Final != 50 || c.Penalty != quote.Penalty {
			t.Errorf("cancellation %+v, the preview said %+v", c, quote)
		}
		again, err := m.orders.Cancel(t.Context(), cancel)
		m.must(err)
		if !again.Replayed && again.Version != r.Version {
			t.Errorf("the repeat wrote again: version %d after %d", again.Version, r.Version)
		}
		m.wants(id, order.Cancelled, order.SlotCancelled, order.SlotCancelled)
		if s := m.trip(trips[0]); s.Live || s.Status != trip.Cancelled {
			t.Errorf("the trip is %s", s.Status)
		}
		m.refuses(m.drive(trips[0], trip.ChangeStatus{By: ravi, To: trip.AtPickup}), "TRIP_NOT_ACTIVE")
		if got := m.inbox("D1"); got[len(got)-1] != "trip_cancelled" {
			t.Errorf("the driver was told %v", got)
		}
		if got := m.inbox("T1"); !contains(got, "offer_closed:customer_cancelled") {
			t.Errorf("T1 was told %v", got)
		}
		_, err = m.orders.Create(t.Context(), asks(1, ""))
		m.refuses(err, "REBOOK_COOLDOWN")
		<-time.After(16 * time.Second)
		m.create(1)
	})
}

func TestConfirmIsExactAndRepeatable(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(2)
		hold := m.hold(id, first, 2)
		for name, test := range map[string]struct {
			picks  []order.Pick
			failed []order.FailedPick
		}{
			"another fleet's":  {pick("V1", "D1", "V3", "D2"), []order.FailedPick{{VehicleID: "V3", Reason: order.PickVehicleUnknown}}},
			"one driver twice": {pick("V1", "D1", "V2", "D1"), []order.FailedPick{{VehicleID: "V2", Reason: order.PickTwice}}},
		} {
			_, err := m.orders.Confirm(t.Context(), protocol.ConfirmRequest{HoldID: hold, By: first, Picks: test.picks})
			m.refuses(err, "CONFIRM_FAILED")
			if diff := cmp.Diff(test.failed, order.FailedPicks(err)); diff != "" {
				t.Errorf("%s: failed (-want +got):\n%s", name, diff)
			}
		}
		m.wants(id, order.Active, order.SlotHeld, order.SlotHeld)
		c := protocol.ConfirmRequest{HoldID: hold, By: first, Picks: pick("V1", "D1", "V2", "D2"), Repeat: protocol.Repeat{Key: "k", Hash: "h"}}
		one, err := m.orders.Confirm(t.Context(), c)
		m.must(err)
		two, err := m.orders.Confirm(t.Context(), c)
		m.must(err)
		m.restart() // an activation that does not remember
		three, err := m.orders.Confirm(t.Context(), c)
		m.must(err)
		if !cmp.Equal(one.Hold.TripIDs, two.Hold.TripIDs) || !cmp.Equal(one.Hold.TripIDs, three.Hold.TripIDs) || len(one.Hold.TripIDs) != 2 {
			t.Errorf("trips %v, then %v, then %v", one.Hold.TripIDs, two.Hold.TripIDs, three.Hold.TripIDs)
		}
		c.Key = ""
		four, err := m.orders.Confirm(t.Context(), c)
		m.must(err)
		if !cmp.Equal(one.Hold.TripIDs, four.Hold.TripIDs) {
			t.Errorf("without its key: trips %v", four.Hold.TripIDs)
		}
	})
}

// What was read before a confirmation may be out of date: the index has the last word, and says which.
func TestTheIndexRefusesAConfirmation(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(1)
		hold := m.hold(id, first, 1)
		stale := staleCrew{fleet.Crew{
			Vehicles: map[fleet.VehicleID]fleet.VehicleFact{"V1": {Vehicle: actortest.SmallWorld().Trucks["V1"]}},
			Drivers:  map[fleet.UserID]fleet.DriverFact{"D1": {User: actortest.SmallWorld().Users["D1"]}},
		}}
		// The truck goes on a trip without an order between the read and the commit.
		busy := trip.Assignment{ID: "other", Driver: "D2", Vehicle: "V1", Transporter: "T1", Pickup: bengaluru, Drop: chennai}
		d, err := trip.Born(busy, time.Now(), trip.DefaultPolicy())
		m.must(err)
		tr, _, err := d.Transition(0, 0)
		m.must(err)
		if o := m.ledger.Commit(t.Context(), []ledger.Transition{tr}); o[0].Status != ledger.Committed {
			t.Fatalf("%+v", o[0])
		}
		_, err = m.orders.Confirm(t.Context(), protocol.ConfirmRequest{HoldID: hold, By: first, Picks: pick("V1", "D1")})
		m.refuses(err, "CONFIRM_FAILED") // by what was read
		m.crew = stale
		m.restart()
		_, err = m.orders.Confirm(t.Context(), protocol.ConfirmRequest{HoldID: hold, By: first, Picks: pick("V1", "D1")})
		m.refuses(err, "CONFIRM_FAILED") // by the index
		if diff := cmp.Diff([]order.FailedPick{{VehicleID: "V1", Reason: order.PickVehicleBusy}}, order.FailedPicks(err)); diff != "" {
			t.Errorf("failed (-want +got):\n%s", diff)
		}
		m.wants(id, order.Active, order.SlotHeld)
	})
}

// A confirmation that names other vehicles than the first one did is no repeat of it.
func TestAnotherConfirmationIsNoRepeat(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(1)
		hold := m.hold(id, first, 1)
		m.confirm(hold, first, "V1", "D1")
		_, err := m.orders.Confirm(t.Context(), protocol.ConfirmRequest{HoldID: hold, By: first, Picks: pick("V2", "D2")})
		m.refuses(err, "TRUCK_STATE_CHANGED")
		m.confirm(hold, first, "V1", "D1")
	})
}
