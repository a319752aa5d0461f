package order_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/order"
	"weelo/internal/trip"
)

func TestConfirmIsExact(t *testing.T) {
	t.Parallel()
	vehicle := func(change func(*fleet.VehicleFact)) func(*order.Confirm) {
		return func(c *order.Confirm) {
			v := c.Crew.Vehicles[c.Picks[0].VehicleID]
			change(&v)
			c.Crew.Vehicles[c.Picks[0].VehicleID] = v
		}
	}
	driver := func(change func(*fleet.DriverFact)) func(*order.Confirm) {
		return func(c *order.Confirm) {
			d := c.Crew.Drivers[c.Picks[0].DriverID]
			change(&d)
			c.Crew.Drivers[c.Picks[0].DriverID] = d
		}
	}
	for name, tt := range map[string]struct {
		change func(*order.Confirm)
		want   string
	}{
		"unknown vehicle":     {func(c *order.Confirm) { c.Picks[0].VehicleID = "v0" }, order.PickVehicleUnknown},
		"foreign vehicle":     {vehicle(func(v *fleet.VehicleFact) { v.TransporterID = ravi }), order.PickVehicleUnknown},
		"smaller vehicle":     {vehicle(func(v *fleet.VehicleFact) { v.Subtype = "14 Feet" }), order.PickVehicleKind},
		"in maintenance":      {vehicle(func(v *fleet.VehicleFact) { v.Status = fleet.VehicleMaintenance }), order.PickVehicleBusy},
		"vehicle on a trip":   {vehicle(func(v *fleet.VehicleFact) { v.TripID = "t9" }), order.PickVehicleBusy},
		"unknown driver":      {func(c *order.Confirm) { c.Picks[0].DriverID = "d0" }, order.PickDriverUnknown},
		"foreign driver":      {driver(func(d *fleet.DriverFact) { d.TransporterID = ravi }), order.PickDriverUnknown},
		"no driver at all":    {driver(func(d *fleet.DriverFact) { d.Role = fleet.Customer }), order.PickDriverUnknown},
		"suspended driver":    {driver(func(d *fleet.DriverFact) { d.Suspended = true }), order.PickDriverSuspended},
		"driver on a trip":    {driver(func(d *fleet.DriverFact) { d.TripID = "t9" }), order.PickDriverBusy},
		"driver offline":      {func(c *order.Confirm) { c.Online = nil }, order.PickDriverOffline},
		"other spelling, ok":  {vehicle(func(v *fleet.VehicleFact) { v.Type, v.Subtype = "OPEN", "17FT" }), ""},
		"as it should be, ok": {func(*order.Confirm) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := born(t, 1)
			c := w.crew(w.hold(asha, 1))
			tt.change(&c)
			if tt.want == "" {
				w.do(c)
				w.slots(order.Tally{Assigned: 1})
				return
			}
			err := w.refused(c)
			if !errors.Is(err, order.ErrConfirm) {
				t.Fatalf("%v", err)
			}
			want := []order.FailedPick{{VehicleID: c.Picks[0].VehicleID, Reason: tt.want}}
			if diff := cmp.Diff(want, order.FailedPicks(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConfirmAllOrNone(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	id := w.hold(asha, 2)
	twice := w.crew(id)
	twice.Picks[1] = twice.Picks[0]
	if failed := order.FailedPicks(w.refused(twice)); len(failed) != 1 || failed[0].Reason != order.PickTwice {
		t.Errorf("the same truck twice: %+v", failed)
	}
	one := w.crew(id)
	one.Picks, one.TripIDs = one.Picks[:1], one.TripIDs[:1]
	if err := w.refused(one); !errors.Is(err, invalid) {
		t.Errorf("one truck for two slots: %v", err)
	}
	w.slots(order.Tally{Held: 2})

	again := w.crew(id)
	d := w.do(again)
	with, err := d.With()
	if err != nil || len(with) != 2 || with[0].Version != 0 || with[0].Ref.ID != w.s.Slots[0].TripID {
		t.Errorf("with %+v, %v", with, err)
	}
	first := slices.Clone(w.s.Hold(id).TripIDs)
	if err := w.refused(w.crew(id)); !errors.Is(err, order.ErrTrucksChanged) {
		t.Errorf("confirmed with other trucks: %v", err)
	}
	again.TripIDs = []string{"x1", "x2"}
	if d := w.do(again); !d.Replayed || len(d.Births) != 0 || !slices.Equal(w.s.Hold(id).TripIDs, first) {
		t.Errorf("confirmed again: %+v", d)
	}
	if err := w.refused(order.ReleaseHold{By: byFleet(asha), HoldID: id}); !errors.Is(err, order.ErrTrucksChanged) {
		t.Errorf("release of a confirmed hold: %v", err)
	}
	if len(w.told) != 0 {
		t.Errorf("at confirm people were told %+v", w.told)
	}
}

// TestConfirmAtTheEnd: whoever confirms in time keeps his trucks though the search ends before his
// driver answers; expiry never ends a trip.
func TestConfirmAtTheEnd(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	w.wait(100 * time.Second)
	id := w.confirm(asha, 1)[0]
	w.fire(order.SearchTimer)
	w.status(order.Active)
	w.slots(order.Tally{Assigned: 1, Expired: 1})
	if len(w.s.Timers) != 0 || !w.trips[id].State.Live || w.s.RemainingSeconds(w.now) != 0 || !w.s.IsActive() {
		t.Errorf("timers %v, trip %s", w.s.Timers, w.trips[id].State.Status)
	}
	w.accept(id)
	w.status(order.PartiallyFilled)
	if w.s.ReasonCode != order.ReasonPartialFill {
		t.Errorf("reason %q", w.s.ReasonCode)
	}
	w.step(id, trip.Completed)
	w.status(order.Completed)
}

// TestNothingIsWonAfterTheEnd: the search is over by the clock, though its timer has not been heard: a
// hold of before makes no trip, and none is placed or prolonged.
//
// Invariants: 11.
func TestNothingIsWonAfterTheEnd(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	w.wait(100 * time.Second)
	id := w.hold(asha, 1)
	w.now = time.UnixMilli(w.s.ExpiresMS)
	if got := w.s.Hold(id); got.ExpiresMS != w.s.ExpiresMS {
		t.Errorf("the hold ends at %d, the search at %d", got.ExpiresMS, w.s.ExpiresMS)
	}
	for _, c := range []struct {
		do   order.Command
		want error
	}{
		{w.crew(id), order.ErrHoldExpired},
		{order.ExtendHold{By: byFleet(asha), HoldID: id}, order.ErrHoldExpired},
		{order.PlaceHold{By: byFleet(ravi), HoldID: "HOLD_X", Type: "open", Subtype: "17 Feet", Quantity: 1}, order.ErrInactive},
	} {
		if err := w.refused(c.do); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", order.CommandName(c.do), err, c.want)
		}
	}
	w.fire(order.SearchTimer)
	w.status(order.Expired)
	w.slots(order.Tally{Expired: 2})
}

func TestLastDriverDeclinesAfterTheEnd(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	id := w.confirm(asha, 1)[0]
	w.fire(order.SearchTimer)
	w.decline(id)
	w.status(order.Expired)
	if w.s.ReasonCode != order.ReasonNoAcceptant {
		t.Errorf("reason %q", w.s.ReasonCode)
	}
}
