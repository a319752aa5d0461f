package hub_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/session"
	"weelo/internal/token"
	"weelo/transport/hub"
)

// TestNoSocketSurvivesALogoutThatItRaces: sockets open while their sessions are revoked. Whichever comes first,
// none of a revoked session is left, and none of another is touched.
func TestNoSocketSurvivesALogoutThatItRaces(t *testing.T) {
	t.Parallel()
	for range 200 {
		var h *hub.Hub
		watch := session.NewWatch(nil, time.Hour, time.Now, func(user fleet.UserID, family, why string) {
			h.Disconnect(user, family, hub.CodeUnauthorized, why)
		}, slog.New(slog.DiscardHandler))
		h = hub.New(hub.Config{Inbox: newInbox(), Access: newAccess(), Revoked: watch.Revoked, Unlimited: true, Log: slog.New(slog.DiscardHandler)})
		const sockets = 16
		begin := make(chan struct{})
		all := make([]*hub.Socket, sockets)
		var racing sync.WaitGroup
		for i := range sockets {
			racing.Go(func() {
				<-begin
				who := token.Identity{UserID: "u1", Role: fleet.Customer, SessionID: fmt.Sprint("s", i%4)}
				all[i] = h.Attach(hub.Attachment{Identity: who, Device: fmt.Sprint("d", i), Codec: words{join: 64}, Transport: newPipe()})
			})
		}
		racing.Go(func() {
			<-begin
			for _, sid := range []string{"s0", "s1", "s2"} { // s3 was born after it
				watch.Learn(session.Revocation{Family: sid, User: "u1", At: time.Now(), Why: session.LogoutAll})
			}
		})
		close(begin)
		racing.Wait()
		for i, s := range all {
			over := false
			select {
			case <-s.Done():
				over = true
			default:
			}
			if over != (i%4 != 3) {
				t.Fatalf("socket %d of session s%d: over %v", i, i%4, over)
			}
			h.Detach(s)
		}
	}
}
