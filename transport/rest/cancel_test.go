package rest_test

import (
	"strings"
	"testing"

	"weelo/internal/fleet"
	"weelo/transport/rest"
)

// TestWhatACancellationCosts: preview and cancellation agree at every stage, and end in a dispute once
// the goods are on their way.
func TestWhatACancellationCosts(t *testing.T) {
	t.Parallel()
	onBothStores(t, whatACancellationCosts)
}

func whatACancellationCosts(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	id := y.order(1).Order.ID
	preview := func() rest.CancelPreviewData {
		t.Helper()
		var p rest.CancelPreviewData
		y.asCustomer().Call("GET", "/api/v1/bookings/orders/"+id+"/cancel-preview", nil).Want(200).Data(&p)
		return p
	}
	if p := preview(); p.Stage != "SEARCHING" || p.Decision != "allowed" || p.Pending != 0 || p.OrderID != id {
		t.Errorf("while it searches: %+v", p)
	}
	trip := y.confirm(y.hold(id, 1).HoldID, 1)[0]
	y.asDriver(0).Call("PATCH", "/api/v1/assignments/"+trip+"/accept", nil).Want(200)
	y.eventually("filled", func() bool { return y.statusOf(id).Status == "fully_filled" })
	if p := preview(); p.Stage != "DRIVER_ASSIGNED" || p.Decision != "allowed_with_penalty" || p.Pending != 50 || p.Penalty.Final != 50 || p.ReasonRequired {
		t.Errorf("once a driver has accepted: %+v", p)
	}
	y.step(0, trip, "at_pickup")
	if p := preview(); p.Stage != "AT_PICKUP" || p.Pending != 100 || !p.ReasonRequired {
		t.Errorf("at the pickup: %+v", p)
	}
	cancel := "/api/v1/bookings/orders/" + id + "/cancel"
	keyed(y.asCustomer()).Call("POST", cancel, `{}`).Refused(400, "CANCEL_FAILED")
	y.step(0, trip, "in_transit")
	if p := preview(); p.Stage != "IN_TRANSIT" || p.Decision != "blocked_dispute_only" || p.ReasonCode == nil {
		t.Errorf("on the way: %+v", p)
	}
	keyed(y.asCustomer()).Call("POST", cancel, `{"reason":"too slow"}`).Refused(409, "CANCEL_BLOCKED_DISPUTE_ONLY")
	var first, again rest.DisputeData
	customer := keyed(y.asCustomer())
	customer.Call("POST", cancel+"/dispute", `{"reasonCode":"DELAY","notes":"two hours late"}`).Want(200).Data(&first)
	customer.Call("POST", cancel+"/dispute", `{"reasonCode":"DELAY","notes":"two hours late"}`).Want(200).Data(&again)
	if first.DisputeID == "" || first.Stage != "IN_TRANSIT" || again != first {
		t.Errorf("dispute %+v, again %+v", first, again)
	}
}

// TestACancellationEndsEverything: the order, its trips and its offers end together, once.
func TestACancellationEndsEverything(t *testing.T) {
	t.Parallel()
	onBothStores(t, aCancellationEndsEverything)
}

func aCancellationEndsEverything(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	id := y.order(2).Order.ID
	trip := y.confirm(y.hold(id, 1).HoldID, 1)[0]
	keyed(y.asCustomer()).Call("POST", "/api/v1/orders/"+id+"/cancel/dispute", `{}`).Refused(400, "DISPUTE_CREATE_FAILED")
	customer := keyed(y.asCustomer())
	var first, again rest.CancelledOrderData
	customer.Call("POST", "/api/v1/bookings/orders/"+id+"/cancel", `{"reason":"rain"}`).Want(200).Data(&first)
	if first.Status != "cancelled" || first.Reason != "rain" || first.Assignments != 1 || first.Drivers != 1 || first.Transporters != 2 || first.CancelledAt.String() == "" {
		t.Errorf("cancelled as %+v", first)
	}
	before := y.dispatched()
	customer.Call("POST", "/api/v1/orders/"+id+"/cancel", `{"reason":"rain"}`).Want(200).Data(&again)
	first.ServerTimeMS = again.ServerTimeMS
	if diff := compared(first, again); diff != "" {
		t.Errorf("replayed (-first +again):\n%s", diff)
	}
	customer.Call("POST", "/api/v1/orders/"+id+"/cancel", `{"reason":"snow"}`).Refused(409, "IDEMPOTENCY_KEY_REUSED")
	y.asCustomer().Call("DELETE", "/api/v1/orders/"+id+"/cancel", nil).Want(200)
	if after := y.dispatched(); after != before {
		t.Errorf("replays changed %q to %q", before, after)
	}
	y.asDriver(0).Call("PATCH", "/api/v1/assignments/"+trip+"/accept", nil).Refused(400, "ASSIGNMENT_STATE_CHANGED")
	keyed(y.asRival()).Call("POST", "/api/v1/truck-hold/hold", holdJSON(id, 1)).Refused(409, "ORDER_INACTIVE")
	var feed rest.FeedData
	y.asRival().Call("GET", "/api/v1/bookings/requests/active", nil).Want(200).Data(&feed)
	if feed.Count != 0 {
		t.Errorf("still shown: %+v", feed)
	}
	y.assign(0) // driver and truck are free
	keyed(y.asCustomer()).Call("GET", "/api/v1/orders/"+id+"/cancel-preview", nil).Want(200)
	y.asCustomer().Call("POST", "/api/v1/orders/"+id+"/continue-partial", `{}`).Refused(409, "ORDER_INACTIVE")
}

// TestAPartlyFilledOrder goes on with what it has, or searches for the rest.
func TestAPartlyFilledOrder(t *testing.T) {
	t.Parallel()
	onBothStores(t, aPartlyFilledOrder)
}

func aPartlyFilledOrder(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	id := y.order(2).Order.ID
	y.asCustomer().Call("POST", "/api/v1/orders/"+id+"/continue-partial", nil).Refused(400, "NO_TRUCKS_CONFIRMED")
	trip := y.confirm(y.hold(id, 1).HoldID, 1)[0]
	y.asDriver(0).Call("PATCH", "/api/v1/assignments/"+trip+"/accept", nil).Want(200)
	y.eventually("partly filled", func() bool { return y.statusOf(id).Status == "partially_filled" })
	var detail rest.OrderDetailData
	keyed(y.asCustomer()).Call("POST", "/api/v1/bookings/orders/"+id+"/continue-partial", nil).Want(200).Data(&detail)
	if detail.Order.TrucksFilled != 1 || detail.Summary.TrucksExpired != 1 || detail.Order.ExpiresIn != 0 {
		t.Errorf("continued as %+v", detail)
	}
	if s := y.statusOf(id); !s.IsActive {
		t.Errorf("an order with a truck is %+v", s)
	}
	keyed(y.asCustomer()).Call("POST", "/api/v1/bookings/orders/"+id+"/search-again", nil).Want(200).Data(&detail)
	if detail.Summary.TrucksSearching != 1 || detail.Order.ExpiresIn == 0 {
		t.Errorf("searches again as %+v", detail)
	}
	y.asRival().Call("POST", "/api/v1/orders/"+id+"/search-again", nil).Refused(403, "FORBIDDEN")
}

// TestOrdersOfOthersAreNotThere: a foreign order and an unknown one are answered alike, everywhere.
func TestOrdersOfOthersAreNotThere(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.open()
	id := y.order(1).Order.ID
	before := y.dispatched()
	customer := y.as(y.enrol(fleet.Customer, "+919000000002", "Nisha", ""), fleet.Customer)
	transporter := y.as(y.enrol(fleet.Transporter, "+919876543299", "Far Away", ""), fleet.Transporter)
	unknown := "3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c"
	for _, c := range []struct{ role, method, path, body string }{
		{"customer", "GET", "/api/v1/bookings/orders/{id}", ""},
		{"customer", "GET", "/api/v1/orders/{id}", ""},
		{"customer", "GET", "/api/v1/orders/{id}/status", ""},
		{"customer", "GET", "/api/v1/orders/{id}/route", ""},
		{"customer", "GET", "/api/v1/orders/{id}/cancel-preview", ""},
		{"customer", "POST", "/api/v1/orders/{id}/cancel", `{}`},
		{"customer", "POST", "/api/v1/orders/{id}/cancel/dispute", `{}`},
		{"customer", "POST", "/api/v1/orders/{id}/search-again", `{}`},
		{"customer", "POST", "/api/v1/orders/{id}/continue-partial", `{}`},
		{"customer", "GET", "/api/v1/bookings/{id}", ""},
		{"customer", "GET", "/api/v1/bookings/{id}/trucks", ""},
		{"customer", "PATCH", "/api/v1/bookings/{id}/cancel", ""},
		{"customer", "GET", "/api/v1/tracking/booking/{id}", ""},
		{"customer", "GET", "/api/v1/tracking/booking/{id}/eta", ""},
		{"customer", "GET", "/api/v1/truck-hold/order-progress/{id}", ""},
		{"transporter", "GET", "/api/v1/bookings/orders/{id}", ""},
		{"transporter", "GET", "/api/v1/bookings/orders/{id}/broadcast-snapshot", ""},
		{"transporter", "GET", "/api/v1/broadcasts/{id}", ""},
		{"transporter", "GET", "/api/v1/truck-hold/availability/{id}", ""},
		{"transporter", "POST", "/api/v1/truck-hold/hold", `{"orderId":"{id}","vehicleType":"open","vehicleSubtype":"17 Feet","quantity":1}`},
	} {
		client := map[string]interface{ call(id string) (int, string) }{
			"customer": caller{customer, c.method, c.path, c.body}, "transporter": caller{transporter, c.method, c.path, c.body},
		}[c.role]
		foreign, reason := client.call(id)
		if foreign != 404 || reason != "ORDER_NOT_FOUND" {
			t.Errorf("%s %s, foreign: %d %s", c.method, c.path, foreign, reason)
		}
		for _, other := range []string{unknown, "o1", strings.ToUpper(unknown)} {
			if status, why := client.call(other); status != foreign || why != reason {
				t.Errorf("%s %s, %s: %d %s", c.method, c.path, other, status, why)
			}
		}
	}
	if after := y.dispatched(); after != before {
		t.Errorf("strangers changed %q to %q", before, after)
	}
}
