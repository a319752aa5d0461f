package security

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestShare: a link that shows one trip to whoever has it.
func TestShare(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{{"P29_ALinkShowsOneTrip", aLinkShowsOneTrip}})
}

// follows exchanges a link's token and gives who follows the trip, with what the exchange said.
func (c *caller) follows(link string) (*caller, answer) {
	c.t.Helper()
	in := c.post("share/exchange", object{"token": link}).ok()
	return c.with(in.text("accessToken")), in
}

func aLinkShowsOneTrip(t *testing.T, h *house) {
	mine, other := h.journey(t), h.journey(t)
	link := mine.customer.post("trips/"+mine.trip+"/share", nil).ok()
	mine.customer.post("trips/"+other.trip+"/share", nil).refused(404)
	mine.driver.post("trips/"+mine.trip+"/share", nil).refused(403)
	if !strings.Contains(link.text("url"), "/t/#"+link.text("token")) {
		t.Errorf("the secret is not behind the #: %s", link.text("url"))
	}
	anybody := h.stranger(t)
	viewer, in := anybody.follows(link.text("token"))
	if in.text("tripId") != mine.trip {
		t.Errorf("another trip: %s", in.body)
	}

	for _, path := range []string{"auth/me", "profile", "tracking/" + mine.trip, "tracking/" + other.trip, "trips/" + mine.trip + "/share", "bookings/orders", "driver/list", "admin/audit"} {
		viewer.get(path).refused(401)
	}
	for _, write := range [][2]string{
		{http.MethodPost, "tracking/batch"}, {http.MethodPost, "trips/" + mine.trip + "/share"}, {http.MethodPost, "auth/logout"}, {http.MethodPost, "ws-tickets"},
		{http.MethodPut, "tracking/trip/" + mine.trip + "/status"}, {http.MethodPut, "vehicles/upsert"},
		{http.MethodPatch, "assignments/" + mine.trip + "/accept"}, {http.MethodDelete, "trips/" + mine.trip + "/share/" + link.text("shareId")},
	} {
		viewer.ask(write[0], "/api/v1/"+write[1], object{"status": "completed"}).refused(403, "FORBIDDEN")
	}
	anybody.renew(viewer.token).refused(401)

	s := viewer.connect()
	for _, frame := range []object{
		{"t": "watch", "id": "w1", "trip": other.trip}, {"t": "watch", "id": "w1", "trip": nobody}, {"t": "watch", "id": "w1", "fleet": true},
		{"t": "watch", "id": "w1", "all": true}, {"t": "replay", "from": 1}, fix(1, time.Now(), 12.5, 77.5),
	} {
		s.send(frame)
		if code := s.read("error")["code"]; code != "NOT_FOUND" && code != "FORBIDDEN" {
			t.Errorf("%v: %v", frame, code)
		}
	}
	s.send(object{"t": "watch", "id": "w2", "trip": mine.trip})
	seen := []object{s.read("trip")}
	mine.driver.connect().send(fix(1, time.Now(), 12.97161234, 77.59461234))
	position := s.read("pos")
	seen = append(seen, position)
	if at := position["p"].([]any)[0].(object); at["lat"] != 12.9716 || at["lng"] != 77.5946 {
		t.Errorf("the position is not rounded: %v", at)
	}
	tellsNobody(t, mine, in.body, seen)

	mine.customer.ask(http.MethodDelete, "/api/v1/trips/"+mine.trip+"/share/"+link.text("shareId"), nil).ok()
	s.closed(4401, 2*time.Second)
	anybody.post("share/exchange", object{"token": link.text("token")}).refused(404, "SHARE_NOT_FOUND")
	if _, status := viewer.upgrade("/ws/v1", native); status != http.StatusUnauthorized {
		t.Errorf("a socket after the revocation: %d", status)
	}
}

// tellsNobody fails when what a viewer was told says more of a person or truck than it may.
func tellsNobody(t *testing.T, j *journey, exchanged string, frames []object) {
	t.Helper()
	told, err := json.Marshal(frames)
	if err != nil {
		t.Fatal(err)
	}
	all := exchanged + string(told)
	for what, secret := range map[string]string{
		"customer's phone": j.customer.phone, "driver's phone": j.crew.driverPhone, "transporter's phone": j.crew.phone,
		"customer": j.customer.id, "driver": j.crew.driverID, "transporter": j.crew.id, "vehicle": j.crew.vehicleID,
		"surname": "Kumar", "plate": j.crew.plate, "street": "MG Road",
	} {
		if strings.Contains(all, secret) {
			t.Errorf("a viewer is told of the %s: %s", what, all)
		}
	}
	if !strings.Contains(all, "Ravi") || !strings.Contains(all, j.crew.plate[len(j.crew.plate)-4:]) {
		t.Errorf("a viewer is not told who drives what: %s", all)
	}
}

// TestHurriedShare asks for the end of links where half an hour takes half a minute.
func TestHurriedShare(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{{"P29_ALinkEndsAfterItsTrip", aLinkEndsAfterItsTrip}}, "LOGIN_TIME_SCALE=60")
}

func aLinkEndsAfterItsTrip(t *testing.T, h *house) {
	const grace = 30 * time.Second // thirty minutes, sixty times as fast
	j := h.journey(t)
	link := j.customer.post("trips/"+j.trip+"/share", nil).ok().text("token")
	anybody := h.stranger(t)
	viewer, _ := anybody.follows(link)
	s := viewer.watches(j.trip, object{"trip": j.trip})
	ending := time.Now()
	for _, status := range []string{"at_pickup", "loading_complete", "in_transit", "completed"} {
		j.driver.ask(http.MethodPut, "/api/v1/tracking/trip/"+j.trip+"/status", object{"status": status}).ok()
	}
	ended := time.Now()
	j.customer.post("trips/"+j.trip+"/share", nil).refused(409, "TRIP_ENDED")
	if late := time.Since(ending); late > grace/2 {
		t.Fatalf("the trip took %v to end", late)
	}
	pass(t, grace*2/3-time.Since(ended))
	viewer, _ = anybody.follows(link) // and stays where he is by a new token
	s.send(object{"t": "auth", "token": viewer.token})
	s.read("authed")
	pass(t, grace-time.Since(ended)+time.Second)
	anybody.post("share/exchange", object{"token": link}).refused(404, "SHARE_NOT_FOUND")
	s.closed(4401, 3*time.Second)
	if _, status := viewer.upgrade("/ws/v1", native); status != http.StatusUnauthorized {
		t.Errorf("a socket after the end: %d", status)
	}
}
