package security

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestSockets: who may connect, and what may be said and heard there.
func TestSockets(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{
		{"P22_ForeignPagesAndTokensInURLs", foreignPagesAndTokensInURLs},
		{"P23_WhoSaysNothingIsClosed", whoSaysNothingIsClosed},
		{"P24_NobodyDrivesForAnother", nobodyDrivesForAnother},
		{"P25_ForeignTripsAreUnknown", foreignTripsAreUnknown},
		{"P26_ForeignDriversAreUnknown", foreignDriversAreUnknown},
		{"P27_TooBigAndTooMany", tooBigAndTooMany},
		{"P28_PositionsThatCannotBe", positionsThatCannotBe},
	})
}

func whoSaysNothingIsClosed(t *testing.T, h *house) {
	begun := time.Now()
	s, status := h.stranger(t).upgrade("/ws/v1", native)
	if s == nil {
		t.Fatalf("upgrade: %d", status)
	}
	open := time.Now()
	s.closed(4408, 8*time.Second)
	if least, most := time.Since(open), time.Since(begun); most < 4*time.Second || least > 6*time.Second {
		t.Errorf("closed after %v to %v", least, most)
	}
}

// fix is a position as a phone sends it.
func fix(n int, ts time.Time, lat, lng float64) object {
	return object{"t": "fix", "n": n, "ts": ts.UnixMilli(), "lat": lat, "lng": lng, "acc": 8, "speed": 3, "bearing": 90, "mock": false}
}

// at waits until the watcher sees a trip at a latitude, and fails when it sees it where it may not be
// before.
func (s *socket) at(trip string, lat float64, allowed ...float64) {
	s.t.Helper()
	for {
		positions, _ := s.read("pos")["p"].([]any)
		for _, p := range positions {
			seen, _ := p.(object)
			if seen["trip"] != trip {
				continue
			}
			got, _ := seen["lat"].(float64)
			if got == lat {
				return
			}
			if !slices.Contains(allowed, got) {
				s.t.Fatalf("the truck is shown at %v", got)
			}
		}
	}
}

// watches begins a watch and waits until the trip is in it.
func (c *caller) watches(trip string, watch object) *socket {
	c.t.Helper()
	s := c.connect()
	watch["t"], watch["id"] = "watch", "w1"
	s.send(watch)
	for s.read("trip")["trip"] != trip {
	}
	return s
}

// audience is everybody who may see a trip: each waits until he sees it at a latitude, and fails when he
// sees it at one that is not allowed before.
func (h *house) audience(t *testing.T, j *journey) (see func(lat float64, allowed ...float64)) {
	t.Helper()
	viewer, _ := h.stranger(t).follows(j.customer.post("trips/"+j.trip+"/share", nil).ok().text("token"))
	native := map[string]*socket{
		"the customer":        j.customer.watches(j.trip, object{"trip": j.trip}),
		"the transporter":     j.crew.watches(j.trip, object{"fleet": true}),
		"ops":                 h.login(t, h.opsUser, "ops").watches(j.trip, object{"all": true}),
		"a viewer of a link":  viewer.watches(j.trip, object{"trip": j.trip}),
		"the driver, himself": j.driver.on("another").watches(j.trip, object{"trip": j.trip}),
	}
	app := j.customer.app() // sees all trucks of his without asking
	return func(lat float64, allowed ...float64) {
		t.Helper()
		for _, s := range native {
			s.at(j.trip, lat, allowed...)
		}
		for {
			e := app.event("location_updated")
			if e["tripId"] != j.trip || e["latitude"] == lat {
				break
			}
			if got, _ := e["latitude"].(float64); !slices.Contains(allowed, got) {
				t.Fatalf("the app shows the truck at %v", got)
			}
		}
		for who, c := range map[string]*caller{"the customer": j.customer.caller, "the transporter": j.crew.caller} {
			eventually(t, wait, who+" reads where the truck is", func() bool { // it is written once a second
				got := c.get("tracking/" + j.trip).ok().number("latitude")
				if got != lat && got != 0 && !slices.Contains(allowed, got) { // 0: there is none yet
					t.Fatalf("%s reads that the truck is at %v", who, got)
				}
				return got == lat
			})
		}
	}
}

func nobodyDrivesForAnother(t *testing.T, h *house) {
	mine, theirs := h.journey(t), h.journey(t)
	see := h.audience(t, theirs)
	own, foreign := theirs.driver.connect(), mine.driver.connect()
	mineSeen := mine.customer.watches(mine.trip, object{"trip": mine.trip})
	own.send(fix(1, time.Now(), 12.9716, 77.5946))
	see(12.9716)

	for _, forged := range []struct {
		member string
		value  string
		codes  []any
	}{
		{"driverId", theirs.crew.driverID, []any{"FORBIDDEN"}},
		{"trip", theirs.trip, []any{"NOT_FOUND", "FORBIDDEN"}},
	} {
		f := fix(1, time.Now(), 12.5, 77.5)
		f[forged.member] = forged.value
		foreign.send(f)
		if code := foreign.read("error")["code"]; !slices.Contains(forged.codes, code) {
			t.Errorf("a foreign %s: %v", forged.member, code)
		}
		delete(f, "t")
		foreign.send(object{"t": "fixes", "id": "b1", "fixes": []object{f}})
		if ack := foreign.read("ack"); ack["accepted"] != 0.0 || ack["invalid"] != 1.0 {
			t.Errorf("a batch with a foreign %s: %v", forged.member, ack)
		}
	}
	app := mine.driver.on("app").app()
	app.emit("update_location", object{"driverId": theirs.crew.driverID, "tripId": theirs.trip, "latitude": 12.5, "longitude": 77.5, "speed": 3, "bearing": 90})
	if e := app.event("error"); e["code"] != "FORBIDDEN" {
		t.Errorf("an app in another's name: %v", e)
	}
	body := object{"tripId": theirs.trip, "points": []object{{"latitude": 12.5, "longitude": 77.5, "speed": 3, "bearing": 90, "accuracy": 8, "timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000Z")}}}
	if a := mine.driver.post("tracking/batch", body); a.status != 404 && a.status != 403 {
		t.Errorf("a foreign batch: %d %s", a.status, a.body)
	}
	theirs.customer.post("tracking/batch", body).refused(403)

	own.send(fix(2, time.Now(), 12.9717, 77.5946))
	see(12.9717, 12.9716)
	// Nor has the forger's own truck moved by it.
	foreign.send(fix(2, time.Now(), 12.9718, 77.5946))
	mineSeen.at(mine.trip, 12.9718)
}

const nobody = "70000000-0000-4000-8000-000000000002"

func foreignTripsAreUnknown(t *testing.T, h *house) {
	mine, theirs := h.customer(t), h.journey(t)
	s, app := mine.connect(), mine.on("app").app()
	var said []string
	for _, trip := range []string{theirs.trip, nobody} {
		s.send(object{"t": "watch", "id": "w1", "trip": trip})
		e := s.read("error")
		a := mine.get("tracking/" + trip).refused(404)
		b := mine.post("trips/"+trip+"/share", nil).refused(404)
		app.emit("join_trip", trip)
		f := app.event("error")
		app.emit("join_trip", object{"tripId": trip}) // again
		if again := app.event("error"); again["code"] != f["code"] || again["message"] != f["message"] {
			t.Errorf("first %v, then %v", f, again)
		}
		said = append(said, fmt.Sprint(e["code"], e["message"], e["retryable"], a.content.Error.Code, a.content.Error.Message,
			b.content.Error.Code, b.content.Error.Message, f["code"], f["message"]))
	}
	if said[0] != said[1] || !strings.HasPrefix(said[0], "NOT_FOUND") {
		t.Errorf("foreign and unknown differ: %q", said)
	}
	theirs.customer.get("tracking/" + theirs.trip).ok()
	theirs.customer.watches(theirs.trip, object{"trip": theirs.trip})
}

func foreignDriversAreUnknown(t *testing.T, h *house) {
	boss, theirs := h.crew(t), h.journey(t)
	s := boss.connect()
	s.send(object{"t": "watch", "id": "w1", "trip": theirs.trip})
	if code := s.read("error")["code"]; code != "NOT_FOUND" {
		t.Errorf("a foreign trip: %v", code)
	}
	for _, path := range []string{"fleet/drivers/" + theirs.crew.driverID, "tracking/" + theirs.trip, "vehicles/" + theirs.crew.vehicleID} {
		boss.get(path).refused(404)
	}
	// A driver is seen in the list, on the map and by what is done with him; each knows one's own.
	theirs.driver.connect().send(fix(1, time.Now(), 12.9716, 77.5946))
	eventually(t, wait, "the driver is on his own fleet's map", func() bool {
		return strings.Contains(theirs.crew.get("tracking/fleet").ok().body, theirs.crew.driverID)
	})
	for _, path := range []string{"driver/list", "tracking/fleet"} {
		if a := boss.get(path).ok(); strings.Contains(a.body, theirs.crew.driverID) || strings.Contains(a.body, theirs.crew.driverPhone) {
			t.Errorf("a foreign driver is in %s: %s", path, a.body)
		}
		if a := theirs.crew.get(path).ok(); !strings.Contains(a.body, theirs.crew.driverID) {
			t.Errorf("the own driver is not in %s: %s", path, a.body)
		}
	}
	var said []string
	for _, driver := range []string{theirs.crew.driverID, nobody} {
		a := boss.ask(http.MethodDelete, "/api/v1/profile/drivers/"+driver, nil).refused(404)
		b := boss.post("assignments", object{
			"vehicleId": boss.vehicleID, "driverId": driver, "customerPhone": theirs.customer.phone,
			"pickup": place(12.9716, 77.5946, "MG Road, Bengaluru"), "drop": place(13.0827, 80.2707, "Chennai"),
		}).refused(404)
		said = append(said, fmt.Sprint(a.content.Error.Code, a.content.Error.Message, b.content.Error.Code, b.content.Error.Message))
	}
	if said[0] != said[1] {
		t.Errorf("foreign and unknown drivers differ: %q", said)
	}
	theirs.driver.me().ok()
	boss.ask(http.MethodDelete, "/api/v1/profile/drivers/"+boss.driverID, nil).ok()
}

func tooBigAndTooMany(t *testing.T, h *house) {
	c := h.crew(t)
	driver, healthy := c.driver(t), h.customer(t).connect()
	for who, size := range map[*caller]int{driver.caller: 40 << 10, h.customer(t).caller: 5 << 10, c.caller: 5 << 10} {
		s := who.connect()
		s.send(`{"t":"ping","x":"` + strings.Repeat("x", size) + `"}`)
		s.closed(1009, wait)
	}
	flooder := h.customer(t).connect()
	for range 30 {
		flooder.send(object{"t": "ping"})
	}
	told := false
	for {
		f, code, ok := flooder.frame(wait)
		if !ok {
			if code != 4429 || !told {
				t.Errorf("closed with %d, told before: %v", code, told)
			}
			break
		}
		told = told || f["code"] == "RATE_LIMITED"
	}
	for name, packet := range map[string]string{"pongs": "3", "unknown events": `42["nobody_knows",{}]`, "heartbeats": `42["heartbeat",{}]`} {
		app := driver.on("app " + name).app()
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		for range 20_000 {
			if app.conn.Write(ctx, websocket.MessageText, []byte(packet)) != nil {
				break // closed meanwhile
			}
		}
		cancel()
		app.closed(4429, wait)
	}
	healthy.alive()
	h.customer(t).me().ok()
}

func positionsThatCannotBe(t *testing.T, h *house) {
	j := h.journey(t)
	watcher, truck := j.customer.watches(j.trip, object{"trip": j.trip}), j.driver.connect()
	begun := time.Now()
	truck.send(fix(1, begun, 12.9716, 77.5946))
	watcher.at(j.trip, 12.9716)
	for _, refused := range []object{
		fix(2, begun.Add(time.Second), 91, 77.5946),
		fix(3, begun.Add(time.Second), 0, 0),
		fix(4, begun.Add(10*time.Minute), 12.9720, 77.5946),
	} {
		truck.send(refused)
		if code := truck.read("error")["code"]; code != "VALIDATION_ERROR" {
			t.Errorf("%v: %v", refused, code)
		}
	}
	truck.send(fix(5, begun.Add(10*time.Second), 17.4716, 77.5946)) // 500 km in 10 s
	truck.send(fix(6, begun.Add(11*time.Second), 12.9721, 77.5946))
	watcher.at(j.trip, 12.9721, 12.9716)
	app := j.driver.on("app").app()
	for _, lat := range []float64{91, 0} {
		app.emit("update_location", object{"tripId": j.trip, "latitude": lat, "longitude": 0, "speed": 3, "bearing": 90})
		app.event("error")
	}
	point := func(lat float64, after time.Duration) object {
		return object{"latitude": lat, "longitude": 77.5946, "speed": 3, "bearing": 90, "accuracy": 8, "timestamp": begun.Add(after).UTC().Format("2006-01-02T15:04:05.000Z")}
	}
	eventually(t, wait, "the customer reads where the truck is", func() bool { // it is written once a second
		return j.customer.get("tracking/"+j.trip).ok().number("latitude") == 12.9721
	})
	if n := j.driver.post("tracking/batch", object{"tripId": j.trip, "points": []object{point(91, time.Second)}}).ok().number("accepted"); n != 0 {
		t.Errorf("latitude 91 was accepted in a batch")
	}
	j.driver.post("tracking/batch", object{"tripId": j.trip, "points": []object{point(17.4716, 12*time.Second)}}).ok() // 500 km in a second
	if got := j.customer.get("tracking/" + j.trip).ok().number("latitude"); got != 12.9721 {
		t.Errorf("the customer reads that the truck is at %v", got)
	}
	truck.send(fix(7, begun.Add(13*time.Second), 12.9722, 77.5946))
	watcher.at(j.trip, 12.9722, 12.9721)
	truck.send(`{"t":"fix","n":8,"ts":` + fmt.Sprint(time.Now().UnixMilli()) + `,"lat":NaN,"lng":77.5946}`)
	truck.closed(4400, wait)
}

func foreignPagesAndTokensInURLs(t *testing.T, h *house) {
	who := h.customer(t)
	listed := pageOrigin
	if h.name == "dev" {
		listed = h.base
	}
	s, status := who.upgrade("/ws/v1", native, "Origin", listed)
	if s == nil {
		t.Fatalf("the listed page: %d", status)
	}
	for _, origin := range []string{"https://evil.example", "null", listed + ".evil.example", "https://evil.example/" + listed, "file://", "http://app.weelo.example", "https://sub.app.weelo.example"} {
		if _, status := who.upgrade("/ws/v1", native, "Origin", origin); status != http.StatusForbidden {
			t.Errorf("Origin %s: %d", origin, status)
		}
		if _, status := who.upgrade("/socket.io/?EIO=4&transport=websocket", nil, "Origin", origin); status != http.StatusForbidden {
			t.Errorf("Origin %s on Socket.IO: %d", origin, status)
		}
	}
	for _, name := range []string{"token", "access_token", "Token", "jwt", "ticket"} {
		if _, status := who.with("").upgrade("/ws/v1?"+name+"="+who.token, native); status != http.StatusBadRequest {
			t.Errorf("?%s=: %d", name, status)
		}
	}
	if _, status := who.with("").upgrade("/socket.io/?EIO=4&transport=websocket&token="+who.token, nil); status != http.StatusBadRequest {
		t.Errorf("?token= on Socket.IO: %d", status)
	}
	if _, status := who.with(who.token[:len(who.token)-3]).upgrade("/ws/v1", native); status != http.StatusUnauthorized {
		t.Errorf("a token that was cut: %d", status)
	}
	who.connect().alive()
}
