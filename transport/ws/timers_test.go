package ws_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"weelo/internal/fleet"
	"weelo/transport/door"
	"weelo/transport/ws"
)

// wait lets d pass on the clock of the bubble.
func wait(d time.Duration) { <-time.After(d) }

func TestNoHelloIsATimeout(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		start := time.Now()
		code, _ := s.open(t).end()
		if took := time.Since(start); code != 4408 || took != 5*time.Second {
			t.Errorf("closed with %d after %s", code, took)
		}
	})
}

// Strangers hold so many connections and no more; whoever says who he is, or is gone, makes room.
func TestStrangersAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		first, second := s.open(t), s.open(t)
		refused := func() bool {
			_, r, err := s.dial(t, url, nil, "weelo.v1")
			return err != nil && r != nil && r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != ""
		}
		if !refused() || s.refusals("SERVER_AT_CAPACITY") != 1 {
			t.Fatal("a third stranger was let in")
		}
		first.send(fmt.Sprintf(`{"t":"hello","token":%q}`, s.login("C1", fleet.Customer, time.Hour)))
		first.readJSON("welcome")
		third := s.open(t)
		if !refused() {
			t.Fatal("a fourth while two wait")
		}
		for _, c := range []*peer{second, third} {
			if code, _ := c.end(); code != 4408 {
				t.Errorf("closed with %d", code)
			}
		}
		synctest.Wait()
		s.open(t)
	}, func(c *ws.Config) { c.MaxUnnamed = 2 })
}

// TestStrangersOfOneAddressAreBounded: one address cannot take everybody's places. Who says who he is, at the
// upgrade or in the hello, who is refused and who is too late makes room.
func TestStrangersOfOneAddressAreBounded(t *testing.T) {
	lobby := door.NewLobby(func(r *http.Request) netip.Addr {
		a, _ := netip.ParseAddr(r.Header.Get("From"))
		return a
	}, nil)
	bubble(t, func(t *testing.T, s *server) {
		from := func(address string, more ...string) (*peer, *http.Response) {
			h := http.Header{"From": {address}}
			if len(more) > 0 {
				h.Set("Authorization", "Bearer "+more[0])
			}
			c, r, err := s.dial(t, url, h, "weelo.v1")
			if err != nil {
				return nil, r
			}
			t.Cleanup(func() { _ = c.CloseNow() })
			return &peer{t, c}, nil
		}
		full := func() bool {
			p, r := from("203.0.113.7")
			return p == nil && r.StatusCode == http.StatusTooManyRequests && r.Header.Get("Retry-After") == "5"
		}
		waiting := make([]*peer, door.PerAddress)
		for i := range waiting {
			if waiting[i], _ = from("203.0.113.7"); waiting[i] == nil {
				t.Fatalf("stranger %d was refused", i)
			}
		}
		if !full() || s.refusals("RATE_LIMIT_EXCEEDED") != 1 {
			t.Fatal("one too many was let in")
		}
		if p, _ := from("203.0.113.8"); p == nil {
			t.Error("another address was refused")
		}
		waiting[0].send(fmt.Sprintf(`{"t":"hello","token":%q}`, s.login("C1", fleet.Customer, time.Hour)))
		waiting[0].readJSON("welcome")
		named, _ := from("203.0.113.7", s.login("C2", fleet.Customer, time.Hour)) // takes the place and gives it back at once
		if named == nil {
			t.Fatal("no place for the one who had said who he is")
		}
		if p, _ := from("203.0.113.7"); p == nil || !full() {
			t.Fatal("not one place was free")
		}
		if p, r := from("203.0.113.8", "forged"); p != nil || r.StatusCode != http.StatusUnauthorized {
			t.Error("a forged token was let in")
		}
		for _, c := range waiting[1:] {
			if code, _ := c.end(); code != 4408 {
				t.Errorf("closed with %d", code)
			}
		}
		wait(4 * ws.HelloWait) // some do not read the close that is sent to them
		synctest.Wait()
		if lobby.Waiting() != 0 {
			t.Errorf("%d addresses are still kept", lobby.Waiting())
		}
	}, func(c *ws.Config) { c.Lobby = lobby })
}

func TestSilenceIsATimeout(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		c, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{
			HTTPClient: s.client(), Subprotocols: []string{"weelo.v1"},
			OnPingReceived: func(context.Context, []byte) bool { return false }, // never answered
		})
		if err != nil {
			t.Fatal(err)
		}
		p := &peer{t, c}
		p.send(fmt.Sprintf(`{"t":"hello","token":%q}`, s.login("C1", fleet.Customer, time.Hour)))
		p.readJSON("welcome")
		ended := make(chan int)
		go func() {
			code, _ := p.end()
			ended <- code
		}()
		wait(44 * time.Second)
		if s.hub.Count() != 1 {
			t.Fatal("closed too early")
		}
		wait(2 * time.Second)
		synctest.Wait()
		if s.hub.Count() != 0 {
			t.Error("still there after 46 s of silence")
		}
		if code := <-ended; code != 4408 {
			t.Errorf("close code %d", code)
		}
	})
}

func TestPongsKeepASocketAndPresence(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "D1", fleet.Driver)
		ctx := p.conn.CloseRead(t.Context())
		wait(10 * time.Minute)
		synctest.Wait()
		if ctx.Err() != nil || s.hub.Count() != 1 {
			t.Error("closed although it answered pings")
		}
		if s.beats < 20 || s.beats > 25 {
			t.Errorf("%d beats in 10 minutes", s.beats)
		}
		_ = p.conn.CloseNow()
		synctest.Wait()
		if s.attached != 0 || s.hub.Count() != 0 {
			t.Errorf("after the close: %d attached, %d sockets", s.attached, s.hub.Count())
		}
	})
}

func TestExpiredTokenEndsTheSocketAfterItsGrace(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.open(t)
		start := time.Now()
		p.send(fmt.Sprintf(`{"t":"hello","token":%q}`, s.login("C1", fleet.Customer, time.Minute)))
		p.readJSON("welcome")
		code, _ := p.end()
		if took := time.Since(start); code != 4401 || took < 90*time.Second || took > 92*time.Second {
			t.Errorf("closed with %d after %s", code, took)
		}
	})
}

func TestFixesBeyondTheRateAreCoalesced(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "D1", fleet.Driver)
		for n := range 100 {
			p.send(fmt.Sprintf(`{"t":"fix","n":%d,"ts":%d,"lat":12.9,"lng":77.5}`, n+1, time.Now().UnixMilli()))
		}
		wait(time.Second)
		synctest.Wait()
		if n := len(s.reported); n != 31 {
			t.Errorf("%d fixes reported, want 30 and the newest of the rest", n)
		}
		if last := s.reported[len(s.reported)-1]; last.N != 100 {
			t.Errorf("the last one reported is %d, want the newest", last.N)
		}
		p.send(`{"t":"ping"}`)
		p.readJSON("pong")
	})
}

func TestOtherMessagesBeyondTheRateEndTheSocket(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "C1", fleet.Customer)
		go func() {
			for range 30 {
				if p.conn.Write(context.Background(), websocket.MessageText, []byte(`{"t":"ping"}`)) != nil {
					return
				}
			}
		}()
		code, before := p.end()
		pongs, limited := 0, 0
		for _, f := range before {
			switch {
			case strings.Contains(f, `"pong"`):
				pongs++
			case strings.Contains(f, "RATE_LIMITED"):
				limited++
			}
		}
		if code != 4429 || pongs != 20 || limited != 3 {
			t.Errorf("closed with %d after %d pongs and %d refusals", code, pongs, limited)
		}
	})
}

func TestErrorsAreMetered(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "D1", fleet.Driver)
		go func() {
			for range 100 {
				if p.conn.Write(context.Background(), websocket.MessageText, []byte(`{"t":"fix","lat":91,"lng":0}`)) != nil {
					return
				}
			}
		}()
		code, before := p.end()
		if code != 4429 || len(before) != 23 {
			t.Errorf("closed with %d after %d frames", code, len(before))
		}
	})
}

func TestRateIsForgivenAfterAMinute(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "C1", fleet.Customer)
		go p.end()
		for range 4 {
			for range 21 {
				p.send(`{"t":"ping"}`)
			}
			wait(31 * time.Second)
		}
		if s.refusals("RATE_LIMITED") != 4 || s.hub.Count() != 1 {
			t.Errorf("refusals %v, sockets %d", s.refused, s.hub.Count())
		}
		_ = p.conn.CloseNow()
	})
}

func TestLimitsOff(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "D1", fleet.Driver)
		for n := range 1000 {
			p.send(fmt.Sprintf(`{"t":"fix","n":%d,"ts":%d,"lat":12.9,"lng":77.5}`, n+1, time.Now().UnixMilli()))
		}
		for range 50 {
			p.send(`{"t":"ping"}`)
			p.readJSON("pong")
		}
		if len(s.reported) != 1000 {
			t.Errorf("%d fixes reported", len(s.reported))
		}
	}, unlimited)
}

func TestControlPingsAreMetered(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "C1", fleet.Customer)
		go func() {
			for range 20 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				_ = p.conn.Ping(ctx)
				cancel()
			}
		}()
		if code, _ := p.end(); code != 4429 {
			t.Errorf("close code %d", code)
		}
	})
}

func TestReplacedBySameDevice(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		old := s.connect(t, "D1", fleet.Driver)
		s.connect(t, "D1", fleet.Driver)
		if code, _ := old.end(); code != 4409 {
			t.Errorf("close code %d", code)
		}
		synctest.Wait()
		if s.attached != 1 {
			t.Errorf("%d links attached", s.attached)
		}
	})
}

func TestRevocationEndsTheSession(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "C1", fleet.Customer)
		s.hub.Disconnect("C1", "another", 4401, "revoked")
		p.send(`{"t":"ping"}`)
		p.readJSON("pong")
		s.hub.Disconnect("C1", "sid-C1", 4401, "revoked")
		if code, _ := p.end(); code != 4401 {
			t.Errorf("close code %d", code)
		}
	})
}

// TestRevocationBeforeTheHello: the token was good at the upgrade and is not any more at the hello.
func TestRevocationBeforeTheHello(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		c, _, err := s.dial(t, url, http.Header{"Authorization": {"Bearer " + s.login("C1", fleet.Customer, time.Hour)}})
		if err != nil {
			t.Fatal(err)
		}
		p := &peer{t, c}
		s.mu.Lock()
		s.over["sid-C1"] = true
		s.mu.Unlock()
		s.hub.Disconnect("C1", "sid-C1", 4401, "revoked") // finds nobody
		p.send(`{"t":"hello"}`)
		if code, before := p.end(); code != 4401 {
			t.Errorf("close code %d after %q", code, before)
		}
	})
}

func TestSlowReaderIsEnded(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "C1", fleet.Customer)
		synctest.Wait()
		s.hub.Notify("C1", "driver_connectivity", map[string]any{"big": strings.Repeat("x", 1000)})
		wait(7 * time.Second) // nobody reads
		synctest.Wait()
		wait(10 * time.Second)
		synctest.Wait()
		if s.hub.Count() != 0 {
			t.Error("a reader that takes nothing for 5 s is still there")
		}
		_ = p.conn.CloseNow()
	})
}

// TestABugEndsOneConnectionOnly: a port that panics costs its own connection.
func TestABugEndsOneConnectionOnly(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		other := s.connect(t, "C2", fleet.Customer)
		p := s.connect(t, "D1", fleet.Driver)
		s.mu.Lock()
		s.recorded = nil // the fake writes into it
		s.mu.Unlock()
		p.send(fmt.Sprintf(`{"t":"fixes","id":"b","fixes":[{"ts":%d,"lat":12.9,"lng":77.5}]}`, time.Now().UnixMilli()))
		if code, _ := p.end(); code != 1011 {
			t.Errorf("close code %d", code)
		}
		other.send(`{"t":"ping"}`)
		other.readJSON("pong")
		synctest.Wait()
		if s.hub.Count() != 1 || s.attached != 0 {
			t.Errorf("%d sockets, %d drivers attached", s.hub.Count(), s.attached)
		}
	})
}
