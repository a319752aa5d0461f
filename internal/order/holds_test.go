package order_test

import (
	"errors"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/order"
)

// TestHoldTimes: 90 s, twice 30 s more, 130 s at most, and never beyond the search.
func TestHoldTimes(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	id := w.hold(asha, 1)
	until := func(want time.Duration) {
		t.Helper()
		if got := time.UnixMilli(w.s.Hold(id).ExpiresMS).UTC().Sub(start); got != want {
			t.Errorf("the hold lasts until %s, want %s", got, want)
		}
		if got := w.s.Timers[order.HoldTimerPrefix+id].DueMS; got != w.s.Hold(id).ExpiresMS {
			t.Errorf("its timer is due at %d", got)
		}
	}
	until(90 * time.Second)
	extend := order.ExtendHold{By: byFleet(asha), HoldID: id}
	w.do(extend)
	until(120 * time.Second)
	if err := w.refused(extend); !errors.Is(err, order.ErrNoExtension) {
		t.Errorf("beyond the search: %v", err)
	}
	w.accept(w.confirm(ravi, 1)[0]) // + 60 s
	w.do(extend)
	until(130 * time.Second)
	if err := w.refused(extend); !errors.Is(err, order.ErrNoExtension) {
		t.Errorf("a third time: %v", err)
	}
	v, ok := w.s.HoldView(id, w.now, w.p)
	if !ok || v.CanExtend || v.Phase != "FLEX" || v.RemainingSeconds != 130 || v.TotalSeconds != 130 || v.Quantity != 1 || v.Type != "open" {
		t.Errorf("it is shown as %+v", v)
	}
}

func TestHoldIsCappedByTheSearch(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	w.wait(100 * time.Second)
	id := w.hold(asha, 1)
	if left := w.s.Hold(id).ExpiresMS - w.now.UnixMilli(); left != 20_000 {
		t.Errorf("%d ms", left)
	}
}

func TestHoldExpires(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	id := w.hold(asha, 1)
	before := w.s.OfferedTo(ravi).Version
	w.fire(order.HoldTimerPrefix + id)
	w.slots(order.Tally{Searching: 1})
	got := w.heard(asha, order.KindHold)
	if len(got) != 1 {
		t.Fatalf("asha heard %+v", w.told)
	}
	want := order.HoldData{
		HoldID: id, OrderID: w.s.ID, TransporterID: asha, Phase: "FLEX", Status: order.HoldExpired, Reason: "expired",
		VehicleType: "open", VehicleSubtype: "17 Feet", Quantity: 1, ExpiredAt: w.now.UnixMilli(), Message: "Your hold has expired.",
	}
	if got[0].Data != want {
		t.Errorf("asha heard %+v", got[0].Data)
	}
	if len(w.heard(ravi, order.KindHold)) != 0 || w.s.OfferedTo(ravi).Version != before+1 {
		t.Error("ravi should see the truck again, and nothing of asha's hold")
	}
	for name, c := range map[string]order.Command{
		"confirm": w.crew(id), "extend": order.ExtendHold{By: byFleet(asha), HoldID: id},
	} {
		if err := w.refused(c); !errors.Is(err, order.ErrHoldExpired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d := w.do(order.ReleaseHold{By: byFleet(asha), HoldID: id}); !d.Replayed {
		t.Error("a release after the end is not a replay")
	}
	if v, _ := w.s.HoldView(id, w.now, w.p); v.Phase != "EXPIRED" || v.CanExtend {
		t.Errorf("it is shown as %+v", v)
	}
}

// TestOverdueHoldLosesToTheNext: the timer need not have been heard.
func TestOverdueHoldLosesToTheNext(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	first := w.hold(asha, 1)
	w.wait(90 * time.Second)
	if err := w.refused(w.crew(first)); !errors.Is(err, order.ErrHoldExpired) {
		t.Errorf("confirm of an overdue hold: %v", err)
	}
	second := w.hold(ravi, 1)
	if w.s.Hold(first).Status != order.HoldExpired || w.s.Hold(second).Status != order.HoldActive {
		t.Errorf("holds %+v", w.s.Holds)
	}
	if len(w.heard(asha, order.KindHold)) != 1 {
		t.Error("asha was not told")
	}
}

func TestForeignHolds(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	id := w.hold(asha, 1)
	for _, by := range []fleet.UserID{ravi, outsider} {
		c := w.crew(id)
		c.By = byFleet(by)
		for name, c := range map[string]order.Command{
			"confirm": c, "extend": order.ExtendHold{By: byFleet(by), HoldID: id}, "release": order.ReleaseHold{By: byFleet(by), HoldID: id},
			"unknown": order.ReleaseHold{By: byFleet(by), HoldID: "HOLD_UNKNOWN"},
		} {
			if err := w.refused(c); !errors.Is(err, order.ErrHoldNotFound) {
				t.Errorf("%s of a foreign hold: %v", name, err)
			}
		}
	}
}

// TestReleaseTellsWhenSoldOut: the others hear of free trucks only when there were none.
func TestReleaseTellsWhenSoldOut(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	id := w.hold(asha, 1)
	v := w.s.OfferedTo(ravi).Version
	w.do(order.ReleaseHold{By: byFleet(asha), HoldID: id})
	if w.s.OfferedTo(ravi).Version != v {
		t.Error("a truck was free all the time")
	}
	id = w.hold(asha, 2)
	d := w.do(order.ReleaseHold{By: byFleet(asha), HoldID: id})
	if w.s.OfferedTo(ravi).Version != v+1 {
		t.Error("nobody was told of the free trucks")
	}
	if offers, _ := d.Offers(); len(offers) != 2 || !offers[0].Open {
		t.Errorf("offers %+v", offers)
	}
	if d := w.do(order.ReleaseHold{By: byFleet(asha), HoldID: id}); !d.Replayed {
		t.Error("the second release is not a replay")
	}
}

func TestDeclinedOfferStaysClosed(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	decline := order.DeclineOffer{By: byFleet(ravi), Reason: "far"}
	d := w.do(decline)
	if offers, _ := d.Offers(); len(offers) != 1 || offers[0].Open || offers[0].Recipient != string(ravi) || offers[0].Reason != order.AnswerDeclined {
		t.Errorf("offers %+v", offers)
	}
	if d := w.do(decline); !d.Replayed {
		t.Error("the second one is not a replay")
	}
	id := w.hold(asha, 1)
	w.do(order.ReleaseHold{By: byFleet(asha), HoldID: id})
	if o := w.s.OfferedTo(ravi); !o.Closed {
		t.Error("he is shown it again")
	}
	w.hold(ravi, 1) // but may change his mind
	if err := w.refused(order.DeclineOffer{By: byFleet(outsider)}); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("a stranger declines: %v", err)
	}
}

func TestEndedHoldsAreForgotten(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	w.p.SearchFor = time.Hour
	for range 150 {
		w.wait(time.Millisecond)
		id := w.hold(asha, 1)
		w.do(order.ReleaseHold{By: byFleet(asha), HoldID: id})
	}
	if n := len(w.s.Holds); n > 101 {
		t.Errorf("%d holds are remembered", n)
	}
}
