package session_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"weelo/internal/fleet"
	"weelo/internal/session"
	"weelo/internal/token"
	"weelo/store/sqlite"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const month = 30 * 24 * time.Hour

func TestJudge(t *testing.T) {
	t.Parallel()
	p := session.DefaultPolicy()
	f := session.Family{Presented: 3, CreatedAt: noon, UsedAt: noon, EndsAt: noon.Add(p.Absolute)}
	used := f
	used.UsedAt = noon.Add(70 * 24 * time.Hour)
	revoked := f
	revoked.RevokedAt = noon
	for _, c := range []struct {
		name string
		f    session.Family
		gen  int64
		at   time.Duration
		want session.Verdict
	}{
		{"the parent", f, 3, 0, session.Again},
		{"its child", f, 4, 0, session.First},
		{"an older one", f, 2, 0, session.Reused},
		{"the oldest", f, 1, 0, session.Reused},
		{"one never handed out", f, 5, 0, session.Refused},
		{"generation 0", f, 0, 0, session.Refused},
		{"a negative one", f, -1, 0, session.Refused},
		{"just before idle", f, 3, month - 1, session.Again},
		{"idle", f, 3, month, session.Refused},
		{"idle, an older one", f, 2, month, session.Refused},
		{"used lately, just before its end", used, 3, p.Absolute - 1, session.Again},
		{"at its end", used, 3, p.Absolute, session.Refused},
		{"revoked", revoked, 3, 0, session.Refused},
		{"revoked, an older one", revoked, 1, 0, session.Refused},
	} {
		if got := p.Judge(c.f, c.gen, noon.Add(c.at)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		lives := c.f.RevokedAt.IsZero() && (c.want != session.Refused || c.gen == 5 || c.gen <= 0)
		if got := p.Lives(c.f, noon.Add(c.at)); got != lives {
			t.Errorf("%s: lives %v", c.name, got)
		}
	}
	if s := p.Scaled(60); s.Idle != month/60 || s.Absolute != p.Absolute/60 || p.Scaled(1) != p || p.Scaled(0) != p {
		t.Errorf("scaled: %+v", s)
	}
}

type bench struct {
	keeper   *session.Keeper
	mint     *token.Mint
	store    session.Store
	users    session.Users
	registry fleet.Registry
	user     fleet.User
	mu       sync.Mutex
	revoked  []session.Revocation
}

func newBench(t *testing.T) *bench {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := &bench{store: sqlite.NewSessions(db)}
	b.mint, err = token.New(token.Config{
		Access:  []token.Key{token.KeyOf([]byte("access-secret-for-tests-0123456789abcdef"))},
		Refresh: []token.Key{token.KeyOf([]byte("refresh-secret-for-tests-0123456789abcde"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	users := sqlite.NewUsers(db)
	b.users, b.registry = users, sqlite.NewRegistry(db)
	b.user, _, err = users.Enrol(t.Context(), fleet.User{ID: "u1", Phone: "+919876543210", Role: fleet.Customer, CreatedAt: noon, UpdatedAt: noon})
	if err != nil {
		t.Fatal(err)
	}
	b.keeper = session.NewKeeper(session.Config{
		Store: b.store, Users: users, Mint: b.mint, Policy: session.DefaultPolicy(), Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
		Revoked: func(r session.Revocation) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.revoked = append(b.revoked, r)
		},
	})
	return b
}

// Whatever is presented in whatever order: at most one token beside the last presented one is good,
// a parent always yields the same child, and reuse ends it all.
func TestRefreshAgainstAModel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	families := 0
	rapid.Check(t, func(rt *rapid.T) {
		families++
		sid := rapid.StringMatching(`[a-f0-9]{24}`).Draw(rt, "sid") + "-" + time.Duration(families).String()
		now := noon
		first, err := b.keeper.Open(t.Context(), sid, b.user, "phone", now)
		if err != nil {
			rt.Fatal(err)
		}
		issued := []string{first.Refresh} // issued[i] is generation i+1
		presented, dead := 0, false
		used := now
		rt.Repeat(map[string]func(*rapid.T){
			"present": func(*rapid.T) {
				i := rapid.IntRange(0, len(issued)-1).Draw(rt, "which")
				pair, err := b.keeper.Refresh(t.Context(), issued[i], now)
				gen := i + 1
				switch {
				case dead || now.Sub(used) >= month:
					if !errors.Is(err, token.ErrRefresh) {
						rt.Fatalf("a dead family: %v", err)
					}
				case gen < presented:
					if !errors.Is(err, token.ErrRefresh) {
						rt.Fatalf("reuse: %v", err)
					}
					dead = true
				default:
					if err != nil {
						rt.Fatalf("generation %d of presented %d: %v", gen, presented, err)
					}
					if gen > presented || now.Sub(used) >= time.Minute {
						used = now
					}
					presented = gen
					if gen == len(issued) {
						issued = append(issued, pair.Refresh)
					} else if pair.Refresh != issued[gen] {
						rt.Fatal("a parent has two children")
					}
					if id, err := b.mint.Verify(pair.Access, now); err != nil || id.SessionID != sid || id.UserID != b.user.ID {
						rt.Fatalf("access token: %+v, %v", id, err)
					}
				}
			},
			"open again": func(*rapid.T) {
				pair, err := b.keeper.Open(t.Context(), sid, b.user, "phone", now)
				if dead || now.Sub(used) >= month {
					if err == nil {
						rt.Fatal("a dead family was opened")
					}
					return
				}
				if err != nil || pair.Refresh != issued[presented] {
					rt.Fatalf("another session: %v", err)
				}
			},
			"garbage": func(*rapid.T) {
				s := issued[rapid.IntRange(0, len(issued)-1).Draw(rt, "which")]
				cut := rapid.IntRange(0, len(s)-1).Draw(rt, "cut")
				if _, err := b.keeper.Refresh(t.Context(), s[:cut]+"!"+s[cut:], now); !errors.Is(err, token.ErrRefresh) {
					rt.Fatalf("garbage: %v", err)
				}
			},
			"log out": func(*rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "rarely") == 0 {
					if err := b.keeper.Logout(t.Context(), token.Identity{UserID: b.user.ID, SessionID: sid}, now); err != nil {
						rt.Fatal(err)
					}
					dead = true
				}
			},
			"wait": func(*rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 20*24*3600).Draw(rt, "seconds")) * time.Second)
				if now.Sub(noon) > 80*24*time.Hour {
					now = noon.Add(80 * 24 * time.Hour) // the absolute end is Judge's table
				}
			},
			"": func(*rapid.T) {
				alive, err := b.keeper.Alive(t.Context(), sid, now)
				if want := !dead && now.Sub(used) < month; err != nil || alive != want {
					rt.Fatalf("alive %v, want %v: %v", alive, want, err)
				}
			},
		})
	})
}

func TestOnesOwnSessionOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.keeper.Open(t.Context(), "s1", b.user, "phone", noon); err != nil {
		t.Fatal(err)
	}
	stranger := b.user
	stranger.ID = "u2"
	if _, err := b.keeper.Open(t.Context(), "s1", stranger, "phone", noon); !errors.Is(err, token.ErrUnauthenticated) {
		t.Errorf("another's session was opened: %v", err)
	}
	if err := b.keeper.Logout(t.Context(), token.Identity{UserID: "u2", SessionID: "s1"}, noon); err != nil {
		t.Fatal(err)
	}
	if alive, err := b.keeper.Alive(t.Context(), "s1", noon); !alive || err != nil || len(b.revoked) != 0 {
		t.Errorf("a stranger's logout ended it: %v", err)
	}
	if n, err := b.keeper.End(t.Context(), b.user.ID, session.Suspension, noon); n != 1 || err != nil || len(b.revoked) != 1 {
		t.Errorf("%d, %v, %v", n, err, b.revoked)
	}
	if alive, err := b.keeper.Alive(t.Context(), "nobody", noon); alive || err != nil {
		t.Errorf("nobody lives: %v", err)
	}
}

// Who is no operator any more loses his sessions: when he refreshes, and all of them when a task starts.
func TestFormerOperators(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	users := b.users.(*sqlite.Users)
	may := map[string]bool{"+919000000001": true, "+919000000002": true}
	keeper := session.NewKeeper(session.Config{
		Store: b.store, Users: users, Mint: b.mint, Policy: session.DefaultPolicy(), Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
		Operator: func(phone string) bool { return may[phone] },
	})
	open := func(id, phone string, role fleet.Role) session.Pair {
		t.Helper()
		u, _, err := users.Enrol(t.Context(), fleet.User{ID: fleet.UserID(id), Phone: phone, Role: role, CreatedAt: noon, UpdatedAt: noon})
		if err != nil {
			t.Fatal(err)
		}
		p, err := keeper.Open(t.Context(), "of-"+id, u, "phone", noon)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	stays, goes := open("o1", "+919000000001", fleet.Ops), open("o2", "+919000000002", fleet.Ops)
	leaves := open("o3", "+919000000003", fleet.Ops)
	customer := open("c2", "+919000000002", fleet.Customer) // the same phone in another role
	if _, err := keeper.Refresh(t.Context(), leaves.Refresh, noon); !errors.Is(err, token.ErrRefresh) {
		t.Errorf("a phone that is not listed refreshes: %v", err)
	}
	if f, err := b.store.Family(t.Context(), "of-o3"); err != nil || f.RevokedWhy != session.NoOperator {
		t.Errorf("%+v, %v", f, err)
	}
	delete(may, "+919000000002")
	if n, err := keeper.EndFormerOperators(t.Context(), b.registry, noon); n != 1 || err != nil {
		t.Errorf("%d ended, %v", n, err)
	}
	if _, err := keeper.Refresh(t.Context(), goes.Refresh, noon); !errors.Is(err, token.ErrRefresh) {
		t.Errorf("he who was taken off the list refreshes: %v", err)
	}
	for name, p := range map[string]session.Pair{"an operator": stays, "a customer": customer} {
		if _, err := keeper.Refresh(t.Context(), p.Refresh, noon); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := b.keeper.EndFormerOperators(t.Context(), b.registry, noon); n != 0 || err != nil {
		t.Errorf("without a list %d ended, %v", n, err)
	}
}

// ledgerOfRevocations is a session.Store of which a Watch needs one method.
type ledgerOfRevocations struct {
	session.Store
	mu    sync.Mutex
	list  []session.Revocation
	away  bool
	polls int
}

func (l *ledgerOfRevocations) RevokedSince(_ context.Context, since time.Time, limit int) ([]session.Revocation, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.polls++
	if l.away {
		return nil, errors.New("connection refused")
	}
	var page []session.Revocation
	for _, r := range l.list {
		if !r.At.Before(since) && len(page) < limit {
			page = append(page, r)
		}
	}
	return page, nil
}

func (l *ledgerOfRevocations) add(family string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, session.Revocation{Family: family, User: "u", At: time.Now(), Why: session.Logout})
}

// A task learns within two seconds of what was revoked elsewhere, tells it once, and forgets it when no
// access token can claim it any more.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &ledgerOfRevocations{}
		store.add("early")
		var told []string
		w := session.NewWatch(store, time.Hour, time.Now, func(_ fleet.UserID, family, _ string) { told = append(told, family) }, slog.New(slog.DiscardHandler))
		if err := w.Load(t.Context()); err != nil || !w.Revoked("early") {
			t.Fatalf("before serving: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		for i := range 2500 { // more than two pages
			store.add(time.Duration(i).String())
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if !w.Revoked("2.499µs") || !w.Revoked("0s") || len(told) != 2501 {
			t.Fatalf("%d told", len(told))
		}
		w.Learn(session.Revocation{Family: "own", At: time.Now()})
		store.add("own")
		store.mu.Lock()
		store.away = true
		store.mu.Unlock()
		<-time.After(5 * time.Second)
		store.mu.Lock()
		store.away = false
		store.mu.Unlock()
		store.add("during the outage")
		<-time.After(2 * time.Second)
		synctest.Wait()
		if !w.Revoked("own") || !w.Revoked("early") || !w.Revoked("during the outage") || len(told) != 2503 {
			t.Fatalf("after an outage: %d told", len(told))
		}
		<-time.After(time.Hour + time.Minute)
		synctest.Wait()
		if w.Revoked("own") || w.Revoked("early") || len(told) != 2503 {
			t.Fatal("what no token can claim is still remembered")
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}
