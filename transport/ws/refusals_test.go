package ws_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"weelo/internal/fleet"
)

func TestUpgradeIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		url       string
		header    http.Header
		protocols []string
		status    int
		code      string
	}{
		{name: "a refresh token in the query", url: url + "?refreshToken=x", status: 400, code: "TOKEN_IN_QUERY"},
		{name: "token in the query", url: url + "?token=x", status: 400, code: "TOKEN_IN_QUERY"},
		{name: "access_token in the query", url: url + "?x=1&Access_Token=x", status: 400, code: "TOKEN_IN_QUERY"},
		{name: "a ticket in the query", url: url + "?ticket=x", status: 400, code: "TOKEN_IN_QUERY"},
		{name: "a JWT in the query", url: url + "?JWT=x", status: 400, code: "TOKEN_IN_QUERY"},
		{name: "another host", url: "ws://evil.example/ws/v1", status: 403, code: "HOST_NOT_ALLOWED"},
		{name: "another page", header: http.Header{"Origin": {"https://evil.example"}}, status: 403, code: "ORIGIN_NOT_ALLOWED"},
		{name: "a page without TLS", header: http.Header{"Origin": {"http://weelo.test"}}, status: 403, code: "ORIGIN_NOT_ALLOWED"},
		{name: "a file", header: http.Header{"Origin": {"null"}}, status: 403, code: "ORIGIN_NOT_ALLOWED"},
		{name: "no subprotocol", protocols: []string{"other"}, status: 400, code: "SUBPROTOCOL_REQUIRED"},
		{name: "a forged token", header: http.Header{"Authorization": {"Bearer forged"}}, status: 401, code: "INVALID_TOKEN"},
		{name: "another scheme", header: http.Header{"Authorization": {"Basic eA=="}}, status: 401, code: "INVALID_TOKEN"},
		{name: "an unknown ticket", protocols: []string{"weelo.v1", "ticket.x"}, status: 401, code: "INVALID_TICKET"},
		{name: "an empty ticket", protocols: []string{"weelo.v1", "ticket."}, status: 401, code: "INVALID_TICKET"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *server) {
				to := tt.url
				if to == "" {
					to = url
				}
				_, r, err := s.dial(t, to, tt.header, tt.protocols...)
				if err == nil {
					t.Fatal("accepted")
				}
				var body struct {
					Success bool
					Error   struct{ Code, Message string }
				}
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					t.Fatal(err)
				}
				if r.StatusCode != tt.status || body.Error.Code != tt.code || body.Error.Message == "" || body.Success {
					t.Errorf("answered %d %+v, want %d %s", r.StatusCode, body, tt.status, tt.code)
				}
				if s.refusals(tt.code) != 1 || s.hub.Count() != 0 {
					t.Errorf("counted %v, %d sockets", s.refused, s.hub.Count())
				}
			})
		})
	}
}

// A request that asks for no socket is told so in the envelope.
func TestNoUpgradeAtAll(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://weelo.test/ws/v1", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusUpgradeRequired || res.Header.Get("Upgrade") != "websocket" || !strings.Contains(string(text), `"UPGRADE_REQUIRED"`) {
			t.Errorf("%d %v %s %v", res.StatusCode, res.Header, text, err)
		}
	})
}

func TestUpgradeIsAccepted(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		secret := s.login("C1", fleet.Customer, time.Hour)
		s.tickets["x"] = s.tokens[secret]
		for name, h := range map[string]http.Header{
			"a listed page": {"Origin": {"https://weelo.test"}, "Authorization": {"Bearer " + secret}},
			"an app":        {"Authorization": {"bearer " + secret}},
		} {
			c, _, err := s.dial(t, url, h)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			p := &peer{t, c}
			p.send(`{"t":"hello"}`)
			p.readJSON("welcome")
			_ = c.CloseNow()
		}
		c, r, err := s.dial(t, url, nil, "weelo.v1", "ticket.x")
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Header.Get("Sec-WebSocket-Protocol"); got != "weelo.v1" {
			t.Errorf("subprotocol %q", got)
		}
		p := &peer{t, c}
		p.send(`{"t":"hello","device":"browser"}`)
		p.readJSON("welcome")
		_ = c.CloseNow()
		if _, _, err := s.dial(t, url, nil, "weelo.v1", "ticket.x"); err == nil {
			t.Error("a ticket was accepted twice")
		}
	})
}

// TestBadFrames: every bad frame has its error frame or its close code, is counted, and changes nothing.
func TestBadFrames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5<<10)
	fix := func(members string) string {
		return fmt.Sprintf(`{"t":"fix","n":1,"ts":%d,%s}`, time.Now().UnixMilli(), members)
	}
	const place = `"lat":12.9,"lng":77.5`
	tests := []struct {
		name  string
		role  fleet.Role
		frame string
		code  string // of the error frame
		close int
	}{
		{name: "not JSON", frame: `hello`, close: 4400},
		{name: "empty", frame: ``, close: 4400},
		{name: "cut off", frame: `{"t":"ping"`, close: 4400},
		{name: "trailing data", frame: `{"t":"ping"}{}`, close: 4400},
		{name: "duplicate key", frame: `{"t":"watch","id":"w1","id":"w2","trip":"trip-1"}`, close: 4400},
		{name: "duplicate t", frame: `{"t":"ping","t":"fix"}`, close: 4400},
		{name: "duplicate key by escape", frame: `{"t":"ping","\u0074":"fix"}`, close: 4400},
		{name: "not UTF-8", frame: "{\"t\":\"ping\",\"x\":\"\xff\"}", close: 4400},
		{name: "no t", frame: `{"id":"w1"}`, close: 4400},
		{name: "t of a wrong type", frame: `{"t":7}`, close: 4400},
		{name: "a list", frame: `[]`, close: 4400},
		{name: "too deep", frame: `{"t":"ping","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, close: 4400},
		{name: "unknown t", frame: `{"t":"accept","trip":"trip-1"}`, code: "UNKNOWN_TYPE"},
		{name: "t by case", frame: `{"t":"Ping"}`, code: "UNKNOWN_TYPE"},
		{name: "second hello", frame: `{"t":"hello","token":"x"}`, code: "ALREADY_AUTHENTICATED"},
		{name: "watch without id", frame: `{"t":"watch","trip":"trip-1"}`, code: "VALIDATION_ERROR"},
		{name: "watch of nothing", frame: `{"t":"watch","id":"w"}`, code: "VALIDATION_ERROR"},
		{name: "watch of two", frame: `{"t":"watch","id":"w","trip":"a","order":"b"}`, code: "VALIDATION_ERROR"},
		{name: "watch id of a wrong type", frame: `{"t":"watch","id":7,"trip":"a"}`, code: "VALIDATION_ERROR"},
		{name: "watch id too long", frame: `{"t":"watch","id":"` + strings.Repeat("w", 65) + `","trip":"a"}`, code: "VALIDATION_ERROR"},
		{name: "foreign trip", frame: `{"t":"watch","id":"w","trip":"foreign"}`, code: "NOT_FOUND"},
		{name: "unknown watch", frame: `{"t":"unwatch","id":"w"}`, code: "NOT_FOUND"},
		{name: "replay from the future", frame: `{"t":"replay","from":99}`, code: "REPLAY_UNAVAILABLE"},
		{name: "replay from nothing", frame: `{"t":"replay","from":0}`, code: "VALIDATION_ERROR"},
		{name: "replay from a fraction", frame: `{"t":"replay","from":1.5}`, code: "VALIDATION_ERROR"},
		{name: "seen of a wrong type", frame: `{"t":"seen","seq":"1"}`, code: "VALIDATION_ERROR"},
		{name: "customer sends a fix", frame: fix(place), code: "FORBIDDEN"},
		{name: "customer sends a batch", frame: `{"t":"fixes","id":"b","fixes":[{"ts":1,` + place + `}]}`, code: "FORBIDDEN"},
		{name: "customer watches a fleet", frame: `{"t":"watch","id":"w","fleet":true}`, code: "FORBIDDEN"},
		{name: "customer sends 5 KiB", frame: `{"t":"ping","x":"` + long + `"}`, close: 1009},
		{name: "driver sends 40 KiB", role: fleet.Driver, frame: `{"t":"ping","x":"` + strings.Repeat(long, 8) + `"}`, close: 1009},
		{name: "latitude 91", role: fleet.Driver, frame: fix(`"lat":91,"lng":77.5`), code: "VALIDATION_ERROR"},
		{name: "longitude -181", role: fleet.Driver, frame: fix(`"lat":12,"lng":-181`), code: "VALIDATION_ERROR"},
		{name: "latitude as text", role: fleet.Driver, frame: fix(`"lat":"12","lng":77.5`), code: "VALIDATION_ERROR"},
		{name: "latitude as the word NaN", role: fleet.Driver, frame: fix(`"lat":NaN,"lng":77.5`), close: 4400},
		{name: "no latitude", role: fleet.Driver, frame: fix(`"lng":77.5`), code: "VALIDATION_ERROR"},
		{name: "0,0", role: fleet.Driver, frame: fix(`"lat":0,"lng":0.0`), code: "VALIDATION_ERROR"},
		{name: "ten minutes ahead", role: fleet.Driver, frame: fmt.Sprintf(`{"t":"fix","n":1,"ts":%d,%s}`, time.Date(2000, 1, 1, 0, 10, 0, 0, time.UTC).UnixMilli(), place), code: "VALIDATION_ERROR"},
		{name: "bearing 361", role: fleet.Driver, frame: fix(place + `,"bearing":361`), code: "VALIDATION_ERROR"},
		{name: "somebody else's trip", role: fleet.Driver, frame: fix(place + `,"trip":"trip-2"`), code: "NOT_FOUND"},
		{name: "somebody else's name", role: fleet.Driver, frame: fix(place + `,"driverId":"U2"`), code: "FORBIDDEN"},
		{name: "empty batch", role: fleet.Driver, frame: `{"t":"fixes","id":"b","fixes":[]}`, code: "VALIDATION_ERROR"},
		{name: "batch without id", role: fleet.Driver, frame: `{"t":"fixes","fixes":[{}]}`, code: "VALIDATION_ERROR"},
		{name: "batch of a wrong type", role: fleet.Driver, frame: `{"t":"fixes","id":"b","fixes":{}}`, code: "VALIDATION_ERROR"},
		{name: "101 fixes", role: fleet.Driver, frame: `{"t":"fixes","id":"b","fixes":[{}` + strings.Repeat(`,{}`, 100) + `]}`, code: "VALIDATION_ERROR"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *server) {
				role := tt.role
				if role == "" {
					role = fleet.Customer
				}
				frame := tt.frame
				if strings.Contains(frame, `"ts":`) && tt.name != "ten minutes ahead" && !strings.Contains(frame, `"ts":1,`) {
					// the bubble's clock starts in the year 2000
					at := strings.Index(frame, `"ts":`) + 5
					end := at + strings.IndexAny(frame[at:], ",}")
					frame = frame[:at] + fmt.Sprint(time.Now().UnixMilli()) + frame[end:]
				}
				p := s.connect(t, "U1", role)
				counted := tt.code
				switch {
				case tt.close != 0:
					// The pipe has no buffer: the server's close and the rest of a frame that is too
					// big would wait for each other.
					go func() { _ = p.conn.Write(t.Context(), websocket.MessageText, []byte(frame)) }()
					if code, before := p.end(); code != tt.close {
						t.Errorf("close code %d after %v, want %d", code, before, tt.close)
					}
					counted = map[int]string{4400: "MALFORMED", 1009: "CLOSE_1009"}[tt.close]
				default:
					p.send(frame)
					if e := p.readJSON("error"); e["code"] != tt.code || e["message"] == "" {
						t.Errorf("error %v, want %s", e, tt.code)
					}
					p.send(`{"t":"ping"}`)
					p.readJSON("pong")
				}
				synctest.Wait()
				if s.changed() {
					t.Errorf("it changed something: reported %v, noted %v, recorded %v", s.reported, s.noted, s.recorded)
				}
				if s.refusals(counted) != 1 {
					t.Errorf("counted %v, want one %s", s.refused, counted)
				}
			})
		})
	}
}

func TestBinaryIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := s.connect(t, "C1", fleet.Customer)
		if err := p.conn.Write(t.Context(), websocket.MessageBinary, []byte(`{"t":"ping"}`)); err != nil {
			t.Fatal(err)
		}
		if code, _ := p.end(); code != 4400 {
			t.Errorf("close code %d", code)
		}
	})
}

func TestHelloIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, frame string
		close       int
		code        string
	}{
		{name: "something else first", frame: `{"t":"ping"}`, close: 4400},
		{name: "not JSON", frame: `x`, close: 4400},
		{name: "resume of a wrong type", frame: `{"t":"hello","token":"x","resume":7}`, close: 4400},
		{name: "no token", frame: `{"t":"hello"}`, close: 4401, code: "INVALID_TOKEN"},
		{name: "a forged token", frame: `{"t":"hello","token":"x"}`, close: 4401, code: "INVALID_TOKEN"},
		{name: "an expired token", frame: `{"t":"hello","token":"token-C9-0"}`, close: 4401, code: "TOKEN_EXPIRED"},
		{name: "too big before the hello", frame: `{"t":"hello","token":"` + strings.Repeat("x", 5000) + `"}`, close: 1009},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *server) {
				s.login("C9", fleet.Customer, -time.Second)
				p := s.open(t)
				go func() { _ = p.conn.Write(t.Context(), websocket.MessageText, []byte(tt.frame)) }() // see TestBadFrames
				code, before := p.end()
				if code != tt.close {
					t.Errorf("close code %d, want %d", code, tt.close)
				}
				if tt.code != "" && (len(before) != 1 || !strings.Contains(before[0], tt.code)) {
					t.Errorf("before it came %v, want %s", before, tt.code)
				}
				if s.hub.Count() != 0 {
					t.Error("a socket without a hello is in the hub")
				}
			})
		})
	}
}
