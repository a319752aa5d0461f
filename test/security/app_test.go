package security

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// appSocket is a Socket.IO connection, as the apps in people's hands have.
type appSocket struct {
	t    testing.TB
	conn *websocket.Conn
}

// app connects as the apps do: the token comes in the CONNECT packet.
func (c *caller) app() *appSocket {
	c.t.Helper()
	s, status := c.with("").upgrade("/socket.io/?EIO=4&transport=websocket", nil)
	if s == nil {
		c.t.Fatalf("upgrade: %d", status)
	}
	a := &appSocket{c.t, s.conn}
	a.until("0")
	auth, err := json.Marshal(object{"token": c.token})
	if err != nil {
		c.t.Fatal(err)
	}
	a.write("40" + string(auth))
	a.until("40")
	return a
}

func (a *appSocket) write(packet string) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), wait)
	defer cancel()
	if err := a.conn.Write(ctx, websocket.MessageText, []byte(packet)); err != nil {
		a.t.Fatalf("write: %v", err)
	}
}

// emit sends an event.
func (a *appSocket) emit(name string, payload any) {
	a.t.Helper()
	text, err := json.Marshal([]any{name, payload})
	if err != nil {
		a.t.Fatal(err)
	}
	a.write("42" + string(text))
}

// until reads to the next packet that begins so, answering pings on the way.
func (a *appSocket) until(prefix string) string {
	a.t.Helper()
	deadline := time.Now().Add(wait)
	for {
		ctx, cancel := context.WithDeadline(a.t.Context(), deadline)
		_, text, err := a.conn.Read(ctx)
		cancel()
		if err != nil {
			a.t.Fatalf("no packet %s came: %v", prefix, err)
		}
		switch packet := string(text); {
		case strings.HasPrefix(packet, prefix):
			return packet
		case packet == "2":
			a.write("3")
		}
	}
}

// closed reads until the connection is closed, and expects the code within the limit from now.
func (a *appSocket) closed(code int, limit time.Duration) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), limit)
	defer cancel()
	for {
		if _, _, err := a.conn.Read(ctx); err != nil {
			if got := int(websocket.CloseStatus(err)); got != code {
				a.t.Errorf("closed with %d, want %d: %v", got, code, err)
			}
			return
		}
	}
}

// event reads to the next event of that name and gives what it carries.
func (a *appSocket) event(name string) (payload object) {
	a.t.Helper()
	head := fmt.Sprintf("42[%q,", name)
	packet := a.until(head)
	if err := json.Unmarshal([]byte(strings.TrimSuffix(strings.TrimPrefix(packet, head), "]")), &payload); err != nil {
		a.t.Fatalf("%s: %v", packet, err)
	}
	return payload
}
