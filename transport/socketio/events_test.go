package socketio

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/token"
	"weelo/internal/track"
	"weelo/transport/hub"
)

// eventTypes is the closed set of event types (design §7).
var eventTypes = []string{
	"trip_assigned", "trip_status", "trip_cancelled", "trip_timeout", "offer_closed", "order_status", "order_fill",
	"hold_expired", "driver_status", "driver_connectivity", "driver_approaching", "order_completed",
	"delivery_code", "vehicle_changed", "driver_changed",
}

// contractNames are the names of the contract (§2.4) that an app listens to or may get, and ours that no
// app knows yet.
var contractNames = []string{
	"trip_assigned", "assignment_status_changed", "driver_timeout", "assignment_timeout", "driver_accepted", "driver_declined",
	"trip_cancelled", "truck_assigned", "driver_status_changed", "driver_connectivity_issue", "driver_may_be_offline",
	"assignment_stale", "driver_approaching", "booking_completed", "order_completed", "order_expired", "order_cancelled",
	"broadcast_state_changed", "order_status_update", "trucks_remaining_update", "booking_fully_filled", "hold_expired",
	"broadcast_expired", "broadcast_dismissed", "booking_cancelled", "booking_partially_filled", "flex_hold_expired",
	"delivery_code", "flex_hold_started", "flex_hold_extended", "order_timeout_extended", "booking_updated", "booking_expired",
	"accept_confirmation", "request_no_longer_available",
	"vehicle_registered", "vehicle_updated", "vehicle_deleted", "fleet_updated", "driver_added", "driver_deleted", "drivers_updated",
}

// TestEveryEventTypeHasItsNames walks the table: which event types exist, what they become for whom.
func TestEveryEventTypeHasItsNames(t *testing.T) {
	t.Parallel()
	var mapped []string
	for kind, emissions := range outward {
		mapped = append(mapped, kind)
		for _, e := range emissions {
			if !slices.Contains(contractNames, e.name) {
				t.Errorf("%s becomes %s, which is not in the contract", kind, e.name)
			}
		}
	}
	slices.Sort(mapped)
	want := slices.Sorted(slices.Values(eventTypes))
	if diff := cmp.Diff(want, mapped); diff != "" {
		t.Errorf("event types: %s", diff)
	}
	tests := []struct {
		kind, data string
		names      map[fleet.Role]string
	}{
		{"trip_assigned", `{}`, names("trip_assigned", fleet.Driver)},
		{"trip_status", `{"status":"in_transit"}`, names("assignment_status_changed", fleet.Driver, fleet.Customer, fleet.Transporter, fleet.Ops)},
		{"trip_status", `{"status":"driver_accepted"}`, map[fleet.Role]string{
			fleet.Driver: "assignment_status_changed", fleet.Transporter: "assignment_status_changed driver_accepted",
			fleet.Customer: "assignment_status_changed truck_assigned",
		}},
		{"trip_status", `{"status":"driver_declined"}`, map[fleet.Role]string{
			fleet.Driver: "assignment_status_changed", fleet.Transporter: "assignment_status_changed driver_declined",
			fleet.Customer: "assignment_status_changed",
		}},
		{"trip_cancelled", `{}`, names("trip_cancelled", fleet.Driver)},
		{"trip_timeout", `{}`, names("driver_timeout assignment_timeout", fleet.Transporter)},
		{"driver_status", `{}`, names("driver_status_changed", fleet.Transporter)},
		{"vehicle_changed", `{"action":"registered"}`, names("vehicle_registered fleet_updated", fleet.Transporter)},
		{"vehicle_changed", `{"action":"updated"}`, names("vehicle_updated fleet_updated", fleet.Transporter)},
		{"vehicle_changed", `{"action":"deleted"}`, names("vehicle_deleted fleet_updated", fleet.Transporter)},
		{"driver_changed", `{"action":"added"}`, names("driver_added drivers_updated", fleet.Transporter)},
		{"driver_changed", `{"action":"deleted"}`, names("driver_deleted drivers_updated", fleet.Transporter)},
		{"driver_connectivity", `{"kind":"driver_may_be_offline"}`, names("driver_may_be_offline", fleet.Transporter)},
		{"driver_connectivity", `{"kind":"assignment_stale"}`, names("assignment_stale", fleet.Transporter)},
		{"driver_connectivity", `{"kind":"driver_connectivity_issue"}`, names("driver_connectivity_issue", fleet.Customer)},
		{"driver_approaching", `{}`, names("driver_approaching", fleet.Customer)},
		{"order_completed", `{}`, map[fleet.Role]string{fleet.Customer: "booking_completed", fleet.Transporter: "order_completed"}},
		{"order_status", `{"status":"expired"}`, names("order_expired", fleet.Customer)},
		{"order_status", `{"status":"cancelled"}`, names("order_cancelled", fleet.Customer, fleet.Transporter, fleet.Driver)},
		{"order_status", `{"status":"fully_filled"}`, names("broadcast_state_changed", fleet.Customer)},
		{"order_status", `{"status":"completed"}`, names("order_status_update", fleet.Customer)},
		{"order_status", `{"status":"in_progress","dispute":{}}`, names("order_status_update", fleet.Customer, fleet.Transporter, fleet.Driver)},
		{"order_status", `{"status":"cancelled","dispute":{}}`, names("order_status_update", fleet.Customer, fleet.Transporter, fleet.Driver)},
		{"order_status", `{"status":"partially_filled","dispute":{}}`, names("order_status_update", fleet.Customer, fleet.Transporter, fleet.Driver)},
		{"order_fill", `{"trucksRemaining":1}`, names("trucks_remaining_update booking_updated", fleet.Customer, fleet.Transporter)},
		{"order_fill", `{"trucksRemaining":1,"trucksFilled":2,"totalTrucks":3}`, map[fleet.Role]string{
			fleet.Customer: "trucks_remaining_update booking_updated", fleet.Transporter: "trucks_remaining_update booking_updated booking_partially_filled",
		}},
		{"order_fill", `{"trucksRemaining":0}`, names("trucks_remaining_update booking_updated booking_fully_filled", fleet.Customer)},
		{"hold_expired", `{"phase":"FLEX"}`, names("hold_expired flex_hold_expired", fleet.Transporter)},
		{"delivery_code", `{}`, names("delivery_code", fleet.Customer)},
		{"offer_closed", `{"reason":"customer_cancelled"}`, names("broadcast_dismissed booking_cancelled", fleet.Transporter)},
		{"offer_closed", `{"reason":"timeout"}`, names("broadcast_expired booking_expired", fleet.Transporter)},
		{"offer_closed", `{"reason":"fully_filled"}`, names("broadcast_dismissed request_no_longer_available", fleet.Transporter)},
	}
	for _, test := range tests {
		for role, want := range test.names {
			got := namesOf(t, newCodec(role).Event(hub.Event{Seq: 1, Event: ledger.Event{Type: test.kind, Data: []byte(test.data)}}))
			if got != want {
				t.Errorf("%s %s for %s: %q, want %q", test.kind, test.data, role, got, want)
			}
		}
	}
}

func names(events string, roles ...fleet.Role) map[fleet.Role]string {
	m := make(map[fleet.Role]string)
	for _, r := range roles {
		m[r] = events
	}
	return m
}

var testNow = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

func newCodec(role fleet.Role) *codec {
	return &codec{who: token.Identity{UserID: "u", Role: role}, now: func() time.Time { return testNow }}
}

// payload is the name and the one argument of an event message.
func payload(t *testing.T, message []byte) (string, map[string]any) {
	t.Helper()
	p, err := decodePacket(message[1:])
	if err != nil {
		t.Fatalf("%s: %v", message, err)
	}
	e, err := decodeEvent(p.Data)
	if err != nil || len(e.Args) != 1 {
		t.Fatalf("%s: %v", message, err)
	}
	var body map[string]any
	if err := json.Unmarshal(e.Args[0], &body); err != nil {
		t.Fatalf("%s: %v", message, err)
	}
	return e.Name, body
}

func namesOf(t *testing.T, messages [][]byte) string {
	t.Helper()
	var list []string
	for _, m := range messages {
		name, _ := payload(t, m)
		list = append(list, name)
	}
	return strings.Join(list, " ")
}

func TestTripAssignedIsSpelledForTheApp(t *testing.T) {
	t.Parallel()
	expires := testNow.Add(30 * time.Second)
	data := fmt.Sprintf(`{"assignmentId":%q,"tripId":%q,"orderId":"o1","pickup":{"latitude":12.9716,"longitude":77.5946,"address":"A"},
		"routePoints":[{"type":"PICKUP","lat":1.5,"lng":2.5}],"distanceKm":120,"assignedAt":%d,"expiresAt":%d}`, trip1, trip1, testNow.UnixMilli(), expires.UnixMilli())
	messages := newCodec(fleet.Driver).Event(hub.Event{Seq: 41, Replayed: true, Event: ledger.Event{
		ID: "e1", Type: "trip_assigned", PayloadVersion: 1, Expires: expires, Data: []byte(data),
	}})
	if len(messages) != 1 {
		t.Fatalf("%d messages", len(messages))
	}
	_, got := payload(t, messages[0])
	want := map[string]any{
		"assignmentId": trip1, "tripId": trip1, "orderId": "o1", "bookingId": "o1",
		"pickup":      map[string]any{"latitude": 12.9716, "longitude": 77.5946, "lat": 12.9716, "lng": 77.5946, "address": "A"},
		"routePoints": []any{map[string]any{"type": "PICKUP", "lat": 1.5, "lng": 2.5, "latitude": 1.5, "longitude": 2.5}},
		"distanceKm":  120.0, "assignedAt": "2026-01-02T03:04:05.678Z", "expiresAt": "2026-01-02T03:04:35.678Z",
		"remainingSeconds": 30.0, "eventId": "e1", "eventVersion": 1.0, "payloadVersion": "1",
		"serverTimeMs": float64(testNow.UnixMilli()), "_seq": 41.0, "_replayed": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnExpiredAssignmentIsNotShown(t *testing.T) {
	t.Parallel()
	e := ledger.Event{Type: "trip_assigned", Expires: testNow.Add(-time.Millisecond), Data: []byte(`{}`)}
	if got := newCodec(fleet.Driver).Event(hub.Event{Seq: 1, Event: e}); got != nil {
		t.Errorf("%s", got)
	}
}

func TestUnreadableDataIsNotSent(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`[]`, `null`, `"x"`, `{`} {
		if got := newCodec(fleet.Driver).Event(hub.Event{Seq: 1, Event: ledger.Event{Type: "trip_status", Data: []byte(data)}}); got != nil {
			t.Errorf("%s became %s", data, got)
		}
	}
	if got := newCodec(fleet.Driver).Event(hub.Event{Seq: 1, Event: ledger.Event{Type: "no_such_type"}}); got != nil {
		t.Errorf("%s", got)
	}
}

func TestTruckAssignedIsTheCustomersCard(t *testing.T) {
	t.Parallel()
	data := `{"assignmentId":"t","tripId":"t","orderId":"o","status":"driver_accepted","driverName":"Mohan","vehicleNumber":"KA01AB1234","timestamp":1767323045678}`
	messages := newCodec(fleet.Customer).Event(hub.Event{Seq: 3, Event: ledger.Event{ID: "e", Type: "trip_status", Data: []byte(data)}})
	_, status := payload(t, messages[0])
	if status["timestamp"] != "2026-01-02T03:04:05.678Z" {
		t.Errorf("timestamp %v", status["timestamp"])
	}
	_, card := payload(t, messages[1])
	assignment := map[string]any{"id": "t", "tripId": "t", "vehicleNumber": "KA01AB1234", "driverName": "Mohan", "status": "driver_accepted"}
	if diff := cmp.Diff(assignment, card["assignment"]); diff != "" || card["bookingId"] != "o" || card["_seq"] != 3.0 {
		t.Errorf("%v %s", card, diff)
	}
}

func TestLocationUpdated(t *testing.T) {
	t.Parallel()
	p := protocol.Position{TripID: trip1, Driver: mohan, Fix: track.Fix{
		TS: testNow.UnixMilli(), ReceivedMS: testNow.UnixMilli() + 61_000, Lat: 12.9716, Lng: 77.5946, Speed: 11.2, Bearing: 181,
	}}
	name, got := payload(t, newCodec(fleet.Customer).Position(&p))
	want := map[string]any{
		"tripId": trip1, "driverId": string(mohan), "latitude": 12.9716, "longitude": 77.5946, "speed": 11.2, "bearing": 181.0,
		"timestamp": "2026-01-02T03:04:05.678Z", "isStale": true, "locationAgeMs": 61000.0, "eventVersion": 1.0,
		"serverTimeMs": float64(testNow.UnixMilli() + 61_000),
	}
	if diff := cmp.Diff(want, got); diff != "" || name != "location_updated" {
		t.Errorf("%s %s", name, diff)
	}
	p.Fix.ReceivedMS = p.Fix.TS - 5
	if _, got := payload(t, newCodec(fleet.Customer).Position(&p)); got["isStale"] != false || got["locationAgeMs"] != 0.0 {
		t.Errorf("a phone clock ahead: %v", got)
	}
	p.TripID = "quote\"\n"
	if _, got := payload(t, newCodec(fleet.Customer).Position(&p)); got["tripId"] != p.TripID {
		t.Errorf("trip id %v", got["tripId"])
	}
}

func TestOfferIsNewBroadcastWhileOpen(t *testing.T) {
	t.Parallel()
	c := newCodec(fleet.Transporter)
	o := hub.Offer{ID: "f1", Version: 2, Open: true, Expires: testNow.Add(time.Minute), Data: []byte(`{"orderId":"o1","pickup":{"lat":1,"lng":2}}`)}
	name, got := payload(t, c.Offer(o)[0])
	if name != "new_broadcast" || got["broadcastId"] != "o1" || got["payloadVersion"] != "2" || got["type"] != "new_broadcast" || got["expiresAt"] != "2026-01-02T03:05:05.678Z" {
		t.Errorf("%s %v", name, got)
	}
	o.Open = false
	if got := c.Offer(o); got != nil {
		t.Errorf("a closed offer became %s", got)
	}
}

var threeDecimals = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

// TestTimesAlwaysHaveThreeDecimals: one app parses no other form, whatever the millisecond.
func TestTimesAlwaysHaveThreeDecimals(t *testing.T) {
	t.Parallel()
	for _, ms := range []int64{0, 1, 999, 1000, 1_767_323_045_000, 1_767_323_045_670, 1_767_323_045_678} {
		d := fields{"assignedAt": json.Number(fmt.Sprint(ms)), "nested": []any{map[string]any{"timestamp": ms}}, "durationMs": ms}
		_, got := payload(t, eventMessage("x", d))
		for _, text := range []any{got["assignedAt"], got["nested"].([]any)[0].(map[string]any)["timestamp"]} {
			if s, _ := text.(string); !threeDecimals.MatchString(s) {
				t.Errorf("%d ms became %v", ms, text)
			}
		}
		if got["durationMs"] != float64(ms) {
			t.Errorf("a duration became %v", got["durationMs"])
		}
	}
}
