package ws_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/track"
)

// bubble runs a test on fake time.
func bubble(t *testing.T, f func(t *testing.T, s *server), options ...option) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, options...)
		f(t, s)
	})
}

func position(n int64) protocol.Position {
	now := time.Now().UnixMilli()
	return protocol.Position{
		TripID: "trip-1", OrderID: "o1", Transporter: "T1", Driver: "D1",
		Fix: track.Fix{N: n, TS: now, ReceivedMS: now, Lat: 12.9716, Lng: 77.5946, Speed: 11.2, HasSpeed: true, Accuracy: 8},
	}
}

func TestDriverSendsAndCustomerSees(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		driver := s.connect(t, "D1", fleet.Driver)
		driver.send(fmt.Sprintf(`{"t":"fix","n":7,"ts":%d,"lat":12.971600,"lng":77.594600,"acc":8,"speed":11.2,"bearing":null,"mock":false,"trip":"trip-1"}`, time.Now().UnixMilli()))
		synctest.Wait()
		want := track.Fix{N: 7, TS: time.Now().UnixMilli(), ReceivedMS: time.Now().UnixMilli(), Lat: 12.9716, Lng: 77.5946, Accuracy: 8, Speed: 11.2, HasSpeed: true}
		if d := cmp.Diff([]track.Fix{want}, s.reported); d != "" {
			t.Errorf("reported (-want +got):\n%s", d)
		}
		if d := cmp.Diff([]track.Fix{want}, s.noted); d != "" {
			t.Errorf("noted (-want +got):\n%s", d)
		}

		customer := s.connect(t, "C1", fleet.Customer)
		customer.send(`{"t":"watch","id":"w1","trip":"trip-1"}`)
		if v := customer.readJSON("trip"); v["watch"] != "w1" || v["status"] != "in_transit" {
			t.Errorf("trip %v", v)
		}
		synctest.Wait()
		s.hub.Position(position(7))
		p := customer.readJSON("pos")["p"].([]any)[0].(map[string]any)
		if p["trip"] != "trip-1" || p["n"] != 7.0 || p["lat"] != 12.9716 {
			t.Errorf("pos %v", p)
		}
		customer.send(`{"t":"unwatch","id":"w1"}`)
		synctest.Wait()
		s.hub.Position(position(8))
		customer.send(`{"t":"ping"}`)
		customer.readJSON("pong")
	})
}

func TestWelcome(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.open(t)
		p.send(fmt.Sprintf(`{"t":"hello","token":%q,"device":"phone","unknown":[{}]}`, s.login("D1", fleet.Driver, time.Hour)))
		w := p.readJSON("welcome")
		if len(w["conn"].(string)) != 16 {
			t.Errorf("conn %v", w["conn"])
		}
		delete(w, "conn")
		now := float64(time.Now().UnixMilli())
		want := map[string]any{
			"t": "welcome", "user": "D1", "role": "driver", "stream": "s1", "head": 0.0, "mode": "live",
			"expMs": now + 3600_000, "serverMs": now, "pingMs": 25000.0, "staleMs": 60000.0,
			"report": map[string]any{"movingMs": 5000.0, "idleMs": 30000.0}, "trip": "trip-1", "lastFixMs": 1700000000000.0,
		}
		if d := cmp.Diff(want, w); d != "" {
			t.Errorf("welcome (-want +got):\n%s", d)
		}
	})
}

func (p *parts) deliver(n int64) protocol.Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := ledger.Event{ID: fmt.Sprint("e", n), Type: "trip_status", PayloadVersion: 1, At: time.Now(), TripID: "trip-1", Data: []byte(`{"status":"in_transit"}`)}
	p.inbox = append(p.inbox, ledger.InboxEntry{Seq: n, Event: e})
	return protocol.Delivery{Event: e, Numbers: map[string]int64{"C1": n}}
}

func TestResumeAndReplay(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		s.deliver(1)
		s.deliver(2)
		p := s.open(t)
		p.send(fmt.Sprintf(`{"t":"hello","token":%q,"resume":{"stream":"s1","seq":1}}`, s.login("C1", fleet.Customer, time.Hour)))
		if w := p.readJSON("welcome"); w["mode"] != "replay" || w["head"] != 2.0 {
			t.Errorf("welcome %v", w)
		}
		if e := p.readJSON("event"); e["seq"] != 2.0 || e["replayed"] != true {
			t.Errorf("event %v", e)
		}
		if e := p.readJSON("synced"); e["seq"] != 2.0 {
			t.Errorf("synced %v", e)
		}
		s.hub.Deliver([]protocol.Delivery{s.deliver(3)})
		if e := p.readJSON("event"); e["seq"] != 3.0 || e["replayed"] != nil {
			t.Errorf("event %v", e)
		}
		p.send(`{"t":"replay","from":3}`)
		if e := p.readJSON("event"); e["seq"] != 3.0 || e["replayed"] != true {
			t.Errorf("event %v", e)
		}
		p.readJSON("synced")
		p.send(`{"t":"seen","seq":3}`)

		other := s.open(t)
		other.send(fmt.Sprintf(`{"t":"hello","token":%q,"device":"tablet","resume":{"stream":"s0","seq":3}}`, s.login("T2", fleet.Transporter, time.Hour)))
		if w := other.readJSON("welcome"); w["mode"] != "resync" {
			t.Errorf("welcome %v", w)
		}
		if v := other.readJSON("trip"); v["watch"] != nil || v["trip"] != "trip-1" {
			t.Errorf("trip %v", v)
		}
		if o := other.readJSON("offer"); o["id"] != "offer-1" || o["open"] != true {
			t.Errorf("offer %v", o)
		}
		other.readJSON("synced")
	})
}

func TestBatchIsAcknowledgedAfterItsCommit(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "D1", fleet.Driver)
		now := time.Now().UnixMilli()
		fix := func(at int64, rest string) string {
			return fmt.Sprintf(`{"n":1,"ts":%d,"lat":12.9,"lng":77.5%s}`, now-at, rest)
		}
		p.send(`{"t":"fixes","id":"b1","fixes":[` + strings.Join([]string{
			fix(2000, `,"driverId":"D1"`), fix(1000, `,"trip":"foreign"`), `{"lat":"12"}`, fix(0, `,"acc":5`), `7`, fix(500, `,"driverId":"D2"`),
		}, ",") + `]}`)
		want := map[string]any{
			"t": "ack", "re": "b1", "accepted": 2.0, "duplicate": 0.0, "stale": 0.0, "invalid": 4.0,
			"invalidAt": []any{1.0, 2.0, 4.0, 5.0}, "lastFixMs": float64(now),
		}
		if d := cmp.Diff(want, p.readJSON("ack")); d != "" {
			t.Errorf("ack (-want +got):\n%s", d)
		}
		if len(s.recorded[""]) != 2 || len(s.reported) != 1 || s.reported[0].TS != now {
			t.Errorf("recorded %v, reported %v", s.recorded, s.reported)
		}
		s.mu.Lock()
		s.failing = true
		s.mu.Unlock()
		p.send(`{"t":"fixes","id":"b2","fixes":[` + fix(0, "") + `]}`)
		if e := p.readJSON("error"); e["re"] != "b2" || e["code"] != "BUSY" || e["retryable"] != true {
			t.Errorf("error %v", e)
		}
	})
}

func TestAuthProlongs(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.open(t)
		p.send(fmt.Sprintf(`{"t":"hello","token":%q}`, s.login("C1", fleet.Customer, time.Minute)))
		p.readJSON("welcome")
		p.send(fmt.Sprintf(`{"t":"auth","token":%q}`, s.login("C1", fleet.Customer, time.Hour)))
		if a := p.readJSON("authed"); a["expMs"] != float64(time.Now().Add(time.Hour).UnixMilli()) {
			t.Errorf("authed %v", a)
		}
		p.send(`{"t":"auth","token":"nonsense"}`)
		if e := p.readJSON("error"); e["code"] != "INVALID_TOKEN" {
			t.Errorf("error %v", e)
		}
		p.send(fmt.Sprintf(`{"t":"auth","token":%q}`, s.login("C2", fleet.Customer, time.Hour)))
		if code, _ := p.end(); code != 4403 {
			t.Errorf("close code %d", code)
		}
	})
}

func TestWatches(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "T1", fleet.Transporter)
		for _, frame := range []string{
			`{"t":"watch","id":"w1","trip":"foreign"}`, `{"t":"watch","id":"w1","trip":"unknown"}`, `{"t":"watch","id":"w1","order":"foreign"}`,
		} {
			p.send(frame)
			want := map[string]any{"t": "error", "re": "w1", "code": "NOT_FOUND", "message": "There is no such trip.", "retryable": false}
			if d := cmp.Diff(want, p.readJSON("error")); d != "" {
				t.Errorf("%s (-want +got):\n%s", frame, d)
			}
		}
		p.send(`{"t":"watch","id":"f","fleet":true}`)
		p.readJSON("trip")
		p.send(`{"t":"watch","id":"w1","trip":"trip-1"}`)
		p.readJSON("trip")
		p.send(`{"t":"watch","id":"a","all":true}`)
		if e := p.readJSON("error"); e["code"] != "FORBIDDEN" {
			t.Errorf("error %v", e)
		}
		synctest.Wait()
		s.hub.TripEnded(protocol.TripEnded{TripID: "trip-1", Reason: "ended"})
		if u := p.readJSON("unwatched"); u["watch"] != "w1" || u["reason"] != "ended" {
			t.Errorf("unwatched %v", u)
		}
	})
}

func TestGoAway(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "C1", fleet.Customer)
		if err := s.hub.Drain(t.Context(), time.Second, 1800*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if g := p.readJSON("goaway"); g["reconnectMs"] != 1800.0 {
			t.Errorf("goaway %v", g)
		}
		if code, _ := p.end(); code != 1012 {
			t.Errorf("close code %d", code)
		}
		_, r, err := s.dial(t, url, nil)
		if err == nil || r.StatusCode != 503 {
			t.Errorf("a draining server accepted a socket: %v", err)
		}
	})
}

// TestATripIsLookedUpBesideTheFrames: naming a trip costs one look-up, then one every 30 s.
func TestATripIsLookedUpBesideTheFrames(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "D1", fleet.Driver)
		go p.end()
		for range 200 {
			p.send(fmt.Sprintf(`{"t":"fix","ts":%d,"lat":12.9,"lng":77.5,"trip":"trip-1"}`, time.Now().UnixMilli()))
			wait(500 * time.Millisecond)
		}
		synctest.Wait()
		if len(s.reported) != 200 {
			t.Errorf("%d fixes reported", len(s.reported))
		}
		if s.lookups < 3 || s.lookups > 4 {
			t.Errorf("%d look-ups in 100 s", s.lookups)
		}
		_ = p.conn.CloseNow()
	})
}

// TestForeignTripsAreNotLookedUpAtTheRateOfFixes: each unknown trip costs what another message costs.
func TestForeignTripsAreNotLookedUpAtTheRateOfFixes(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "D1", fleet.Driver)
		go func() {
			for n := range 100 {
				frame := fmt.Sprintf(`{"t":"fix","ts":%d,"lat":12.9,"lng":77.5,"trip":"trip-%d"}`, time.Now().UnixMilli(), n+2)
				if p.conn.Write(context.Background(), websocket.MessageText, []byte(frame)) != nil {
					return
				}
			}
		}()
		code, before := p.end()
		if code != 4429 || len(before) != 23 {
			t.Errorf("closed with %d after %d frames, want 20 unknown trips and 3 refusals", code, len(before))
		}
		if s.lookups != 20 || s.changed() {
			t.Errorf("%d look-ups, reported %v", s.lookups, s.reported)
		}
	})
}
