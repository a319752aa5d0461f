package rest_test

import (
	"strings"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/transport/rest"
)

// TestAnOrderFromBirthToCompletion is the whole chain through the API: an order of two trucks is
// offered, held, confirmed, accepted, driven and completed.
func TestAnOrderFromBirthToCompletion(t *testing.T) {
	t.Parallel()
	onBothStores(t, anOrderFromBirthToCompletion)
}

func anOrderFromBirthToCompletion(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	born := y.order(2)
	o := born.Order
	if o.Status != "active" || o.TotalTrucks != 2 || o.TotalAmount != 18000 || o.DistanceKm != 145 || *o.Weight != "7000" || o.ExpiresIn < 590 ||
		o.Pickup.Coordinates.Latitude != 12.9716 || o.Pickup.Latitude != 12.9716 || o.Pickup.Lat != 12.9716 || o.CustomerPhone != "9000000001" {
		t.Errorf("born as %+v", o)
	}
	if len(born.TruckRequests) != 2 || born.TruckRequests[1].Number != 2 || born.TruckRequests[0].Status != "searching" || born.TruckRequests[0].TripID != nil {
		t.Errorf("trucks %+v", born.TruckRequests)
	}
	if born.Notified != 2 || born.Broadcast.TotalNotified != 2 || born.Broadcast.GroupedBy[0].Notified != 2 || born.Dispatch != "dispatched" || born.TimeoutSeconds != 600 {
		t.Errorf("dispatched as %+v", born)
	}
	id := o.ID
	y.seesOffer(id)
	held := y.hold(id, 2)
	trips := y.confirm(held.HoldID, 2)
	for i, trip := range trips {
		y.asDriver(i).Call("PATCH", "/api/v1/assignments/"+trip+"/accept", nil).Want(200)
	}
	y.eventually("both trucks filled", func() bool { return y.statusOf(id).Status == "fully_filled" })
	if s := y.statusOf(id); !s.IsActive || s.TrucksFilled != 2 || s.RemainingSeconds != 0 {
		t.Errorf("a full order is %+v", s)
	}
	y.seesTrucks(id, trips)
	for i, trip := range trips {
		for _, step := range []string{"at_pickup", "loading_complete", "in_transit", "completed"} {
			y.step(i, trip, step)
		}
	}
	y.eventually("completed", func() bool { return y.statusOf(id).Status == "completed" })
	if s := y.statusOf(id); s.IsActive {
		t.Errorf("a completed order is %+v", s)
	}
	var detail rest.OrderDetailData
	y.asCustomer().Call("GET", "/api/v1/orders/"+id, nil).Want(200).Data(&detail)
	if detail.Summary.TrucksFilled != 2 || *detail.Requests[0].TripID != trips[0] || *detail.Requests[0].AssignmentID != trips[0] {
		t.Errorf("completed as %+v", detail)
	}
	var booking struct{ Booking rest.BookingData }
	y.asCustomer().Call("GET", "/api/v1/bookings/"+id, nil).Want(200).Data(&booking)
	if b := booking.Booking; b.Status != "completed" || b.CompletedAt.String() == "" || b.TrucksNeeded != 2 || b.PricePerTruck != 9000 {
		t.Errorf("booking %+v", b)
	}
	y.order(1) // nothing stands in the way of the next one
}

// seesOffer looks at the order through every window that transporters have.
func (y *yard) seesOffer(id string) {
	y.t.Helper()
	owner := y.asOwner()
	var feed rest.FeedData
	owner.Call("GET", "/api/v1/bookings/requests/active", nil).Want(200).Data(&feed)
	if feed.Count != 1 || feed.Orders[0].Order.ID != id || feed.Orders[0].Order.CustomerPhone != "+91******0001" || len(feed.Orders[0].Requests) != 2 || feed.Unchanged {
		y.t.Errorf("feed %+v", feed)
	}
	var again rest.FeedData
	owner.Call("GET", "/api/v1/bookings/requests/active?syncCursor="+feed.Cursor, nil).Want(200).Data(&again)
	if !again.Unchanged || again.Count != 0 || again.Cursor != feed.Cursor {
		y.t.Errorf("feed again %+v", again)
	}
	answer := owner.Call("GET", "/api/v1/broadcasts/active?vehicleType=OPEN", nil).Want(200)
	for _, part := range []string{`"broadcasts":[{"broadcastId":"` + id, `"count":1`, `"farePerTruck":9000`, `"customerMobile":"+91******0001"`, `"capacityTons":7`} {
		if !strings.Contains(string(answer.Raw), part) {
			y.t.Errorf("%s is not in %s", part, answer.Raw)
		}
	}
	if none := owner.Call("GET", "/api/v1/broadcasts/active?vehicleType=tanker", nil).Want(200); !strings.Contains(string(none.Raw), `"broadcasts":[]`) {
		y.t.Errorf("tankers: %s", none.Raw)
	}
	if one := owner.Call("GET", "/api/v1/broadcasts/"+id, nil).Want(200); !strings.Contains(string(one.Raw), `"yourAvailableTrucks":2`) || !strings.Contains(string(one.Raw), `"pickupDistanceKm":1`) {
		y.t.Errorf("broadcast %s", one.Raw)
	}
	var snapshot rest.SnapshotData
	owner.Call("GET", "/api/v1/bookings/orders/"+id+"/broadcast-snapshot", nil).Want(200).Data(&snapshot)
	if snapshot.OrderID != id || snapshot.State != "active" || snapshot.Lifecycle == 0 || snapshot.Revision == 0 {
		y.t.Errorf("snapshot %+v", snapshot)
	}
	var replay rest.ReplayData
	owner.Call("GET", "/api/v1/transporter/dispatch/replay?limit=50", nil).Want(200).Data(&replay)
	if len(replay.Events) != 1 || replay.Events[0].OrderID != id || replay.Events[0].Payload.BroadcastID != id || replay.Cursor != replay.Events[0].Sequence {
		y.t.Errorf("replay %+v", replay)
	}
	y.asDriver(0).Call("GET", "/api/v1/broadcasts/"+id, nil).Refused(403, "FORBIDDEN")
}

// seesTrucks looks at the trucks as the customer, and checks that nobody else sees more than his own.
func (y *yard) seesTrucks(id string, trips []string) {
	y.t.Helper()
	customer := y.asCustomer()
	var trucks rest.TrucksData
	customer.Call("GET", "/api/v1/bookings/"+id+"/trucks", nil).Want(200).Data(&trucks)
	if len(trucks.Trucks) != 2 || trucks.Trucks[0].AssignmentID != trips[0] || trucks.Trucks[0].Status != "driver_accepted" || trucks.Trucks[0].VehicleNumber != "KA01AB0001" {
		y.t.Errorf("trucks %+v", trucks)
	}
	var tracked rest.OrderTrackData
	customer.Call("GET", "/api/v1/tracking/booking/"+id, nil).Want(200).Data(&tracked)
	if len(tracked.Trucks) != 2 || tracked.Trucks[0].TripID != trips[0] || tracked.BookingID != id {
		y.t.Errorf("tracked %+v", tracked)
	}
	var eta rest.ETAData
	customer.Call("GET", "/api/v1/tracking/booking/"+id+"/eta", nil).Want(200).Data(&eta)
	if len(eta.ETAs) != 0 {
		y.t.Errorf("times without a position: %+v", eta)
	}
	var seen rest.OrderDetailData
	y.asRival().Call("GET", "/api/v1/bookings/orders/"+id, nil).Want(200).Data(&seen)
	for _, r := range seen.Requests {
		if r.TransporterID != nil || r.VehicleNumber != nil || r.DriverName != nil || r.TripID != nil {
			y.t.Errorf("a rival sees %+v", r)
		}
	}
	var progress rest.ProgressData
	y.asOwner().Call("GET", "/api/v1/truck-hold/order-progress/"+id, nil).Want(200).Data(&progress)
	if !progress.IsFull || len(progress.Assignments) != 2 || progress.Assignments[0].DriverName != "Anil" {
		y.t.Errorf("progress %+v", progress)
	}
}

func (y *yard) statusOf(id string) rest.OrderStatusData {
	y.t.Helper()
	var s rest.OrderStatusData
	y.asCustomer().Call("GET", "/api/v1/bookings/orders/"+id+"/status", nil).Want(200).Data(&s)
	return s
}

// TestTheSameKeyOrdersOnce: whatever tree the second copy is sent to, it meets the first order.
func TestTheSameKeyOrdersOnce(t *testing.T) {
	t.Parallel()
	onBothStores(t, theSameKeyOrdersOnce)
}

func theSameKeyOrdersOnce(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	customer := keyed(y.asCustomer())
	body := orderJSON(2)
	var first, second rest.CreatedOrderData
	customer.Call("POST", "/api/v1/bookings/orders", body).Want(201).Data(&first)
	before := y.dispatched()
	// The same request in another spelling, at the other address.
	other := strings.NewReplacer("vehicleRequirements", "trucks", `"latitude":12.9716,"longitude":77.5946`, `"coordinates":{"latitude":12.9716,"longitude":77.5946}`,
		"145", "145.0").Replace(body)
	customer.Call("POST", "/api/v1/orders", other).Want(201).Data(&second)
	first.ServerTimeMS, first.Order.ExpiresIn = second.ServerTimeMS, second.Order.ExpiresIn
	if diff := compared(first, second); diff != "" {
		t.Errorf("replayed (-first +again):\n%s", diff)
	}
	customer.Call("POST", "/api/v1/orders", orderJSON(1)).Refused(409, "IDEMPOTENCY_KEY_REUSED")
	active := keyed(y.asCustomer()).Call("POST", "/api/v1/bookings/orders", orderJSON(1)).Refused(409, "ACTIVE_ORDER_EXISTS")
	if !strings.Contains(string(active.Raw), `"activeOrderId":"`+first.Order.ID) {
		t.Errorf("which order is active? %s", active.Raw)
	}
	var check rest.ActiveOrderData
	y.asCustomer().Call("GET", "/api/v1/orders/check-active", nil).Want(200).Data(&check)
	if !check.HasActiveOrder || check.ActiveOrder.Value.OrderID != first.Order.ID {
		t.Errorf("active: %+v", check)
	}
	if after := y.dispatched(); after != before {
		t.Errorf("a replay changed %q to %q", before, after)
	}
	// One key of two customers is two keys.
	elsewhere := y.enrol(fleet.Customer, "+919000000002", "Nisha", "")
	y.as(elsewhere, fleet.Customer).With("X-Idempotency-Key", "0d5bd3a4-0f0b-4b0e-9a3b-0a7c5d9b6a11").Call("POST", "/api/v1/orders", body).Want(201)
}

// TestAnOrderThatNobodySees: with nobody online the search goes on, and says why it finds nothing.
func TestAnOrderThatNobodySees(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	born := y.order(1)
	if born.Order.Status != "broadcasting" || born.Notified != 0 || *born.ReasonCode != "NO_ONLINE_TRANSPORTERS" || born.RecoveryHint == nil {
		t.Errorf("born as %+v", born)
	}
	if s := y.statusOf(born.Order.ID); !s.IsActive || s.RemainingSeconds == 0 {
		t.Errorf("status %+v", s)
	}
	y.asOwner().Call("GET", "/api/v1/bookings/orders/"+born.Order.ID, nil).Refused(404, "ORDER_NOT_FOUND")
}

// TestListsOfOrders: both lists are pages of the caller's own orders, newest first.
func TestListsOfOrders(t *testing.T) {
	t.Parallel()
	onBothStores(t, listsOfOrders)
}

func listsOfOrders(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	first := y.order(1).Order.ID
	keyed(y.asCustomer()).Call("POST", "/api/v1/orders/"+first+"/cancel", `{"reason":"changed my mind"}`).Want(200)
	second := y.order(2).Order.ID
	var orders struct {
		Orders  []rest.ListedOrderData
		Total   int
		HasMore bool
	}
	y.asCustomer().Call("GET", "/api/v1/bookings/orders?page=1&limit=1", nil).Want(200).Data(&orders)
	if orders.Total != 2 || !orders.HasMore || len(orders.Orders) != 1 || orders.Orders[0].ID != second || orders.Orders[0].Requests.Searching != 2 {
		t.Errorf("orders %+v", orders)
	}
	var bookings struct {
		Bookings []rest.BookingData
		Total    int
		HasMore  bool
	}
	y.asCustomer().Call("GET", "/api/v1/bookings?status=cancelled", nil).Want(200).Data(&bookings)
	if bookings.Total != 1 || bookings.HasMore || bookings.Bookings[0].ID != first || bookings.Bookings[0].Status != "cancelled" {
		t.Errorf("bookings %+v", bookings)
	}
	y.asCustomer().Call("GET", "/api/v1/bookings?status=lost", nil).Refused(400, "VALIDATION_ERROR")
	stranger := y.enrol(fleet.Customer, "+919000000002", "Nisha", "")
	y.as(stranger, fleet.Customer).Call("GET", "/api/v1/orders", nil).Want(200).Data(&orders)
	if orders.Total != 0 {
		t.Errorf("a stranger sees %+v", orders)
	}
}

// TestALegacyBookingIsAnOrder: the older call makes an order of one kind of truck.
func TestALegacyBookingIsAnOrder(t *testing.T) {
	t.Parallel()
	onBothStores(t, aLegacyBookingIsAnOrder)
}

func aLegacyBookingIsAnOrder(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	body := `{"pickup":{"coordinates":{"latitude":12.9716,"longitude":77.5946},"address":"Yard A"},"drop":{"coordinates":{"latitude":12.2958,"longitude":76.6394},"address":"Dock B"},
		"vehicleType":"open","vehicleSubtype":"17 Feet","trucksNeeded":2,"distanceKm":145,"pricePerTruck":9000,"notes":"ring the bell"}`
	var made, again struct{ Booking rest.BookingData }
	customer := keyed(y.asCustomer())
	customer.Call("POST", "/api/v1/bookings", body).Want(201).Data(&made)
	customer.Call("POST", "/api/v1/bookings", body).Want(201).Data(&again)
	if b := made.Booking; b.TrucksNeeded != 2 || b.VehicleSubtype != "17 Feet" || b.TotalAmount != 18000 || b.Notes == nil || again.Booking.ID != b.ID {
		t.Errorf("booked %+v, again %+v", b, again.Booking)
	}
	y.seesOffer(made.Booking.ID)
	if shown := y.asOwner().Call("GET", "/api/v1/broadcasts/"+made.Booking.ID, nil).Want(200); !strings.Contains(string(shown.Raw), `"notes":"ring the bell"`) {
		t.Errorf("the customer's notes are not shown: %s", shown.Raw)
	}
	y.asCustomer().Call("PATCH", "/api/v1/bookings/"+made.Booking.ID+"/cancel", nil).Want(200).Data(&again)
	if again.Booking.Status != "cancelled" {
		t.Errorf("cancelled as %+v", again.Booking)
	}
}

// TestAnOrderForTomorrow: a scheduled order is shown to nobody yet, and does not stand in the way of
// another one.
func TestAnOrderForTomorrow(t *testing.T) {
	t.Parallel()
	onBothStores(t, anOrderForTomorrow)
}

func anOrderForTomorrow(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	wanted := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Millisecond)
	body := strings.Replace(orderJSON(1), `"goodsType"`, `"scheduledAt":"`+wanted.Format(time.RFC3339Nano)+`","goodsType"`, 1)
	var born rest.CreatedOrderData
	keyed(y.asCustomer()).Call("POST", "/api/v1/bookings/orders", body).Want(201).Data(&born)
	if o := born.Order; o.Status != "created" || !o.ScheduledAt.Time().Equal(wanted) || o.ExpiresIn != 600 || born.Notified != 0 || born.Dispatch != "queued" {
		t.Errorf("born as %+v", born)
	}
	if s := y.statusOf(born.Order.ID); !s.IsActive || s.RemainingSeconds != 600 {
		t.Errorf("status %+v", s)
	}
	y.asOwner().Call("GET", "/api/v1/broadcasts/"+born.Order.ID, nil).Refused(404, "ORDER_NOT_FOUND")
	y.order(1)
}
