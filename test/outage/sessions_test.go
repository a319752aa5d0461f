package outage

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/client"
	"weelo/internal/servertest"
)

// TestLoginRacesLogoutAll: on one task a phone logs in while another of its owner ends all his sessions on another
// task. What was there before is over on both, what comes after is good on both, and what came between is one or
// the other on both, for good.
func TestLoginRacesLogoutAll(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	tasks := []*servertest.Weelo{w.serve(t, "LIMITS=off"), w.serve(t, "LIMITS=off")} // off: many codes in a row
	for round := range 8 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			here, there := tasks[round%2], tasks[1-round%2]
			p := w.phone(fmt.Sprintf("706%02d00001", round), "customer")
			device := func(name string) phone {
				p.device = name
				return p
			}
			old, between, late := device("old"), device("between"), device("late")
			before := old.login(t, here)
			ends := closed(t, old.socket(t, here, before.AccessToken))
			code := between.code(t, here)

			racing := make(chan client.Answer, 1)
			ending := make(chan client.Answer, 1)
			steps := []func(){
				func() { racing <- between.verify(t, here, code) },
				func() { ending <- old.as(t, there, before.AccessToken, http.MethodPost, "auth/logout-all") },
			}
			w.collide(t, steps[round/2%2], steps[1-round/2%2])
			accepted(t, "logout of all", <-ending)
			told := <-racing
			lives := between.isOne(t, tasks, code, told)
			after := late.login(t, here)

			for name, s := range map[string]*servertest.Weelo{"here": here, "there": there} {
				eventually(t, 15*time.Second, "the old session is over "+name, func() bool {
					return old.as(t, s, before.AccessToken, http.MethodGet, "auth/me").Status == http.StatusUnauthorized
				})
				refused(t, "the old session's refresh "+name, old.refresh(t, s, before.RefreshToken), http.StatusUnauthorized)
				accepted(t, "the late session "+name, late.as(t, s, after.AccessToken, http.MethodGet, "auth/me"))
				accepted(t, "the late session's refresh "+name, late.refresh(t, s, after.RefreshToken))
			}
			select {
			case code := <-ends:
				if code != 4401 {
					t.Errorf("the old session's socket is closed with %d", code)
				}
			case <-time.After(15 * time.Second):
				t.Error("the old session's socket stays open")
			}
			if live := p.live(t); lives && live != 2 || !lives && live != 1 {
				t.Errorf("%d sessions live; the one between does: %v", live, lives)
			}
		})
	}
}

// isOne asks both tasks about the session that a used code yields, and tells whether it lives. told is the answer to
// its login.
func (p phone) isOne(t *testing.T, tasks []*servertest.Weelo, code string, told client.Answer) (lives bool) {
	t.Helper()
	if told.Status != http.StatusOK {
		t.Logf("the login between: %d %s", told.Status, told.Body) // ended before it was answered
	}
	again := p.verify(t, tasks[0], code) // the answer may have been lost: the same session again, or none
	if again.Status != http.StatusOK {
		refused(t, "a code whose session is over", again, http.StatusBadRequest, "OTP_EXPIRED")
		refused(t, "a code whose session is over, at the other task", p.verify(t, tasks[1], code), http.StatusBadRequest, "OTP_EXPIRED")
	}
	if told.Status != http.StatusOK {
		told = again
	}
	if told.Status != http.StatusOK {
		return false
	}
	tokens := tokensOf(t, told)
	for i, s := range tasks {
		if again.Status != http.StatusOK {
			eventually(t, 15*time.Second, fmt.Sprintf("the session between is over at task %d", i), func() bool {
				return p.as(t, s, tokens.AccessToken, http.MethodGet, "auth/me").Status == http.StatusUnauthorized
			})
			refused(t, "its refresh", p.refresh(t, s, tokens.RefreshToken), http.StatusUnauthorized)
			continue
		}
		if sid(t, tokensOf(t, p.verify(t, s, code))) != sid(t, tokens) {
			t.Error("one code has two sessions")
		}
		accepted(t, "the session between", p.as(t, s, tokens.AccessToken, http.MethodGet, "auth/me"))
		accepted(t, "its refresh", p.refresh(t, s, tokens.RefreshToken))
	}
	t.Log("the session between lives:", again.Status == http.StatusOK)
	return again.Status == http.StatusOK
}

// collide starts two steps that write sessions, the first one first, and holds both at the table until they are
// there: they go on at once.
func (w *town) collide(t *testing.T, first, second func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, w.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, `BEGIN; LOCK TABLE session_family IN SHARE MODE`); err != nil { // reads go on
		t.Fatal(err)
	}
	deadline := time.Now().Add(2 * time.Second) // a login waits five: later they go on one after the other
	for waiting, step := range []func(){first, second} {
		go step()
		for n := 0; n <= waiting && time.Now().Before(deadline); {
			if err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_locks WHERE relation = 'session_family'::regclass AND NOT granted`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	if _, err := conn.Exec(ctx, `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
}

// live is how many sessions of the owner of a phone are neither revoked nor over.
func (p phone) live(t testing.TB) int {
	t.Helper()
	return p.count(t, `SELECT count(*) FROM session_family f JOIN app_user u ON u.id = f.user_id WHERE u.phone = $1 AND f.revoked_at IS NULL AND f.ends_at > now()`, "+91"+p.number)
}

// as asks with a token.
func (p phone) as(t testing.TB, s *servertest.Weelo, token, method, path string) client.Answer {
	t.Helper()
	a, err := p.api(s).As(token).Do(t.Context(), method, path, "", nil)
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return a
}
