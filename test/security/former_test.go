package security

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestFormerFleets: a driver is one of a fleet. Once he drives for another, his old fleet's trips are not there for
// him, on any way in, and his positions are not there for it.
func TestFormerFleets(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{{"AFormerFleetsTripsAreUnknown", aFormerFleetsTripsAreUnknown}})
}

// hires takes a driver of nobody into a fleet, with the code that comes to his own phone.
func (c *crew) hires(t *testing.T, phone string) {
	t.Helper()
	var invited answer
	eventually(t, 60*time.Second, "the end of the cool-down of the driver's phone", func() bool {
		if invited.status == http.StatusTooManyRequests || invited.status == http.StatusServiceUnavailable {
			pass(t, time.Duration(max(1, invited.retryAfter()))*time.Second)
		}
		invited = c.post("driver/onboard/initiate", object{"phone": phone, "name": "Ravi Kumar", "licenseNumber": "KA0120210001234"})
		return invited.status != http.StatusTooManyRequests && invited.status != http.StatusServiceUnavailable
	})
	invited.ok()
	c.driverPhone = phone
	c.driverID = c.patiently("driver/onboard/verify", object{"phone": phone, "otp": c.house.sms.next(t, phone).Code}).ok().text("driver", "id")
}

// ordered starts a trip of an order, so that its driver may see both.
func (h *house) ordered(t *testing.T) (j *journey, order string) {
	t.Helper()
	j = &journey{customer: h.customer(t), crew: h.crew(t)}
	j.driver = j.crew.driver(t)
	j.crew.goesOnline(t)
	j.driver.ask(http.MethodPut, "/api/v1/driver/availability", object{"isOnline": true}).ok()
	order = j.customer.orders(1)
	hold := j.crew.post("truck-hold/hold", object{"orderId": order, "vehicleType": "open", "vehicleSubtype": "17 Feet", "quantity": 1}).ok().text("holdId")
	j.crew.post("truck-hold/confirm-with-assignments", object{"holdId": hold, "assignments": []object{{"vehicleId": j.crew.vehicleID, "driverId": j.crew.driverID}}}).ok()
	j.trip = j.driver.get("tracking/active-trip").ok().text("tripId")
	j.driver.ask(http.MethodPatch, "/api/v1/assignments/"+j.trip+"/accept", nil).ok()
	return j, order
}

// orderCalls are what a driver can ask about an order that he names.
func orderCalls(order string) (paths []string) {
	for _, path := range []string{
		"orders/%s", "bookings/orders/%s", "orders/%s/status", "orders/%s/route", "bookings/%s", "bookings/%s/trucks",
		"tracking/booking/%s", "tracking/booking/%s/eta", "truck-hold/order-progress/%s",
	} {
		paths = append(paths, fmt.Sprintf(path, order))
	}
	return paths
}

// tripCalls are all that a driver can ask by REST about a trip that he names.
func tripCalls(trip string) map[string]func(*caller) answer {
	call := func(method, path string, body any) func(*caller) answer {
		return func(c *caller) answer { return c.ask(method, "/api/v1/"+path, body) }
	}
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	at := object{"latitude": 12.5, "longitude": 77.5, "speed": 3, "bearing": 90, "accuracy": 8, "timestamp": now}
	update := object{"tripId": trip, "latitude": 12.5, "longitude": 77.5, "speed": 3, "bearing": 90, "accuracy": 8}
	return map[string]func(*caller) answer{
		"assignment": call("GET", "assignments/"+trip, nil), "trip": call("GET", "trips/"+trip, nil),
		"tracking": call("GET", "tracking/"+trip, nil), "history": call("GET", "tracking/history/"+trip, nil),
		"accept": call("PATCH", "assignments/"+trip+"/accept", nil), "decline": call("PATCH", "assignments/"+trip+"/decline", object{"reason": "no"}),
		"breakdown": call("POST", "assignments/"+trip+"/breakdown", object{"note": "engine"}),
		"status":    call("PUT", "tracking/trip/"+trip+"/status", object{"status": "at_pickup"}),
		"batch":     call("POST", "tracking/batch", object{"tripId": trip, "points": []object{at}}),
		"update":    call("POST", "tracking/update", update),
	}
}

func aFormerFleetsTripsAreUnknown(t *testing.T, h *house) {
	j, order := h.ordered(t)
	other := h.crew(t)
	for _, name := range []string{"assignment", "trip", "tracking", "history"} {
		if a := tripCalls(j.trip)[name](j.driver.caller); a.status != http.StatusOK {
			t.Fatalf("%s, while he drives for it: %d %s", name, a.status, a.body)
		}
	}
	for _, path := range orderCalls(order) {
		j.driver.get(path).ok()
	}
	j.driver.connect().send(fix(1, time.Now(), 12.9716, 77.5946))
	eventually(t, wait, "he is on the map of his fleet", func() bool {
		return strings.Contains(j.crew.get("tracking/fleet").ok().body, j.driver.id)
	})
	if n := j.driver.get("assignments/driver").ok().number("total"); n != 1 {
		t.Fatalf("he has %v trips", n)
	}
	j.crew.post("assignments/"+j.trip+"/breakdown", object{"note": "engine"}).ok() // it has ended, ten minutes of fixes are still taken
	tripCalls(j.trip)["batch"](j.driver.caller).ok()
	j.crew.ask(http.MethodDelete, "/api/v1/profile/drivers/"+j.crew.driverID, nil).ok()
	other.hires(t, j.crew.driverPhone)
	if a := other.get("tracking/fleet").ok(); strings.Contains(a.body, j.driver.id) {
		t.Errorf("his new fleet sees where he was when he drove for another: %s", a.body)
	}
	he := other.driver(t)
	if he.id != j.driver.id {
		t.Fatalf("he was %s and is %s", j.driver.id, he.id)
	}
	eventually(t, wait, "his old session is over", func() bool { return j.driver.me().status == http.StatusUnauthorized })

	unknown := tripCalls(nobody)
	for name, ask := range tripCalls(j.trip) {
		a, b := ask(he.caller).refused(404), unknown[name](he.caller).refused(404)
		if a.content.Error.Code != b.content.Error.Code || a.content.Error.Message != b.content.Error.Message {
			t.Errorf("%s: the former fleet's trip and an unknown one differ: %s %s", name, a.body, b.body)
		}
	}
	none := orderCalls(nobody)
	for i, path := range orderCalls(order) {
		a, b := he.get(path).refused(404), he.get(none[i]).refused(404)
		if a.content.Error.Code != b.content.Error.Code || a.content.Error.Message != b.content.Error.Message {
			t.Errorf("%s: the former fleet's order and an unknown one differ: %s %s", path, a.body, b.body)
		}
	}
	if a := he.get("assignments/driver").ok(); a.number("total") != 0 || strings.Contains(a.body, j.trip) {
		t.Errorf("his trips: %s", a.body)
	}
	if a := he.get("tracking/active-trip").ok(); strings.Contains(a.body, j.trip) {
		t.Errorf("his live trip: %s", a.body)
	}
	formerFleetsSockets(t, he, j.trip)

	// For those whose trip it was it goes on as it is, and nothing that he sent meanwhile is in it.
	for _, who := range []*caller{j.customer.caller, j.crew.caller} {
		if a := who.get("tracking/history/" + j.trip).ok(); strings.Contains(a.body, "12.25") {
			t.Errorf("the track of the former fleet's trip goes on: %s", a.body)
		}
	}
	other.get("assignments/" + j.trip).refused(404)
	if a := j.crew.get("driver/list").ok(); strings.Contains(a.body, he.id) {
		t.Errorf("he is in the list of the fleet that he left: %s", a.body)
	}
}

// formerFleetsSockets is what he gets over sockets, where he also asks to be told again what he missed.
func formerFleetsSockets(t *testing.T, he *user, trip string) {
	t.Helper()
	s, status := he.upgrade("/ws/v1", native)
	if s == nil {
		t.Fatalf("upgrade: %d", status)
	}
	s.send(object{"t": "hello", "device": he.device, "resume": object{"seq": 0}})
	welcome := s.read("welcome")
	if welcome["mode"] == "replay" || welcome["trip"] != nil || welcome["lastFixMs"] != nil {
		t.Errorf("welcome %v", welcome)
	}
	for {
		frame, _, ok := s.frame(wait)
		if !ok || strings.Contains(fmt.Sprint(frame), trip) {
			t.Fatalf("before synced: %v", frame)
		}
		if frame["t"] == "synced" {
			break
		}
	}
	s.send(object{"t": "watch", "id": "w1", "trip": trip})
	if code := s.read("error")["code"]; code != "NOT_FOUND" {
		t.Errorf("a watch: %v", code)
	}
	named := fix(1, time.Now(), 12.25, 77.5)
	named["trip"] = trip
	s.send(named)
	if code := s.read("error")["code"]; code != "NOT_FOUND" {
		t.Errorf("a position: %v", code)
	}
	for i, member := range []string{trip, ""} {
		f := fix(2+i, time.Now(), 12.25, 77.5)
		if delete(f, "t"); member != "" {
			f["trip"] = member
		}
		s.send(object{"t": "fixes", "id": "b1", "fixes": []object{f}})
		if ack := s.read("ack"); ack["accepted"] != 0.0 || ack["invalid"] != 1.0 {
			t.Errorf("a batch for %q: %v", member, ack)
		}
	}
	app := he.on("app").app()
	app.emit("join_trip", trip)
	if e := app.event("error"); e["code"] != "NOT_FOUND" {
		t.Errorf("join_trip: %v", e)
	}
	app.emit("update_location", object{"tripId": trip, "latitude": 12.25, "longitude": 77.5, "speed": 3, "bearing": 90})
	if e := app.event("error"); e["code"] != "NOT_FOUND" {
		t.Errorf("update_location: %v", e)
	}
}
