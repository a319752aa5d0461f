package share

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// TestGood: a link ends a day after its birth or half an hour after its trip, whichever is first, and
// at once when it is revoked.
func TestGood(t *testing.T) {
	t.Parallel()
	p := DefaultPolicy()
	l := Link{ID: "l", CreatedAt: noon, EndsAt: noon.Add(p.Life)}
	ended := func(d time.Duration) int64 { return noon.Add(d).UnixMilli() }
	for _, c := range []struct {
		name    string
		tripEnd int64
		at      time.Duration
		revoked bool
		want    bool
	}{
		{"new", 0, 0, false, true},
		{"the last moment of its day", 0, 24*time.Hour - 1, false, true},
		{"a day old", 0, 24 * time.Hour, false, false},
		{"just after the trip", ended(time.Hour), 90*time.Minute - 1, false, true},
		{"half an hour after the trip", ended(time.Hour), 90 * time.Minute, false, false},
		{"the trip ended in its last minutes", ended(24*time.Hour - time.Minute), 24 * time.Hour, false, false},
		{"revoked", 0, time.Minute, true, false},
	} {
		l.RevokedAt = time.Time{}
		if c.revoked {
			l.RevokedAt = noon
		}
		if got := p.Good(l, c.tripEnd, noon.Add(c.at)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if s := p.Scaled(60); s.Life != 24*time.Minute || s.Grace != 30*time.Second || s.View != 10*time.Second || s.MaxLive != 5 {
		t.Errorf("scaled: %+v", s)
	}
}

// TestSecrets: a secret has one spelling of 22 letters, and anything else is no secret.
func TestSecrets(t *testing.T) {
	t.Parallel()
	secret, digest, err := NewSecret(rand.Reader)
	if err != nil || len(secret) != 22 {
		t.Fatalf("%q, %v", secret, err)
	}
	if got, err := DigestOf(secret); err != nil || got != digest {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", secret + "A", secret[1:], secret + "==", secret[:21] + "B", strings.Repeat("/", 22), "\n" + secret} {
		if d, err := DigestOf(bad); err == nil && d == digest || bad != secret[:21]+"B" && !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, _, err := NewSecret(bytes.NewReader(nil)); err == nil {
		t.Error("a secret of nothing")
	}
}

// shelf keeps links in memory, only as far as a guard asks.
type shelf struct {
	Store
	mu    sync.Mutex
	links map[string]Link
	ends  map[string]int64
	asked int
	away  bool
}

func (s *shelf) Links(_ context.Context, ids []string) ([]Link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.away {
		return nil, errors.New("away")
	}
	var out []Link
	for _, id := range ids {
		if l, ok := s.links[id]; ok {
			out = append(out, l)
		}
	}
	return out, nil
}

func (s *shelf) Ended(_ context.Context, ids []string) (map[string]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int64{}
	for _, id := range ids {
		out[id] = s.ends[id]
	}
	return out, nil
}

func (s *shelf) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// TestGuard: whoever follows a link that was revoked anywhere, or that its trip has ended, is let go
// within two seconds; nobody is while the store is away; and without viewers nobody is asked.
func TestGuard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{links: map[string]Link{}, ends: map[string]int64{}}
		for _, id := range []string{"a", "b"} {
			s.links[id] = Link{ID: id, TripID: "trip-" + id, CreatedAt: time.Now(), EndsAt: time.Now().Add(24 * time.Hour)}
		}
		desk := NewDesk(Config{Store: s, Trips: s, Policy: DefaultPolicy(), Now: time.Now})
		gone := make(chan string, 4)
		g := NewGuard(desk, time.Minute, func(link string) { gone <- link }, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		wait := func(d time.Duration) { <-time.After(d); synctest.Wait() }

		wait(5 * time.Second)
		s.change(func() {
			if s.asked != 0 {
				t.Errorf("asked %d times about nothing", s.asked)
			}
		})
		for _, id := range []string{"a", "b"} {
			if err := g.Admit(id, time.Now().Add(2*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		s.change(func() { s.away = true; l := s.links["a"]; l.RevokedAt = time.Now(); s.links["a"] = l })
		wait(5 * time.Second)
		if len(gone) != 0 || g.Over("a") {
			t.Error("somebody was let go by a store that is away")
		}
		s.change(func() { s.away = false })
		wait(2 * time.Second)
		if len(gone) != 1 || <-gone != "a" || !g.Over("a") || g.Over("b") {
			t.Error("a was not let go alone")
		}
		if err := g.Admit("a", time.Now().Add(time.Minute)); !errors.Is(err, ErrNotFound) {
			t.Errorf("a again: %v", err)
		}
		s.change(func() { s.ends["trip-b"] = time.Now().UnixMilli() })
		wait(30*time.Minute - 2*time.Second)
		if len(gone) != 0 {
			t.Error("b was let go before its time")
		}
		wait(4 * time.Second)
		if len(gone) != 1 || <-gone != "b" {
			t.Error("b was not let go")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
