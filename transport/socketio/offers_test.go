package socketio

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/order"
	"weelo/transport/hub"
)

// offered is the order as asha is shown it, in the shape that the engine keeps.
func offered(t *testing.T, needed int, version string) json.RawMessage {
	t.Helper()
	data, err := json.Marshal(order.OfferData{
		Type: "new_broadcast", BroadcastID: order1, OrderID: order1, BookingID: order1, TrucksNeeded: needed, FarePerTruck: 4200,
		Requested: []order.RequestedKind{{VehicleType: "open", VehicleSubtype: "17 Feet", Count: needed}},
		ExpiresAt: time.Now().Add(time.Minute).UnixMilli(), PayloadVersion: version, EventVersion: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestOfficialClientIsOfferedOrders: what is open is shown at the connect, changes and closings live, and
// the app's acknowledgement is kept.
func TestOfficialClientIsOfferedOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	id := order.OfferID(order1, asha)
	w.access.offer(
		hub.Offer{ID: id, Version: 1, Open: true, Expires: time.Now().Add(time.Minute), Data: offered(t, 3, "1")},
		hub.Offer{ID: "late", Version: 1, Open: true, Expires: time.Now().Add(-time.Second), Data: offered(t, 3, "1")},
	)
	transporter := w.official("asha")
	transporter.next("connect")
	transporter.event("connected")
	got := transporter.event("new_broadcast")
	if got["broadcastId"] != order1 || got["trucksNeeded"] != 3.0 || got["_replayed"] != true || got["payloadVersion"] != "1" ||
		!threeDecimals.MatchString(fmt.Sprint(got["expiresAt"])) || got["serverTimeMs"] == nil {
		t.Errorf("%v", got)
	}
	w.people.until(t, "a receipt", func() bool { return w.people.counts["delivered "+id+" to "+string(asha)] == 1 })
	for _, name := range []string{"dispatch_ack", "broadcast_ack"} {
		transporter.emit(fmt.Sprintf(`[%q,{"seq":0,"orderId":%q,"receivedAt":1,"source":"socket"}]`, name, order1), false)
	}
	w.people.until(t, "two acknowledgements", func() bool { return w.people.counts["seen "+id+" by "+string(asha)] == 2 })

	w.hub.Offers([]protocol.OfferFrame{{Transporter: asha, ID: id, Version: 2, Open: true, Expires: time.Now().Add(time.Minute), Data: offered(t, 2, "2")}})
	if got := transporter.event("new_broadcast"); got["trucksNeeded"] != 2.0 || got["payloadVersion"] != "2" || got["_replayed"] != nil {
		t.Errorf("%v", got)
	}
	w.hub.Offers([]protocol.OfferFrame{{Transporter: asha, ID: id, Version: 3}})
	w.hub.Offers([]protocol.OfferFrame{{Transporter: asha, ID: id, Version: 2, Open: true, Expires: time.Now().Add(time.Minute), Data: offered(t, 2, "2")}}) // overtaken
	w.deliver("offer_closed", order.ClosedData{BroadcastID: order1, OrderID: order1, Reason: "fully_filled"}, asha)
	if got := transporter.event("broadcast_dismissed"); got["broadcastId"] != order1 || got["reason"] != "fully_filled" || got["_seq"] != 1.0 {
		t.Errorf("%v", got)
	}
}

func TestACustomerIsToldOfHisOrdersAtTheConnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.access.mu.Lock()
	w.access.orders = []order.State{{
		ID: order1, Status: order.PartiallyFilled, Dispatch: "dispatched", Live: true, CustomerID: ravi, ExpiresMS: time.Now().UnixMilli(),
		Slots: []order.Slot{{ID: "s1", Status: order.SlotAccepted}, {ID: "s2", Status: order.SlotSearching}},
	}}
	w.access.mu.Unlock()
	customer := w.official("ravi")
	customer.next("connect")
	customer.event("connected")
	got := customer.event("order_state_sync")
	if got["orderId"] != order1 || got["status"] != "partially_filled" || got["dispatchState"] != "dispatched" || got["trucksConfirmed"] != 1.0 || got["totalTrucks"] != 2.0 {
		t.Errorf("%v", got)
	}
}
