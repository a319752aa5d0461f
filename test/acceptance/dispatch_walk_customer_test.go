package acceptance

import (
	"net/http"
	"time"

	"github.com/google/uuid"
)

// The customer's part of TestDispatchWalk.

// orderedTrucks asks for trucks from Bengaluru to Mysuru.
func orderedTrucks(n int) fields {
	return fields{
		"pickup": fields{"latitude": 12.9716, "longitude": 77.5946, "address": "Yard A", "city": "Bengaluru"},
		"drop":   fields{"latitude": 12.2958, "longitude": 76.6394, "address": "Dock B", "city": "Mysuru"}, "distanceKm": 145,
		"vehicleRequirements": []fields{{"vehicleType": "open", "vehicleSubtype": "17 Feet", "quantity": n, "pricePerTruck": 9000}}, "goodsType": "General",
	}
}

// Steps 19 to 21: login, price, the order, and its repeat.
func (w *dispatchWalk) customerAsks() {
	w.t.Helper()
	w.customer = w.s.login(w.t, w.s.cast.customerPhone, "customer")
	var price struct {
		Pricing struct{ PricePerTruck, TotalAmount int }
	}
	w.get(w.customer, "vehicles/pricing?vehicleType=open&distanceKm=145&trucksNeeded=2", &price)
	if price.Pricing.TotalAmount != 2*price.Pricing.PricePerTruck || price.Pricing.PricePerTruck == 0 {
		w.t.Fatalf("price %+v", price)
	}
	var born, again struct {
		Order struct {
			ID, Status string
			ExpiresIn  int
		}
		NotifiedTransporters int
	}
	key := uuid.NewString()
	a := w.call(w.customer, http.MethodPost, "bookings/orders", key, orderedTrucks(2), &born)
	if a.Status != http.StatusCreated || born.Order.Status != "active" || born.Order.ExpiresIn < 60 || born.NotifiedTransporters != 1 {
		w.t.Fatalf("born as %+v: %s", born, a.Body)
	}
	w.call(w.customer, http.MethodPost, "orders", key, orderedTrucks(2), &again)
	if again.Order.ID != born.Order.ID {
		w.t.Fatalf("the repeat made %s beside %s", again.Order.ID, born.Order.ID)
	}
	w.refused(w.customer, http.MethodPost, "bookings/orders", uuid.NewString(), orderedTrucks(2), http.StatusConflict, "ACTIVE_ORDER_EXISTS")
	var active struct {
		ActiveOrder struct{ OrderID string }
	}
	w.get(w.customer, "orders/check-active", &active)
	if active.ActiveOrder.OrderID != born.Order.ID {
		w.t.Fatalf("active %+v", active)
	}
	w.order = born.Order.ID
	if s := w.status(); !s.IsActive || s.RemainingSeconds == 0 {
		w.t.Fatalf("status %+v", s)
	}
}

type walkStatus struct {
	Status                         string
	IsActive                       bool
	RemainingSeconds, TrucksFilled int
}

func (w *dispatchWalk) status() (s walkStatus) {
	w.t.Helper()
	w.get(w.customer, "bookings/orders/"+w.order+"/status", &s)
	return s
}

// Step 23: the customer's screens.
func (w *dispatchWalk) customerFollows(trips ...string) {
	w.t.Helper()
	var booking struct {
		Booking struct {
			ID                         string
			TrucksNeeded, TrucksFilled int
		}
	}
	w.get(w.customer, "bookings/"+w.order, &booking)
	if b := booking.Booking; b.ID != w.order || b.TrucksNeeded != 2 || b.TrucksFilled != 2 {
		w.t.Fatalf("booking %+v", booking)
	}
	var trucks struct {
		Trucks []struct{ AssignmentID, TripID, VehicleNumber, DriverName, Status string }
	}
	w.get(w.customer, "bookings/"+w.order+"/trucks", &trucks)
	if len(trucks.Trucks) != 2 {
		w.t.Fatalf("trucks %+v", trucks)
	}
	for i, truck := range trucks.Trucks {
		if truck.AssignmentID != trips[i] || truck.TripID != trips[i] || truck.Status != "driver_accepted" || truck.DriverName == "" {
			w.t.Fatalf("truck %+v, want trip %s", truck, trips[i])
		}
	}
	var tracked struct {
		BookingID string
		Trucks    []struct{ TripID string }
	}
	w.get(w.customer, "tracking/booking/"+w.order, &tracked)
	if tracked.BookingID != w.order || len(tracked.Trucks) != 2 {
		w.t.Fatalf("tracked %+v", tracked)
	}
	var bookings struct{ Bookings []struct{ ID string } }
	w.get(w.customer, "bookings", &bookings)
	if len(bookings.Bookings) == 0 || bookings.Bookings[0].ID != w.order {
		w.t.Fatalf("bookings %+v", bookings)
	}
}

// Step 24, too late: the goods are on their way.
func (w *dispatchWalk) customerMayNotCancelNow() {
	w.t.Helper()
	eventually(w.t, 20*time.Second, "in_progress", func() bool { s := w.status(); return s.Status == "in_progress" && s.IsActive })
	var preview struct{ PolicyStage, CancelDecision string }
	w.get(w.customer, "bookings/orders/"+w.order+"/cancel-preview", &preview)
	if preview.PolicyStage != "IN_TRANSIT" || preview.CancelDecision != "blocked_dispute_only" {
		w.t.Fatalf("preview %+v", preview)
	}
	cancel := "bookings/orders/" + w.order + "/cancel"
	w.refused(w.customer, http.MethodPost, cancel, uuid.NewString(), fields{"reason": "too slow"}, http.StatusConflict, "CANCEL_BLOCKED_DISPUTE_ONLY")
	var dispute struct{ DisputeID, Stage string }
	w.call(w.customer, http.MethodPost, cancel+"/dispute", uuid.NewString(), fields{"reasonCode": "DELAY", "notes": "two hours late"}, &dispute)
	if dispute.DisputeID == "" || dispute.Stage != "IN_TRANSIT" {
		w.t.Fatalf("dispute %+v", dispute)
	}
	w.dispute = dispute.DisputeID
}

// Step 24, in time.
func (w *dispatchWalk) customerCancelsAnother() {
	w.t.Helper()
	w.heartbeat()
	var born struct{ Order struct{ ID string } }
	w.call(w.customer, http.MethodPost, "bookings/orders", uuid.NewString(), orderedTrucks(1), &born)
	w.order = born.Order.ID
	var preview, cancelled struct {
		CancelDecision, Status string
		PendingPenaltyAmount   int
		TransportersNotified   int
	}
	w.get(w.customer, "bookings/orders/"+w.order+"/cancel-preview", &preview)
	key := uuid.NewString()
	for range 2 {
		w.call(w.customer, http.MethodPost, "bookings/orders/"+w.order+"/cancel", key, fields{"reason": "changed my mind"}, &cancelled)
	}
	if preview.CancelDecision != "allowed" || cancelled.Status != "cancelled" || cancelled.PendingPenaltyAmount != 0 || cancelled.TransportersNotified != 1 {
		w.t.Fatalf("preview %+v, cancelled %+v", preview, cancelled)
	}
	var feed offerFeed
	w.get(w.transporter, "bookings/requests/active", &feed)
	if feed.Count != 0 {
		w.t.Fatalf("still offered: %+v", feed)
	}
	a := w.refused(w.customer, http.MethodPost, "bookings/orders", uuid.NewString(), orderedTrucks(1), http.StatusTooManyRequests, "REBOOK_COOLDOWN")
	if a.RetryAfter <= 0 {
		w.t.Fatalf("no Retry-After: %s", a.Body)
	}
	if s := w.status(); s.Status != "cancelled" || s.IsActive {
		w.t.Fatalf("status %+v", s)
	}
}
