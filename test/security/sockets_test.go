package security

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
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
	s.closed(4408, 8*time.Second)
	if took := time.Since(begun); took < 4*time.Second || took > 6*time.Second {
		t.Errorf("closed after %v", took)
	}
}

// fix is a position as a phone sends it.
func fix(n int, ts time.Time, lat, lng float64) object {
	return object{"t": "fix", "n": n, "ts": ts.UnixMilli(), "lat": lat, "lng": lng, "acc": 8, "speed": 3, "bearing": 90, "mock": false}
}

// at waits until the watcher sees a latitude, and fails when it sees one that is not allowed before.
func (s *socket) at(lat float64, allowed ...float64) {
	s.t.Helper()
	for {
		positions, _ := s.read("pos")["p"].([]any)
		for _, p := range positions {
			got, _ := p.(object)["lat"].(float64)
			if got == lat {
				return
			}
			if !slices.Contains(allowed, got) {
				s.t.Fatalf("the truck is shown at %v", got)
			}
		}
	}
}

func nobodyDrivesForAnother(t *testing.T, h *house) {
	mine, theirs := h.journey(t), h.journey(t)
	watcher, own, foreign := theirs.customer.connect(), theirs.driver.connect(), mine.driver.connect()
	watcher.send(object{"t": "watch", "id": "w1", "trip": theirs.trip})
	watcher.read("trip")
	own.send(fix(1, time.Now(), 12.9716, 77.5946))
	watcher.at(12.9716)
	for name, value := range map[string]string{"trip": theirs.trip, "driverId": theirs.crew.driverID} {
		f := fix(1, time.Now(), 12.5, 77.5)
		f[name] = value
		foreign.send(f)
		if name == "trip" {
			if code := foreign.read("error")["code"]; code != "NOT_FOUND" && code != "FORBIDDEN" {
				t.Errorf("a foreign %s: %v", name, code)
			}
		}
	}
	body := object{"tripId": theirs.trip, "points": []object{{"latitude": 12.5, "longitude": 77.5, "speed": 3, "bearing": 90, "accuracy": 8, "timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000Z")}}}
	if a := mine.driver.post("tracking/batch", body); a.status != 404 && a.status != 403 {
		t.Errorf("a foreign batch: %d %s", a.status, a.body)
	}
	theirs.customer.post("tracking/batch", body).refused(403)
	own.send(fix(2, time.Now(), 12.9717, 77.5946))
	watcher.at(12.9717, 12.9716)
}

const nobody = "70000000-0000-4000-8000-000000000002"

func foreignTripsAreUnknown(t *testing.T, h *house) {
	mine, theirs := h.customer(t), h.journey(t)
	s := mine.connect()
	var said []string
	for _, trip := range []string{theirs.trip, nobody} {
		s.send(object{"t": "watch", "id": "w1", "trip": trip})
		e := s.read("error")
		said = append(said, fmt.Sprint(e["code"], e["message"], e["retryable"]))
		a := mine.get("tracking/" + trip).refused(404)
		said = append(said, a.content.Error.Code+a.content.Error.Message)
	}
	if said[0] != said[2] || said[1] != said[3] || !strings.HasPrefix(said[0], "NOT_FOUND") {
		t.Errorf("foreign and unknown differ: %q", said)
	}
	theirs.customer.get("tracking/" + theirs.trip).ok()
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
	if a := boss.get("tracking/fleet").ok(); strings.Contains(a.body, theirs.crew.driverID) {
		t.Error("a foreign driver is in the fleet")
	}
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
	healthy.alive()
	h.customer(t).me().ok()
}

func positionsThatCannotBe(t *testing.T, h *house) {
	j := h.journey(t)
	watcher, truck := j.customer.connect(), j.driver.connect()
	watcher.send(object{"t": "watch", "id": "w1", "trip": j.trip})
	watcher.read("trip")
	begun := time.Now()
	truck.send(fix(1, begun, 12.9716, 77.5946))
	watcher.at(12.9716)
	truck.send(fix(2, begun.Add(time.Second), 91, 77.5946))
	truck.send(fix(3, begun.Add(time.Second), 0, 0))
	truck.send(fix(4, begun.Add(10*time.Minute), 12.9720, 77.5946))
	truck.send(fix(5, begun.Add(10*time.Second), 17.4716, 77.5946)) // 500 km in 10 s
	truck.send(fix(6, begun.Add(11*time.Second), 12.9721, 77.5946))
	watcher.at(12.9721, 12.9716)
	truck.send(`{"t":"fix","n":7,"ts":` + fmt.Sprint(time.Now().UnixMilli()) + `,"lat":NaN,"lng":77.5946}`)
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
