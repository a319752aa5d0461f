package security

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// socket is a native connection.
type socket struct {
	t    testing.TB
	conn *websocket.Conn
}

// wait bounds every wait for a frame.
const wait = 15 * time.Second

// upgrade tries to connect to a path with these headers (pairs) and gives the refusal's status, or the
// socket.
func (c *caller) upgrade(path string, protocols []string, header ...string) (*socket, int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), wait)
	defer cancel()
	with := c.headers()
	for i := 0; i < len(header); i += 2 {
		with.Set(header[i], header[i+1])
	}
	conn, res, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.house.base, "http")+path, &websocket.DialOptions{HTTPHeader: with, Subprotocols: protocols})
	if err != nil {
		if res == nil {
			c.t.Fatalf("upgrade: %v", err)
		}
		_ = res.Body.Close()
		return nil, res.StatusCode
	}
	conn.SetReadLimit(1 << 20)
	c.t.Cleanup(func() { _ = conn.CloseNow() })
	return &socket{c.t, conn}, http.StatusSwitchingProtocols
}

// native is what the native protocol is called.
var native = []string{"weelo.v1"}

// connect opens a native socket with the caller's token and device and reads the welcome.
func (c *caller) connect() *socket {
	c.t.Helper()
	s, status := c.upgrade("/ws/v1", native)
	if s == nil {
		c.t.Fatalf("upgrade: %d", status)
	}
	s.send(object{"t": "hello", "device": c.device})
	s.read("welcome")
	return s
}

// send writes a frame: an object, or a text as it is.
func (s *socket) send(frame any) {
	s.t.Helper()
	text, raw := frame.(string)
	if !raw {
		b, err := json.Marshal(frame)
		if err != nil {
			s.t.Fatal(err)
		}
		text = string(b)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), wait)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		s.t.Logf("write: %v", err) // what the server did shows when reading
	}
}

// frame reads one frame; ok is false when the connection was closed, with its code.
func (s *socket) frame(limit time.Duration) (frame object, code int, ok bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), limit)
	defer cancel()
	_, text, err := s.conn.Read(ctx)
	if err != nil {
		if ctx.Err() != nil {
			s.t.Fatalf("nothing came within %v", limit)
		}
		code := int(websocket.CloseStatus(err))
		if code < 0 {
			s.t.Fatalf("read: %v", err)
		}
		return nil, code, false
	}
	if err := json.Unmarshal(text, &frame); err != nil {
		s.t.Fatalf("%s: %v", text, err)
	}
	return frame, 0, true
}

// read skips frames until one of that kind comes.
func (s *socket) read(kind string) object {
	s.t.Helper()
	for {
		frame, code, ok := s.frame(wait)
		if !ok {
			s.t.Fatalf("closed with %d before a %s came", code, kind)
		}
		if frame["t"] == kind {
			return frame
		}
	}
}

// closed reads until the connection is closed, and expects the code within the limit from now.
func (s *socket) closed(code int, limit time.Duration) {
	s.t.Helper()
	if got := s.end(limit); got != code {
		s.t.Errorf("closed with %d, want %d", got, code)
	}
}

// end reads until the connection is closed and gives the code.
func (s *socket) end(limit time.Duration) int {
	s.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		if _, code, ok := s.frame(max(time.Millisecond, time.Until(deadline))); !ok {
			return code
		}
	}
}

// alive sends a ping and waits for the pong.
func (s *socket) alive() {
	s.t.Helper()
	s.send(object{"t": "ping"})
	s.read("pong")
}
