package order_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"weelo/internal/order"
	"weelo/internal/trip"
)

// TestPartialFillKeepsItsTrucks: at the end of the search the trucks that were found stay.
//
// Invariants: 15, 23, 25.
func TestPartialFillKeepsItsTrucks(t *testing.T) {
	t.Parallel()
	w := born(t, 3)
	id := w.confirm(asha, 1)[0]
	w.accept(id)
	hold := w.hold(ravi, 1)
	w.fire(order.SearchTimer)
	w.status(order.PartiallyFilled)
	w.slots(order.Tally{Filled: 1, Expired: 2})
	got := w.heard(customer, order.KindStatus)
	if len(got) != 1 || got[0].Data.(order.StatusData).ReasonCode != order.ReasonPartialFill || got[0].Data.(order.StatusData).TrucksFilled != 1 {
		t.Errorf("the customer heard %+v", w.told)
	}
	if w.s.Hold(hold).Status != order.HoldExpired || len(w.heard(ravi, order.KindHold)) != 1 || len(w.heard(ravi, order.KindClosed)) != 1 {
		t.Errorf("ravi heard %+v", w.told)
	}
	if !w.trips[id].State.Live || !w.s.IsActive() || w.s.StatusView(w.now).RecoveryHint == "" {
		t.Error("the truck was not kept")
	}
}

// TestExtensions: + 60 s for the first truck, + 30 s for each next, none for one that comes back.
func TestExtensions(t *testing.T) {
	t.Parallel()
	w := born(t, 4)
	lasts := func(want time.Duration) {
		t.Helper()
		if got := time.UnixMilli(w.s.ExpiresMS).UTC().Sub(start); got != want || w.s.Timers[order.SearchTimer].DueMS != w.s.ExpiresMS {
			t.Errorf("the search lasts %s, want %s; timer %+v", got, want, w.s.Timers[order.SearchTimer])
		}
	}
	lasts(120 * time.Second)
	trips := w.confirm(asha, 2)
	lasts(120 * time.Second)
	w.accept(trips[0])
	lasts(180 * time.Second)
	if offers, _ := w.last.Offers(); len(offers) != 2 || !offers[0].Open || offers[0].Expires.UnixMilli() != w.s.ExpiresMS {
		t.Errorf("those who see it see %+v", offers)
	}
	w.accept(trips[1])
	lasts(210 * time.Second)
	w.drive(trips[0], trip.BreakDown{By: byFleet(asha), Note: "engine"})
	lasts(210 * time.Second)
	w.accept(w.confirm(ravi, 1)[0])
	lasts(210 * time.Second)
	w.accept(w.confirm(ravi, 1)[0])
	lasts(240 * time.Second)
}

// TestDeclineSearchesAgain: everybody who was offered the order sees it anew, the transporter included.
func TestDeclineSearchesAgain(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	id := w.confirm(asha, 1)[0]
	v := w.s.OfferedTo(asha).Version
	w.decline(id)
	w.status(order.Active)
	w.slots(order.Tally{Searching: 1})
	if w.s.Slots[0].Tries != 1 || w.s.Slots[0].TripID != "" || w.s.Slots[0].TransporterID != "" {
		t.Errorf("the slot is %+v", w.s.Slots[0])
	}
	if w.s.OfferedTo(asha).Version != v+1 || w.s.OfferedTo(ravi).Version != v+1 {
		t.Errorf("offered %+v", w.s.Offered)
	}
	w.accept(w.confirm(asha, 1)[0])
	w.status(order.FullyFilled)
}

func TestTimeoutSearchesAgain(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	id := w.confirm(asha, 1)[0]
	w.wait(45 * time.Second)
	w.drive(id, trip.TimerFired{Name: trip.AcceptTimer, Number: 1})
	w.slots(order.Tally{Searching: 1})
	w.status(order.Active)
}

// TestBreakdownOfAFullOrder: inside the window its truck is searched for again, by all; after it too, in a
// search of its own. The others are kept whether one is found or not.
func TestBreakdownOfAFullOrder(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	trips := w.confirm(asha, 2)
	w.accept(trips[0])
	w.accept(trips[1])
	w.status(order.FullyFilled)
	w.drive(trips[0], trip.BreakDown{By: byFleet(asha), Note: "engine"})
	w.status(order.PartiallyFilled)
	w.slots(order.Tally{Filled: 1, Searching: 1})
	if w.s.Searching || !w.s.WasFull {
		t.Error("an order that was full counts as searching")
	}
	if got := w.heard(customer, order.KindFill); len(got) != 1 || !got[0].Data.(order.FillData).GivenBack || got[0].Data.(order.FillData).TrucksFilled != 1 {
		t.Errorf("the customer heard %+v", w.told)
	}
	if offers, _ := w.last.Offers(); len(offers) != 2 || !offers[0].Open || !offers[1].Open {
		t.Errorf("offers %+v", offers)
	}
	if _, armed := w.s.Timers[order.SearchTimer]; !armed {
		t.Error("nothing ends the search")
	}
	again := w.confirm(ravi, 1)[0]
	w.accept(again)
	w.status(order.FullyFilled)
	w.wait(time.Hour)
	w.drive(trips[1], trip.BreakDown{By: byFleet(asha), Note: "engine"})
	w.status(order.PartiallyFilled)
	w.slots(order.Tally{Filled: 1, Searching: 1})
	w.fire(order.SearchTimer)
	w.slots(order.Tally{Filled: 1, Expired: 1})
	if w.s.ReasonCode != order.ReasonTruckLost || len(w.s.Timers) != 0 {
		t.Errorf("reason %q, timers %v", w.s.ReasonCode, w.s.Timers)
	}
	w.step(again, trip.Completed)
	w.status(order.Completed)
}

// brokenDown is an order whose only truck broke down on the way, an hour after its search.
func brokenDown(t *testing.T) *world {
	t.Helper()
	w := born(t, 1)
	id := w.confirm(asha, 1)[0]
	w.accept(id)
	w.step(id, trip.InTransit)
	w.wait(time.Hour)
	w.drive(id, trip.BreakDown{By: byFleet(asha), Note: "engine"})
	return w
}

// said is what the customer was last told of how the order stands.
func (w *world) said() order.StatusData {
	w.t.Helper()
	got := w.heard(customer, order.KindStatus)
	if len(got) != 1 {
		w.t.Fatalf("the customer was told %+v", w.told)
	}
	return got[0].Data.(order.StatusData)
}

// TestOnlyTruckBreaksDownOnTheWay: its slot is searched for anew, from the first wave and for its own time,
// and another truck takes the order on. The customer may meanwhile place another order.
func TestOnlyTruckBreaksDownOnTheWay(t *testing.T) {
	t.Parallel()
	w := brokenDown(t)
	w.status(order.InProgress)
	w.slots(order.Tally{Searching: 1})
	if d := w.said(); d.ReasonCode != order.ReasonTruckLost || !strings.Contains(d.Message, "looking for another") {
		t.Errorf("the customer was told %+v", d)
	}
	if w.s.Searching || w.s.Searches != 2 || w.s.ExpiresMS != w.now.Add(w.p.SearchFor).UnixMilli() {
		t.Errorf("searching %v, %d searches until %d", w.s.Searching, w.s.Searches, w.s.ExpiresMS)
	}
	if offers, _ := w.last.Offers(); len(offers) != 2 || !offers[0].Open || !offers[1].Open {
		t.Errorf("offers %+v", offers)
	}
	armed := w.s.Timers[order.WaveTimer]
	wanted, ok := order.Look(w.s, order.TimerFired{Name: order.WaveTimer, Number: armed.Number}, w.now, w.p)
	if !ok || wanted.RadiusKM != 5 || wanted.Slots[truck17] != 1 || armed.DueMS != w.now.UnixMilli() {
		t.Errorf("it looks for %+v, %v, at %d", wanted, ok, armed.DueMS)
	}
	w.fire(order.WaveTimer, near(meena, 1000, 1))
	again := w.confirm(meena, 1)[0]
	w.accept(again)
	if w.s.ReasonCode != "" || w.s.TruckLost() || len(w.s.Timers) != 0 {
		t.Errorf("another has come: reason %q, timers %v", w.s.ReasonCode, w.s.Timers)
	}
	w.step(again, trip.InTransit)
	w.step(again, trip.Completed)
	w.status(order.Completed)
}

// TestTruckLostAndNoOtherFound: the order waits for its customer, and ends truthfully when he says nothing.
func TestTruckLostAndNoOtherFound(t *testing.T) {
	t.Parallel()
	w := brokenDown(t)
	w.fire(order.SearchTimer)
	w.status(order.InProgress)
	if d := w.said(); d.ReasonCode != order.ReasonTruckLost || !strings.Contains(d.Message, "no other was found") || d.RecoveryHint == "" {
		t.Errorf("the customer was told %+v", d)
	}
	if len(w.heard(ravi, order.KindClosed)) != 1 || !w.s.IsActive() || len(w.s.Timers) != 1 {
		t.Errorf("told %+v, timers %v", w.told, w.s.Timers)
	}
	asked := w.now
	w.fire(order.DecideTimer)
	w.status(order.Expired)
	if d := w.said(); d.ReasonCode != order.ReasonTruckLost || !strings.Contains(d.Message, "no other was found") {
		t.Errorf("the customer was told %+v", d)
	}
	if w.now.Sub(asked) != 30*time.Minute || len(w.s.Timers) != 0 {
		t.Errorf("after %s, timers %v", w.now.Sub(asked), w.s.Timers)
	}
}

// TestTruckLostAndItsCustomerDecides: he searches again, complains or cancels.
func TestTruckLostAndItsCustomerDecides(t *testing.T) {
	t.Parallel()
	w := brokenDown(t)
	w.fire(order.SearchTimer)
	w.do(order.RaiseDispute{By: byCustomer(), DisputeID: "d1", Notes: "my goods stand on the road"})
	if w.s.Dispute == nil || w.s.Dispute.Stage != order.StageTransit {
		t.Errorf("dispute %+v", w.s.Dispute)
	}
	w.do(order.SearchAgain{By: byCustomer(), Found: table(near(meena, 1000, 1))})
	w.slots(order.Tally{Searching: 1})
	if _, armed := w.s.Timers[order.DecideTimer]; armed || w.s.DecideByMS != 0 {
		t.Errorf("he has decided: timers %v", w.s.Timers)
	}
	w.fire(order.SearchTimer) // in vain: he is asked again
	w.status(order.InProgress)
	w.do(order.Cancel{By: byCustomer()})
	w.status(order.Cancelled)
	if len(w.s.Timers) != 0 || w.s.Dispute.HandedOverMS == 0 || w.s.Cancellation.Penalty.Final != 0 {
		t.Errorf("timers %v, dispute %+v", w.s.Timers, w.s.Dispute)
	}
}

// TestTruckLostTooOften: an order is not searched for without end, and waits for its customer all the same.
func TestTruckLostTooOften(t *testing.T) {
	t.Parallel()
	w := brokenDown(t)
	for range w.p.SearchesMax - 2 {
		id := w.confirm(ravi, 1)[0]
		w.accept(id)
		w.wait(time.Hour)
		w.drive(id, trip.Cancel{By: byFleet(ravi), Reason: "no diesel"})
		w.slots(order.Tally{Searching: 1})
	}
	id := w.confirm(ravi, 1)[0]
	w.accept(id)
	w.wait(time.Hour)
	w.drive(id, trip.BreakDown{By: byFleet(ravi), Note: "engine"})
	w.slots(order.Tally{Expired: 1})
	w.status(order.InProgress)
	if err := w.refused(order.SearchAgain{By: byCustomer()}); !errors.Is(err, order.ErrSearchedOut) {
		t.Errorf("search again: %v", err)
	}
	w.fire(order.DecideTimer)
	w.status(order.Expired)
}

// TestOnlyTheLostTruckIsSearchedFor: what the customer went on without stays given up, and the lost truck
// does not make the order his searching one.
func TestOnlyTheLostTruckIsSearchedFor(t *testing.T) {
	t.Parallel()
	w := born(t, 3)
	id := w.confirm(asha, 1)[0]
	w.accept(id)
	w.do(order.ContinuePartial{By: byCustomer()})
	w.drive(id, trip.Cancel{By: byFleet(asha), Reason: "no diesel"})
	w.status(order.Active)
	w.slots(order.Tally{Searching: 1, Expired: 2})
	armed := w.s.Timers[order.WaveTimer]
	wanted, ok := order.Look(w.s, order.TimerFired{Name: order.WaveTimer, Number: armed.Number}, w.now, w.p)
	if !ok || wanted.Slots[truck17] != 1 || w.s.Searching || w.last.Contended {
		t.Errorf("looks for %+v, searching %v", wanted, w.s.Searching)
	}
}

func TestCustomerCancelsOneTrip(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	trips := w.confirm(asha, 2)
	w.accept(trips[0])
	w.accept(trips[1])
	w.drive(trips[0], trip.Cancel{By: byCustomer(), Reason: "one is enough"})
	w.slots(order.Tally{Filled: 1, Cancelled: 1})
	w.step(trips[1], trip.Completed)
	w.status(order.Completed)
}

// TestLettersOutOfOrder: what a letter says stands, whatever is still on its way.
func TestLettersOutOfOrder(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	id := w.confirm(asha, 1)[0]
	var all []order.TripNotice
	all = append(all, w.on(id, trip.Accept{By: w.driver(id)})...)
	all = append(all, w.on(id, trip.ChangeStatus{By: w.driver(id), To: trip.InTransit})...)
	all = append(all, w.on(id, trip.ChangeStatus{By: w.driver(id), To: trip.Completed})...)
	if len(all) != 3 {
		t.Fatalf("letters %+v", all)
	}
	w.do(all[1])
	w.status(order.InProgress)
	if w.s.Slots[0].AcceptedMS == 0 {
		t.Error("a truck that drives was not accepted")
	}
	w.do(all[0])
	w.status(order.InProgress)
	w.do(all[2])
	w.status(order.Completed)
	w.do(all[2])
	if w.s.Letters != 2 || w.s.Status != order.Completed {
		t.Errorf("%d letters of no use, %s", w.s.Letters, w.s.Status)
	}
}

// TestLettersOfNoUse are consumed and recorded, and change nothing else.
func TestLettersOfNoUse(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	old := w.confirm(asha, 1)[0]
	late := w.on(old, trip.Decline{By: w.driver(old)})
	w.do(late[0])
	id := w.confirm(ravi, 1)[0]
	for _, n := range []order.TripNotice{
		{Type: order.LetterAccepted, Notice: trip.OrderNotice{TripID: old}},
		{Type: order.LetterDeclined, Notice: trip.OrderNotice{TripID: "unknown"}},
		{Type: "Something", Notice: trip.OrderNotice{TripID: id}},
		{Type: order.LetterEnded},
		late[0],
	} {
		slots := w.s.Tally()
		d := w.do(n)
		if len(d.Events) != 1 || d.Events[0].What != order.NoticeIgnored || w.s.Tally() != slots {
			t.Errorf("%s of %q: %+v", n.Type, n.Notice.TripID, d.Events)
		}
		if len(w.told) != 0 {
			t.Errorf("people were told %+v", w.told)
		}
	}
	w.accept(id)
	decline := order.TripNotice{Type: order.LetterDeclined, Notice: trip.OrderNotice{TripID: id}}
	if d := w.do(decline); d.Events[0].What != order.NoticeIgnored {
		t.Error("a driver who had accepted declined")
	}
}

func TestPartialDelivery(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	id := w.confirm(asha, 1)[0]
	w.accept(id)
	w.do(order.TripNotice{Type: order.LetterEnded, Notice: trip.OrderNotice{TripID: id, Status: trip.PartialDelivery}})
	w.status(order.Completed)
	if w.s.Slots[0].Status != order.SlotPartial || w.s.Slots[0].VehicleNumber == "" {
		t.Errorf("the slot is %+v", w.s.Slots[0])
	}
}

// TestLastOpenSlotLostBeforeTheTimer: the search is over when nothing is left to find, whether or not its
// timer was heard, and everybody is told.
//
// Invariants: 17, 19.
func TestLastOpenSlotLostBeforeTheTimer(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	w.accept(w.confirm(asha, 1)[0])
	w.wait(170 * time.Second)
	id := w.confirm(asha, 1)[0]
	w.now = time.UnixMilli(w.s.ExpiresMS).UTC().Add(time.Second)
	w.decline(id)
	w.status(order.PartiallyFilled)
	if w.s.Searching || !w.s.Closed || len(w.s.Timers) != 0 || w.s.ReasonCode != order.ReasonPartialFill {
		t.Errorf("searching %v, closed %v, timers %v, reason %q", w.s.Searching, w.s.Closed, w.s.Timers, w.s.ReasonCode)
	}
	if len(w.heard(asha, order.KindClosed)) != 1 || len(w.heard(ravi, order.KindClosed)) != 1 || len(w.heard(customer, order.KindStatus)) != 1 {
		t.Errorf("people heard %+v", w.told)
	}
}

// TestFullWithoutWhatWasGivenUp: a truck that the customer gave up is not waited for.
func TestFullWithoutWhatWasGivenUp(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	trips := w.confirm(asha, 2)
	w.accept(trips[0])
	w.drive(trips[1], trip.Cancel{By: byCustomer(), Reason: "one is enough"})
	w.status(order.FullyFilled)
	if w.s.Searching || len(w.s.Timers) != 0 || len(w.heard(ravi, order.KindClosed)) != 1 {
		t.Errorf("searching %v, timers %v, told %+v", w.s.Searching, w.s.Timers, w.told)
	}
}

// TestFullWhileSomeAreOnTheirWay: a truck may drive while others are still searched for; when the last is
// found the offers close, though the order is in progress and stays so.
//
// Invariants: 17.
func TestFullWhileSomeAreOnTheirWay(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	first := w.confirm(asha, 1)[0]
	w.accept(first)
	w.step(first, trip.InTransit)
	w.status(order.InProgress)
	w.accept(w.confirm(ravi, 1)[0])
	w.status(order.InProgress)
	if w.s.Searching || !w.s.WasFull || len(w.s.Timers) != 0 {
		t.Errorf("searching %v, was full %v, timers %v", w.s.Searching, w.s.WasFull, w.s.Timers)
	}
	if got := w.heard(ravi, order.KindClosed); len(got) != 1 || got[0].Data.(order.ClosedData).Reason != order.ClosedFull {
		t.Errorf("ravi heard %+v", w.told)
	}
	if got := w.heard(customer, order.KindFill); len(got) != 1 || len(got[0].Data.(order.FillData).Assignments) != 2 {
		t.Errorf("the customer heard %+v", got)
	}
}
