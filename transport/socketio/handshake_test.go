package socketio

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"weelo/transport/door"
)

func TestHandshakeRefusesInTheWordsOfEngineIO(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Origins = []string{"https://weelo.example"} })
	upgrade := map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
	with := func(more ...string) map[string]string {
		h := map[string]string{}
		for k, v := range upgrade {
			h[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			h[more[i]] = more[i+1]
		}
		return h
	}
	tests := []struct {
		name, method, query string
		headers             map[string]string
		status              int
		body                string
	}{
		{"polling", "GET", "?EIO=4&transport=polling", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"polling without EIO", "GET", "?transport=polling", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"EIO is no number", "GET", "?EIO=abc", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"no transport", "GET", "?EIO=4", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"unknown transport", "GET", "?EIO=4&transport=abc", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"POST without sid", "POST", "?EIO=4&transport=polling", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"PUT", "PUT", "?EIO=4&transport=websocket", upgrade, 400, `{"code":2,"message":"Bad handshake method"}`},
		{"unknown session", "GET", "?EIO=4&transport=websocket&sid=abc", upgrade, 400, `{"code":1,"message":"Session ID unknown"}`},
		{"no upgrade", "GET", "?EIO=4&transport=websocket", nil, 400, `{"code":3,"message":"Bad request"}`},
		{"token in the URL", "GET", "?EIO=4&transport=websocket&token=a.b.c", upgrade, 400, `{"code":3,"message":"Bad request"}`},
		{"ticket in the URL", "GET", "?EIO=4&transport=websocket&ticket=x", upgrade, 400, `{"code":3,"message":"Bad request"}`},
		{"JWT in the URL", "GET", "?EIO=4&transport=websocket&JWT=a.b.c", upgrade, 400, `{"code":3,"message":"Bad request"}`},
		{"foreign origin", "GET", "?EIO=4&transport=websocket", with("Origin", "https://evil.example"), 403, `{"code":4,"message":"Forbidden"}`},
		{"old protocol", "GET", "?EIO=3&transport=websocket", upgrade, 400, `{"code":5,"message":"Unsupported protocol version"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), test.method, w.url+"/socket.io/"+test.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range test.headers {
				req.Header.Set(k, v)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != test.status || strings.TrimSpace(string(body)) != test.body {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, body, test.status, test.body)
			}
		})
	}
}

// TestHandshakeServesListedHosts: as on the native socket.
func TestHandshakeServesListedHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Hosts = []string{"api.weelo.example"} })
	for host, want := range map[string]int{"api.weelo.example": 101, "API.weelo.example:443": 101, "evil.example": 403, "api.weelo.example.evil.example": 403} {
		if got := w.knock(host, ""); got != want {
			t.Errorf("Host %s: %d, want %d", host, got, want)
		}
	}
}

// knock tries to open a connection under a host, from an address that the fixture's lobby believes, and
// gives the status; a connection is left open for the test.
func (w *world) knock(host, from string) int {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), wait)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, strings.Replace(w.url, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket",
		&websocket.DialOptions{Host: host, HTTPHeader: http.Header{"From": {from}}})
	if err == nil {
		w.t.Cleanup(func() { _ = ws.CloseNow() })
		return http.StatusSwitchingProtocols
	}
	if resp == nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestStrangersOfOneAddressAreBounded: as on the native socket, and together with it.
func TestStrangersOfOneAddressAreBounded(t *testing.T) {
	t.Parallel()
	lobby := door.NewLobby(func(r *http.Request) netip.Addr {
		a, _ := netip.ParseAddr(r.Header.Get("From"))
		return a
	}, nil)
	w := newWorld(t, func(c *Config) { c.Lobby = lobby })
	here := http.Header{"From": {"203.0.113.7"}}
	first := w.dial(here)
	for i := range door.PerAddress - 1 {
		if got := w.knock("", "203.0.113.7"); got != 101 {
			t.Fatalf("stranger %d: %d", i+2, got)
		}
	}
	if got := w.knock("", "203.0.113.7"); got != 429 {
		t.Fatalf("one too many: %d", got)
	}
	if got := w.knock("", "203.0.113.8"); got != 101 {
		t.Errorf("another address: %d", got)
	}
	first.send(`40{"token":"nonsense"}`)
	first.next()
	if got := w.knock("", "203.0.113.7"); got != 429 {
		t.Errorf("a wrong token made room: %d", got)
	}
	first.send(`40{"token":"ravi"}`)
	if got := first.next(); !strings.HasPrefix(got, `40{"sid"`) {
		t.Fatal(got)
	}
	if got := w.knock("", "203.0.113.7"); got != 101 {
		t.Errorf("whoever said who he is made no room: %d", got)
	}
	if got := w.knock("", "203.0.113.7"); got != 429 {
		t.Errorf("room for two: %d", got)
	}
}

// TestWhoLeavesMakesRoom: a place comes back when its connection ends, for whatever reason.
func TestWhoLeavesMakesRoom(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]struct {
		wait time.Duration
		how  func(*client)
		code int
	}{
		"too late":  {50 * time.Millisecond, func(*client) {}, codeTimeout},
		"malformed": {0, func(c *client) { c.send("9") }, codeMalformed},
		"gone":      {0, func(c *client) { _ = c.ws.CloseNow() }, -1},
		"named":     {0, func(c *client) { c.send(`40{"token":"mohan"}`, "41") }, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lobby := door.NewLobby(func(*http.Request) netip.Addr { return netip.MustParseAddr("203.0.113.7") }, nil)
			w := newWorld(t, func(c *Config) { c.Lobby, c.ConnectWait = lobby, end.wait })
			c := w.dial(nil)
			end.how(c)
			if code := c.closed(); code != end.code {
				t.Errorf("closed with %d", code)
			}
			w.stop() // waits for the readers
			if lobby.Waiting() != 0 || w.server.unnamed.Load() != 0 || w.server.named.Load() != 0 {
				t.Errorf("kept: %d addresses, %d strangers, %d others", lobby.Waiting(), w.server.unnamed.Load(), w.server.named.Load())
			}
		})
	}
}

func TestHandshakeLetsListedOriginsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Origins = []string{"https://weelo.example"} })
	w.dial(http.Header{"Origin": {"https://weelo.example"}})
}

func TestOpenPacketIsTheContractsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, strings.Replace(w.url, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	_, frame, err := ws.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var open map[string]any
	if err := json.Unmarshal(frame[1:], &open); err != nil || frame[0] != '0' {
		t.Fatalf("%s: %v", frame, err)
	}
	delete(open, "sid")
	got, _ := json.Marshal(open)
	if want := `{"maxPayload":32768,"pingInterval":15000,"pingTimeout":20000,"upgrades":[]}`; string(got) != want {
		t.Errorf("open packet %s, want %s", got, want)
	}
}

// TestVectorsOverTheSocket plays the exchanges of the official suite that this server has an answer
// to: it has one namespace, wants a token, and serves no binary attachments.
func TestVectorsOverTheSocket(t *testing.T) {
	t.Parallel()
	for _, exchange := range readVectors(t).Exchanges {
		sent := texts(exchange.Send)[0]
		t.Run(sent, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			if exchange.AfterConnect {
				c := w.connect("ravi", "")
				binary := strings.HasPrefix(sent, "45")
				c.send(sent)
				if binary {
					if code := c.closed(); code != codeMalformed {
						t.Errorf("a binary event was closed with %d", code)
					}
					return
				}
				c.quiet() // an event that nobody listens to is ignored
				return
			}
			c := w.dial(nil)
			c.send(sent)
			want := `44{"message":"`
			if namespace, _, _ := strings.Cut(sent[2:], ","); strings.HasPrefix(namespace, "/") {
				want = `44` + namespace + `,{"message":"Invalid namespace"}`
			}
			if got := c.next(); !strings.HasPrefix(got, want) {
				t.Errorf("%s was answered %s, want %s…", sent, got, want)
			}
			for _, exact := range texts(exchange.Expect) {
				if exact != want {
					t.Errorf("the suite wants %s, we answer %s", exact, want)
				}
			}
		})
	}
}

func TestWhatMustCloseTheConnectionDoes(t *testing.T) {
	t.Parallel()
	frames := []string{"0", "2", "2probe", "5", "9", "x", "40", `43[1]`, `44{"message":"x"}`, `42["connect"]`, `42/admin,["x"]`, "\xff\xfe"}
	for _, frame := range readVectors(t).MustClose {
		if !strings.HasPrefix(frame, "(") {
			frames = append(frames, frame)
		}
	}
	for _, frame := range frames {
		t.Run(frame, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			c := w.connect("ravi", "")
			if frame == "\xff\xfe" {
				_ = c.ws.Write(t.Context(), websocket.MessageBinary, []byte{1, 2, 3})
			} else {
				c.send(frame)
			}
			if code := c.closed(); code != codeMalformed {
				t.Errorf("closed with %d, want %d", code, codeMalformed)
			}
		})
	}
}

func TestWithoutConnectTheConnectionEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.ConnectWait = 50 * time.Millisecond })
	if code := w.dial(nil).closed(); code != codeTimeout {
		t.Errorf("closed with %d, want %d", code, codeTimeout)
	}
}

func TestAnEventBeforeConnectEndsTheConnection(t *testing.T) {
	t.Parallel()
	c := newWorld(t, nil).dial(nil)
	c.send(`42["heartbeat",{}]`)
	if code := c.closed(); code != codeMalformed {
		t.Errorf("closed with %d, want %d", code, codeMalformed)
	}
}

func TestConnectIsRefusedInTheWordsOfTheContract(t *testing.T) {
	t.Parallel()
	tests := []struct{ auth, message string }{
		{``, "Authentication required"},
		{`{}`, "Authentication required"},
		{`{"token":""}`, "Authentication required"},
		{`{"token":null}`, "Authentication required"},
		{`{"token":"nonsense"}`, "Invalid token"},
		{`{"token":"revoked"}`, "Token has been revoked"},
		{`{"token":"old-revoked"}`, "Token has been revoked"},
		{`{"token":"old-outage"}`, "Server unavailable. Please retry."},
		{`{"token":7}`, "Invalid auth: token is not valid."},
		{`{"token":"ravi","token":"asha"}`, "Invalid auth: token comes twice."},
		{`{"token":"ravi","lastSeq":"x"}`, "Invalid auth: lastSeq is not valid."},
		{`{"token":"ravi","lastSeq":-1}`, "Invalid auth: lastSeq is not valid."},
		{`{"token":"ravi","fcmToken":{}}`, "Invalid auth: fcmToken is not valid."},
	}
	for _, test := range tests {
		t.Run(test.auth, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			c := w.dial(nil)
			c.send("40" + test.auth)
			got := c.next()
			var refusal refusalMessage
			if err := json.Unmarshal([]byte(strings.TrimPrefix(got, "44")), &refusal); err != nil || refusal.Message != test.message {
				t.Errorf("%s: %s, want %q", test.auth, got, test.message)
			}
			c.send(`40{"token":"fresh"}`) // it may try again on the same connection
			if got := c.next(); !strings.HasPrefix(got, `40{"sid"`) {
				t.Errorf("second try was answered %s", got)
			}
		})
	}
}

func TestManyRefusedConnectsEndTheConnection(t *testing.T) {
	t.Parallel()
	c := newWorld(t, nil).dial(nil)
	for range maxConnects + 1 {
		c.send(`40{"token":"guess"}`)
	}
	if code := c.closed(); code != codeMalformed {
		t.Errorf("closed with %d, want %d", code, codeMalformed)
	}
}

func TestAFullServerSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.MaxSockets = 1 })
	w.connect("ravi", "")
	c := w.dial(nil)
	c.send(`40{"token":"asha"}`)
	if got := c.next(); !strings.Contains(got, `"Server at capacity. Please retry."`) {
		t.Error(got)
	}
}

func TestOversizedFramesAreClosed1009(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	before := w.dial(nil)
	before.send(`40{"token":"` + strings.Repeat("x", preAuthPayload) + `"}`)
	if code := before.closed(); code != 1009 {
		t.Errorf("before CONNECT: closed with %d", code)
	}
	after := w.connect("mohan", "")
	after.send(`42["heartbeat",{"x":"` + strings.Repeat("x", preAuthPayload) + `"}]`)
	after.quiet()
	after.send(`42["heartbeat",{"x":"` + strings.Repeat("x", maxPayload) + `"}]`)
	if code := after.closed(); code != 1009 {
		t.Errorf("after CONNECT: closed with %d", code)
	}
}

func TestASilentPeerIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.PingInterval, c.PingTimeout = 20*time.Millisecond, 50*time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, strings.Replace(w.url, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if err := ws.Write(ctx, websocket.MessageText, []byte(`40{"token":"mohan"}`)); err != nil {
		t.Fatal(err)
	}
	pings := 0
	for {
		_, frame, err := ws.Read(ctx)
		if err != nil {
			if code := websocket.CloseStatus(err); code != codeTimeout {
				t.Errorf("closed with %d (%v)", code, err)
			}
			break
		}
		if string(frame) == "2" {
			if pings++; pings <= 3 { // then it falls silent
				_ = ws.Write(ctx, websocket.MessageText, []byte("3"))
			}
		}
	}
	if pings != 4 {
		t.Errorf("%d pings, want 4", pings)
	}
	w.people.until(t, "detach", func() bool { return w.people.counts["driver detached"] == 1 })
	if n := w.people.count("beat"); n != 3 {
		t.Errorf("%d answered pings were signs of life, want 3", n)
	}
}
