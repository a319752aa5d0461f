package order_test

import (
	"errors"
	"testing"
	"time"

	"weelo/internal/fault"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// TestWholeLife is the walk of contract §7: ordered, held, confirmed, accepted, driven, completed.
func TestWholeLife(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	w.status(order.Active)
	w.slots(order.Tally{Searching: 2})
	if len(w.heard(customer, order.KindStatus)) != 1 {
		t.Errorf("the customer was told %+v", w.told)
	}
	w.wait(time.Second)
	id := w.hold(asha, 2)
	w.slots(order.Tally{Held: 2})
	if len(w.told) != 1 || len(w.heard(asha, order.KindStatus)) != 1 {
		t.Errorf("a hold told others than its transporter: %+v", w.told)
	}
	w.do(w.crew(id))
	w.slots(order.Tally{Assigned: 2})
	trips := w.s.Hold(id).TripIDs
	w.accept(trips[0])
	w.status(order.PartiallyFilled)
	if got := w.heard(customer, order.KindFill); len(got) != 1 || got[0].Data.(order.FillData).TrucksRemaining != 1 {
		t.Errorf("the customer heard of the fill: %+v", got)
	}
	if got := w.heard(ravi, order.KindFill); len(got) != 1 || got[0].Data.(order.FillData).Assignment != nil {
		t.Errorf("another transporter heard of the fill: %+v", got)
	}
	w.accept(trips[1])
	w.status(order.FullyFilled)
	for _, who := range []string{"asha", "ravi"} {
		if got := w.heard(order.By{User: "x"}.User, order.KindClosed); len(got) != 0 {
			t.Errorf("a stranger heard %+v", got)
		}
		if got := w.heard(byFleet(asha).User, order.KindClosed); len(got) != 1 || got[0].Data.(order.ClosedData).Reason != order.ClosedFull {
			t.Errorf("%s heard %+v", who, got)
		}
	}
	if len(w.s.Timers) != 0 || w.s.Searching || !w.s.IsActive() {
		t.Errorf("full, and yet timers %v, searching %v, active %v", w.s.Timers, w.s.Searching, w.s.IsActive())
	}
	for _, id := range trips {
		w.step(id, trip.AtPickup)
		w.step(id, trip.InTransit)
	}
	w.status(order.InProgress)
	w.step(trips[0], trip.Completed)
	w.status(order.InProgress)
	w.step(trips[1], trip.Completed)
	w.status(order.Completed)
	if got := w.heard(customer, order.KindCompleted); len(got) != 1 {
		t.Errorf("the customer heard %+v", w.told)
	}
}

func TestRefusalsOfHolds(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	hold := order.PlaceHold{By: byFleet(asha), HoldID: "HOLD_1", Type: "open", Subtype: "17 Feet", Quantity: 2}
	for name, tt := range map[string]struct {
		change func(*order.PlaceHold)
		want   error
	}{
		"not offered":   {func(h *order.PlaceHold) { h.By = byFleet(outsider) }, order.ErrNotFound},
		"too many":      {func(h *order.PlaceHold) { h.Quantity = 3 }, order.ErrNotEnough},
		"none":          {func(h *order.PlaceHold) { h.Quantity = 0 }, invalid},
		"above 50":      {func(h *order.PlaceHold) { h.Quantity = 51 }, invalid},
		"another kind":  {func(h *order.PlaceHold) { h.Type = "tipper" }, invalid},
		"another type2": {func(h *order.PlaceHold) { h.Subtype = "19 Feet" }, invalid},
	} {
		h := hold
		tt.change(&h)
		if err := w.refused(h); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	w.do(hold)
	if d := w.do(order.PlaceHold{By: byFleet(asha), HoldID: "HOLD_2", Type: "open", Subtype: "17 Feet", Quantity: 2}); !d.Replayed || d.HoldID != "HOLD_1" {
		t.Errorf("the same again gave %q, replayed %v", d.HoldID, d.Replayed)
	}
	if err := w.refused(order.PlaceHold{By: byFleet(asha), HoldID: "HOLD_2", Type: "open", Subtype: "17 Feet", Quantity: 1}); !errors.Is(err, order.ErrAlreadyHolds) {
		t.Errorf("another quantity: %v", err)
	}
	if err := w.refused(order.PlaceHold{By: byFleet(ravi), HoldID: "HOLD_3", Type: "open", Subtype: "17 Feet", Quantity: 1}); !errors.Is(err, order.ErrNotEnough) {
		t.Errorf("a loser: %v", err)
	}
	w.fire(order.SearchTimer)
	if err := w.refused(hold); !errors.Is(err, order.ErrInactive) {
		t.Errorf("after the end: %v", err)
	}
}

// TestHoldOfAnotherKind: who holds one kind may hold another of the same order (contract §1.5, its
// known fault).
func TestHoldOfAnotherKind(t *testing.T) {
	t.Parallel()
	n := wish(1)
	n.Needs = append(n.Needs, order.Need{Type: "container", Subtype: "20 Feet", Quantity: 1, PriceRupees: 20000})
	w := bornOf(t, n, table(near(asha, 1000, 1)))
	first := w.hold(asha, 1)
	second := w.do(order.PlaceHold{By: byFleet(asha), HoldID: "HOLD_B", Type: "Container", Subtype: "20ft", Quantity: 1}).HoldID
	if first == second || w.s.HoldOf(asha, "container", "20 feet") == nil || w.s.HoldOf(asha, "open", "17ft") == nil {
		t.Errorf("holds: %+v", w.s.Holds)
	}
}

var invalid = fault.New(fault.InvalidArgument, "VALIDATION_ERROR", "")
