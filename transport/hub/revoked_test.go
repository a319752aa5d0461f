package hub_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/token"
	"weelo/transport/hub"
)

// TestASessionThatEndedOnTheWayEndsItsSocket: Disconnect came before the socket did.
func TestASessionThatEndedOnTheWayEndsItsSocket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.Hub = hub.New(hub.Config{Inbox: w.inbox, Access: w.access, Revoked: func(sid string) bool { return sid == "sid-u1" }})
		p, q := newPipe(), newPipe()
		gone := w.Attach(hub.Attachment{Identity: identity("u1", fleet.Customer), Codec: words{join: 64}, Transport: p})
		other := w.Attach(hub.Attachment{Identity: identity("u2", fleet.Customer), Codec: words{join: 64}, Transport: q})
		synctest.Wait()
		if p.closeCode() != hub.CodeUnauthorized || q.closeCode() != 0 {
			t.Errorf("closed with %d and %d, want 4401 and 0", p.closeCode(), q.closeCode())
		}
		w.Detach(gone)
		w.Detach(other)
	})
}

// TestSessionsAreAskedAboutAgain: nobody told the hub, and yet the socket ends within 15 s (design §8).
func TestSessionsAreAskedAboutAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var over atomic.Bool
		w := newWorld()
		w.Hub = hub.New(hub.Config{Inbox: w.inbox, Access: w.access, Revoked: func(sid string) bool { return sid == "sid-u1" && over.Load() }})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.Run(ctx) })
		_, p := w.connect(t, "u1", fleet.Customer, "", nil)
		_, q := w.connect(t, "u2", fleet.Customer, "", nil)
		<-time.After(time.Minute)
		if p.closeCode() != 0 {
			t.Fatalf("closed with %d while the session lived", p.closeCode())
		}
		over.Store(true)
		<-time.After(15 * time.Second)
		synctest.Wait()
		if p.closeCode() != hub.CodeUnauthorized || q.closeCode() != 0 {
			t.Errorf("closed with %d and %d, want 4401 and 0", p.closeCode(), q.closeCode())
		}
		cancel()
		running.Wait()
	})
}

// TestSessionsThatHoldSockets: each once, however many sockets it has, and no viewers.
func TestSessionsThatHoldSockets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		one, _ := w.connect(t, "u1", fleet.Customer, "phone", nil)
		w.connect(t, "u1", fleet.Customer, "tablet", nil)
		w.connect(t, "u2", fleet.Driver, "phone", nil)
		w.connect(t, "link", token.Viewer, "browser", nil)
		w.Detach(one)
		if diff := cmp.Diff(map[string]fleet.UserID{"sid-u1": "u1", "sid-u2": "u2"}, w.Sessions()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
