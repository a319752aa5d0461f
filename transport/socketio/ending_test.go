package socketio

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"weelo/internal/token"
	"weelo/transport/hub"
)

// TestAReplacedSocketIsToldNotToComeBack: the client library knows no close codes, it would reconnect
// and push the newer one out for ever.
func TestAReplacedSocketIsToldNotToComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	first := w.connect("ravi", "")
	w.connect("ravi", "")
	if got := first.event("error"); got["message"] == "" {
		t.Errorf("%v", got)
	}
	if got := first.next(); got != "41" {
		t.Errorf("want a DISCONNECT, got %s", got)
	}
	if code := first.closed(); code != hub.CodeReplaced {
		t.Errorf("closed with %d", code)
	}
}

func TestRevocationEndsTheSocket(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.connect("asha", "")
	w.hub.Disconnect(asha, "s-asha", codeUnauthorized, "logged out")
	c.event("error")
	if got := c.next(); got != "41" {
		t.Error(got)
	}
	if code := c.closed(); code != codeUnauthorized {
		t.Errorf("closed with %d", code)
	}
	w.people.until(t, "detach", func() bool { return w.people.counts["transporter detached"] == 1 })
}

// TestRevocationDuringConnectEndsTheSocket: the session ends after it was asked about.
func TestRevocationDuringConnectEndsTheSocket(t *testing.T) {
	t.Parallel()
	late := &lateRevocation{}
	w := newWorld(t, func(c *Config) { c.Revocations = late })
	c := w.dial(nil)
	c.send(`40{"token":"fresh"}`)
	c.event("error")
	if got := c.next(); got != "41" {
		t.Error(got)
	}
	if code := c.closed(); code != codeUnauthorized {
		t.Errorf("closed with %d", code)
	}
}

// TestABugEndsOneConnectionOnly: a port that panics costs its own connection.
func TestABugEndsOneConnectionOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Push = brokenPush{} })
	other := w.connect("ravi", "")
	c := w.dial(nil)
	c.send(`40{"token":"asha","fcmToken":"push-1"}`)
	if code := c.closed(); code != codeInternal {
		t.Errorf("closed with %d", code)
	}
	w.people.until(t, "detach", func() bool {
		return w.people.counts["transporter detached"] == 1 && w.people.counts["refused PANIC"] == 1
	})
	if n := w.hub.Count(); n != 1 {
		t.Errorf("%d sockets are left, want 1", n)
	}
	other.quiet()
}

type brokenPush struct{}

func (brokenPush) Register(context.Context, token.Identity, string) error { panic("a bug") }

// lateRevocation knows of a revocation from the second question on.
type lateRevocation struct{ asked atomic.Int64 }

func (l *lateRevocation) Revoked(string) bool { return l.asked.Add(1) > 1 }

func TestADrainingServerSendsEverybodyElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.connect("ravi", "")
	if err := w.hub.Drain(t.Context(), 0, 0); err != nil {
		t.Fatal(err)
	}
	if code := c.closed(); code != hub.CodeRestart {
		t.Errorf("closed with %d", code)
	}
	ws, resp, err := websocket.Dial(t.Context(), strings.Replace(w.url, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket", nil)
	if err == nil {
		_ = ws.CloseNow()
		t.Fatal("a draining server took a connection")
	}
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestWithoutInboxTheClientIsAskedToReconnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.inbox.broken = true
	c := w.dial(nil)
	c.send(`40{"token":"ravi"}`)
	if code := c.closed(); code != hub.CodeOverloaded {
		t.Errorf("closed with %d", code)
	}
}

func TestADisconnectPacketEndsTheConnection(t *testing.T) {
	t.Parallel()
	for _, frame := range []string{"41", "1"} {
		w := newWorld(t, nil)
		c := w.connect("mohan", "")
		c.send(frame)
		if code := c.closed(); code != 1000 {
			t.Errorf("%s: closed with %d", frame, code)
		}
		w.people.until(t, "detach", func() bool { return w.people.counts["driver detached"] == 1 })
		if w.hub.Count() != 0 {
			t.Error("the hub still knows the socket")
		}
	}
}

func TestConfigNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := New(Config{})
	for _, name := range []string{"Hub", "Access", "Inbox", "Tokens", "Sessions", "Revocations", "Drivers", "Transporters"} {
		if err == nil || !strings.Contains(err.Error(), "Config."+name+" ") {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}
