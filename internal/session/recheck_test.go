package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/session"
)

// families is a session.Store whose poll never answers: only what it is asked by name it tells.
type families struct {
	session.Store
	mu    sync.Mutex
	known map[string]session.Family
	away  bool
	pages []int
}

func (*families) RevokedSince(context.Context, time.Time, int) ([]session.Revocation, error) {
	return nil, errors.New("connection refused")
}

func (f *families) Families(_ context.Context, ids []string) ([]session.Family, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pages = append(f.pages, len(ids))
	if f.away {
		return nil, errors.New("connection refused")
	}
	var found []session.Family
	for _, id := range ids {
		if one, ok := f.known[id]; ok {
			found = append(found, one)
		}
	}
	return found, nil
}

// change is done under the lock of the store.
func (f *families) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// With the poll dead, and nobody here having revoked anything, sockets of a session that is over end within
// fifteen seconds all the same; those of others, and of everybody while the store is away, stay.
func TestSocketsOfSessionsThatAreOverEndWithoutThePoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		store := &families{known: map[string]session.Family{}}
		held := map[string]fleet.UserID{}
		for _, id := range []string{"lives", "logged out", "long ago", "its last day", "idle", "erased", "somebody else's", "during the outage"} {
			held[id] = "u"
			store.known[id] = session.Family{ID: id, User: "u", UsedAt: begun, EndsAt: begun.Add(90 * 24 * time.Hour)}
		}
		var mu sync.Mutex
		told := map[string]string{} // session → why
		watch := session.NewWatch(store, time.Hour, time.Now, func(user fleet.UserID, family, why string) {
			mu.Lock()
			defer mu.Unlock()
			told[family] = why
			delete(held, family)
			if user != "u" {
				t.Errorf("%s: of %s", family, user)
			}
		}, slog.New(slog.DiscardHandler))
		again := session.NewRecheck(session.RecheckConfig{
			Store: store, Policy: session.DefaultPolicy(), Over: watch.Learn, Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Held: func() map[string]fleet.UserID {
				mu.Lock()
				defer mu.Unlock()
				m := make(map[string]fleet.UserID, len(held))
				for id, user := range held {
					m[id] = user
				}
				return m
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = watch.Run(ctx) })
		running.Go(func() { _ = again.Run(ctx) })
		after := func(wait time.Duration, want map[string]string) {
			t.Helper()
			<-time.After(wait)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if diff := cmp.Diff(want, told); diff != "" {
				t.Fatalf("told (-want +got):\n%s", diff)
			}
		}
		after(time.Minute, map[string]string{})

		edit := func(id string, do func(f *session.Family)) {
			f := store.known[id]
			do(&f)
			store.known[id] = f
		}
		store.change(func() {
			now := time.Now()
			edit("logged out", func(f *session.Family) { f.RevokedAt, f.RevokedWhy = now, session.LogoutAll })
			edit("long ago", func(f *session.Family) { f.RevokedAt, f.RevokedWhy = now.Add(-48*time.Hour), session.Reuse }) // by a clock that is wrong
			edit("its last day", func(f *session.Family) { f.EndsAt = now })
			edit("idle", func(f *session.Family) { f.UsedAt = now.Add(-31 * 24 * time.Hour) })
			edit("somebody else's", func(f *session.Family) { f.User = "another" })
			delete(store.known, "erased")
		})
		want := map[string]string{
			"logged out": session.LogoutAll, "long ago": session.Reuse, "its last day": session.Ended, "idle": session.Ended,
			"erased": session.Ended, "somebody else's": session.Ended,
		}
		after(15*time.Second, want)
		if !watch.Revoked("long ago") || watch.Revoked("lives") {
			t.Error("requests with access tokens are judged otherwise than sockets")
		}

		store.change(func() {
			store.away = true
			edit("during the outage", func(f *session.Family) { f.RevokedAt, f.RevokedWhy = time.Now(), session.Suspension })
		})
		after(5*time.Minute, want)
		store.change(func() { store.away = false })
		want["during the outage"] = session.Suspension
		after(5*time.Second, want)
		cancel()
		running.Wait()
	})
}

// Many sockets are asked about a page at a time.
func TestRecheckAsksInPages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &families{known: map[string]session.Family{}}
		held := map[string]fleet.UserID{}
		for i := range 2500 {
			id := fmt.Sprint("s", i)
			held[id] = "u"
			store.known[id] = session.Family{ID: id, User: "u", UsedAt: time.Now(), EndsAt: time.Now().Add(time.Hour)}
		}
		again := session.NewRecheck(session.RecheckConfig{
			Store: store, Policy: session.DefaultPolicy(), Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Held: func() map[string]fleet.UserID { return held }, Over: func(r session.Revocation) { t.Errorf("%s is over", r.Family) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = again.Run(ctx) }()
		<-time.After(19 * time.Second)
		cancel()
		<-done
		if diff := cmp.Diff([]int{1000, 1000, 500}, store.pages); diff != "" {
			t.Errorf("asked for (-want +got):\n%s", diff)
		}
	})
}
