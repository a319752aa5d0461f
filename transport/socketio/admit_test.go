package socketio

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weelo/internal/token"
)

// TestWhoOpensSocketsTooOftenWaits: his connection is closed with 4429 and without a CONNECT_ERROR, after
// which the apps would not come back by themselves. A wrong token is not counted.
func TestWhoOpensSocketsTooOftenWaits(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	w := newWorld(t, func(c *Config) {
		c.Admit = func(_ context.Context, who token.Identity) time.Duration {
			if opened.Add(1) <= 2 {
				return 0
			}
			return 6 * time.Second
		}
	})
	for _, name := range []string{"ravi", "asha"} {
		w.connect(name, "")
	}
	c := w.dial(nil)
	c.send(`40{"token":"nonsense"}`)
	if got := c.next(); !strings.HasPrefix(got, "44{") || opened.Load() != 2 {
		t.Fatalf("%s, %d counted", got, opened.Load())
	}
	c.send(`40{"token":"ravi"}`)
	if code := c.closed(); code != codeRate {
		t.Errorf("closed with %d, want %d", code, codeRate)
	}
	w.people.until(t, "the refusal is counted", func() bool { return w.people.counts["refused RATE_LIMITED"] == 1 })
	if n := w.server.named.Load(); n != 2 {
		t.Errorf("%d sockets are counted", n)
	}
}
