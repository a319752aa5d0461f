package security

import (
	"net/http"
	"testing"
)

// TestSockets: who may connect, and what may be said and heard there.
func TestSockets(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{
		{"P22_ForeignPagesAndTokensInURLs", foreignPagesAndTokensInURLs},
	})
}

func foreignPagesAndTokensInURLs(t *testing.T, h *house) {
	who := h.customer(t)
	listed := pageOrigin
	if h.name == "dev" {
		listed = h.base
	}
	s, status := who.upgrade("/ws/v1", native, "Origin", listed)
	if s == nil {
		t.Fatalf("the listed page: %d", status)
	}
	for _, origin := range []string{"https://evil.example", "null", listed + ".evil.example", "https://evil.example/" + listed, "file://", "http://app.weelo.example", "https://sub.app.weelo.example"} {
		if _, status := who.upgrade("/ws/v1", native, "Origin", origin); status != http.StatusForbidden {
			t.Errorf("Origin %s: %d", origin, status)
		}
		if _, status := who.upgrade("/socket.io/?EIO=4&transport=websocket", nil, "Origin", origin); status != http.StatusForbidden {
			t.Errorf("Origin %s on Socket.IO: %d", origin, status)
		}
	}
	for _, name := range []string{"token", "access_token", "Token", "jwt", "ticket"} {
		if _, status := who.with("").upgrade("/ws/v1?"+name+"="+who.token, native); status != http.StatusBadRequest {
			t.Errorf("?%s=: %d", name, status)
		}
	}
	if _, status := who.with("").upgrade("/socket.io/?EIO=4&transport=websocket&token="+who.token, nil); status != http.StatusBadRequest {
		t.Errorf("?token= on Socket.IO: %d", status)
	}
	if _, status := who.with(who.token[:len(who.token)-3]).upgrade("/ws/v1", native); status != http.StatusUnauthorized {
		t.Errorf("a token that was cut: %d", status)
	}
	who.connect().alive()
}
