package order_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/order"
)

// TestStatusView: what the customer's app is told when it connects again. A full order is active, or the
// app would show it as timed out (contract §1.3).
func TestStatusView(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	w.wait(20*time.Second + time.Millisecond)
	got := w.s.StatusView(w.now)
	want := order.StatusView{
		OrderID: w.s.ID, Status: order.Active, RemainingSeconds: 100, IsActive: true, ExpiresMS: start.Add(2 * time.Minute).UnixMilli(),
		Dispatch: order.Dispatched, Attempts: 1, Notified: 2, Online: 2, Revision: 1, Lifecycle: w.s.Count,
		ServerMS: w.now.UnixMilli(), TotalTrucks: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	w.accept(w.confirm(asha, 1)[0])
	if v := w.s.StatusView(w.now); !v.IsActive || v.RemainingSeconds != 0 || v.Status != order.FullyFilled || v.TrucksFilled != 1 {
		t.Errorf("full: %+v", v)
	}
	w = bornOf(t, wish(1), order.Found{})
	if v := w.s.StatusView(w.now); !v.IsActive || v.ReasonCode != order.ReasonNoneOnline || v.RecoveryHint == "" {
		t.Errorf("nobody there: %+v", v)
	}
	w.fire(order.SearchTimer)
	if v := w.s.StatusView(w.now); v.IsActive || v.RemainingSeconds != 0 || v.RecoveryHint == "" {
		t.Errorf("expired: %+v", v)
	}
}

// TestWhoSeesWhat: phones are masked, and a transporter reads nothing of another's trucks.
func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	w.accept(w.confirm(asha, 1)[0])
	hold := w.hold(ravi, 1)
	driver := order.By{User: w.s.Slots[0].DriverID, Role: fleet.Driver, Fleet: asha}
	former := driver
	former.Fleet = ravi // he drives for another by now
	if got := w.s.Info(byCustomer(), w.now).CustomerPhone; got != "+919876543210" {
		t.Errorf("the customer's own phone is %s", got)
	}
	if got := w.s.Info(byFleet(asha), w.now).CustomerPhone; got != "+91******3210" {
		t.Errorf("a transporter sees %s", got)
	}
	for _, tt := range []struct {
		by    order.By
		name  string // of the driver
		phone string
		held  fleet.UserID
		sees  bool
	}{
		{byCustomer(), "Suresh", "+91******6789", ravi, true},
		{byOps(), "Suresh", "+91******6789", ravi, true},
		{byFleet(asha), "Suresh", "+919123456789", "", true},
		{byFleet(ravi), "", "", ravi, true},
		{driver, "Suresh", "+91******6789", "", true},
		{former, "", "", "", false},
		{byFleet(outsider), "", "", "", false},
		{order.By{}, "", "", "", false},
	} {
		r := w.s.Requests(tt.by)
		if r[0].DriverName != tt.name || r[0].DriverPhone != tt.phone || r[1].HeldBy != tt.held || r[0].Status != order.SlotAccepted {
			t.Errorf("%+v sees %+v", tt.by, r)
		}
		if w.s.MaySee(tt.by) != tt.sees {
			t.Errorf("%+v may see it: %v", tt.by, !tt.sees)
		}
	}
	if r := w.s.Requests(byFleet(asha)); !r[0].Mine || r[1].Mine {
		t.Errorf("asha's are %+v", r)
	}
	if v, ok := w.s.HoldView(hold, w.now, w.p); !ok || v.Phase != "FLEX" || !v.CanExtend {
		t.Errorf("hold %+v", v)
	}
	if _, ok := w.s.HoldView("HOLD_UNKNOWN", w.now, w.p); ok {
		t.Error("an unknown hold has a view")
	}
	w.do(order.ReleaseHold{By: byFleet(ravi), HoldID: hold})
	if v, _ := w.s.HoldView(hold, w.now, w.p); v.Phase != "RELEASED" {
		t.Errorf("hold %+v", v)
	}
}

// TestOfferShowsTheNextKind: a transporter is shown first what he could still give.
func TestOfferShowsTheNextKind(t *testing.T) {
	t.Parallel()
	n := wish(1)
	n.Needs = append(n.Needs, order.Need{Type: "container", Subtype: "20 Feet", Quantity: 2, PriceRupees: 20000})
	c := near(ravi, 2000, 1)
	c.Stocks = map[string]fleet.Stock{truck17: {Free: 1, Total: 1}, "container_20ft": {Free: 1, Total: 4}}
	w := bornOf(t, n, table(near(asha, 1000, 3), c))
	if o, _ := w.s.OfferData(ravi); o.VehicleType != "open" || o.YouCanProvide != 2 || o.YourAvailable != 2 || o.YourTotal != 5 {
		t.Errorf("ravi is shown %+v", o)
	}
	w.accept(w.confirm(asha, 1)[0])
	if o, _ := w.s.OfferData(ravi); o.VehicleType != "container" || o.FarePerTruck != 20000 || o.YouCanProvide != 1 || o.TrucksFilled != 1 ||
		o.Requested[0].FilledCount != 1 || o.PayloadVersion != "2" {
		t.Errorf("ravi is shown %+v", o)
	}
}
