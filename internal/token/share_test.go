package token_test

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"weelo/internal/token"
)

// TestShareTokens: a share token is nobody's access token, and the reverse.
func TestShareTokens(t *testing.T) {
	t.Parallel()
	secret := func(b byte) []byte {
		s := make([]byte, 32)
		for i := range s {
			s[i] = b + byte(i)
		}
		return s
	}
	m, err := token.New(token.Config{Access: token.Keys(secret(1), nil), Refresh: token.Keys(secret(7), nil)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 25, 7, 0, 0, 0, time.UTC)
	s, err := m.Share("link", "trip", now.Add(10*time.Minute), now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := m.VerifyShare(s, now)
	if err != nil || id.Role != token.Viewer || id.Trip != "trip" || id.SessionID != "link" || id.UserID != token.ViewersOf("link") || id.Device == "" {
		t.Errorf("%+v, %v", id, err)
	}
	if _, err := m.Verify(s, now); !errors.Is(err, token.ErrUnauthenticated) {
		t.Errorf("as an access token: %v", err)
	}
	if _, err := m.VerifyRefresh(s, now); !errors.Is(err, token.ErrRefresh) {
		t.Errorf("as a refresh token: %v", err)
	}
	if _, err := m.VerifyShare(s, now.Add(11*time.Minute)); !errors.Is(err, token.ErrExpired) {
		t.Errorf("too old: %v", err)
	}
	access, _, err := m.Access(token.Identity{UserID: "u", Role: "customer", SessionID: "s"}, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.VerifyShare(access, now); !errors.Is(err, token.ErrUnauthenticated) {
		t.Errorf("an access token as a share token: %v", err)
	}
	if _, _, err := m.Access(token.Identity{UserID: "u", Role: token.Viewer, SessionID: "s"}, now, rand.Reader); err == nil {
		t.Error("an access token with the role of a viewer")
	}
	for _, bad := range [][2]string{{"", "trip"}, {"link", ""}} {
		if _, err := m.Share(bad[0], bad[1], now.Add(time.Minute), now, rand.Reader); err == nil {
			t.Errorf("minted for %q", bad)
		}
	}
}
