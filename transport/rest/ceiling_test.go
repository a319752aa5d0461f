package rest_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/limit"
	"weelo/internal/token"
	"weelo/store/memory"
	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

// TestCeilings: whoever is logged in may ask for so much a minute in all, by user and by role; a request
// without a good token counts for nobody, and a mounted handler counts like a route.
func TestCeilings(t *testing.T) {
	t.Parallel()
	now := time.Now()
	limits := &patchy{Limiter: memory.NewRates(func() time.Time { return now })}
	mint := testMint(t)
	a := rest.New(rest.Config{Version: "test", Tokens: mint, Revoked: func(string) bool { return false },
		Log: slog.New(slog.DiscardHandler), Limits: limits, Now: time.Now})
	served := 0
	rest.HandleAck(a, rest.Route{Method: http.MethodGet, Path: "/api/v1/ping", Name: "ping", Tag: "test", Message: "pong"},
		func(context.Context, *struct{}) error { served++; return nil })
	a.Mount("GET /mounted", a.Authenticated(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })))
	c := resttest.New(t, a)
	access := func(user string, role fleet.Role) string {
		access, _, err := mint.Access(token.Identity{UserID: fleet.UserID(user), Role: role, SessionID: "s-" + user}, time.Now(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return access
	}
	as := func(user string, role fleet.Role) *resttest.Client { return c.As(access(user, role)) }
	mounted := func(user string, role fleet.Role) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/mounted", nil)
		r.Header.Set("Authorization", "Bearer "+access(user, role))
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		return w.Code
	}
	ping := func(c *resttest.Client) resttest.Answer { return c.Call(http.MethodGet, "/api/v1/ping", nil) }

	table := limit.DefaultRequests()
	for role, most := range map[fleet.Role]limit.Limit{
		fleet.Driver: table.Driver, fleet.Customer: table.Customer, fleet.Transporter: table.Transporter, fleet.Ops: table.Ops,
	} {
		person := as("a "+string(role), role)
		served = 0
		for range most.Events {
			ping(person).Want(200)
		}
		refused := ping(person).Refused(429, "RATE_LIMIT_EXCEEDED")
		if wait, err := strconv.Atoi(refused.Header.Get("Retry-After")); err != nil || wait < 1 || served != most.Events {
			t.Errorf("%s: %d served, Retry-After %q", role, served, refused.Header.Get("Retry-After"))
		}
		if status := mounted("a "+string(role), role); status != http.StatusTooManyRequests {
			t.Errorf("%s: a mounted handler answers %d", role, status)
		}
		ping(as("another "+string(role), role)).Want(200)
		if status := mounted("another "+string(role), role); status != http.StatusNoContent {
			t.Errorf("%s: a mounted handler answers %d", role, status)
		}
	}
	for range 250 {
		ping(c.As("forged")).Refused(401, "UNAUTHORIZED")
	}
	driver := as("a driver", fleet.Driver)
	ping(driver).Refused(429, "RATE_LIMIT_EXCEEDED")
	limits.broken = true // a limit is no reason to keep people from work
	ping(driver).Want(200)
	limits.broken = false
	now = now.Add(time.Minute)
	ping(driver).Want(200)
}

// TestLimitsOfRoutes: routes that share a limit are counted together, by user, beside the ceiling of his role.
func TestLimitsOfRoutes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	limits := &patchy{Limiter: memory.NewRates(func() time.Time { return now })}
	mint := testMint(t)
	a := rest.New(rest.Config{Version: "test", Tokens: mint, Revoked: func(string) bool { return false },
		Log: slog.New(slog.DiscardHandler), Limits: limits, Now: time.Now})
	few := limit.Limit{Name: "few", Events: 4, Per: time.Minute, Burst: 4}
	for _, name := range []string{"one", "two", "free"} {
		r := rest.Route{Method: http.MethodGet, Path: "/api/v1/" + name, Name: name, Tag: "test", Message: "done"}
		if name != "free" {
			r.Limit = few
		}
		rest.HandleAck(a, r, func(context.Context, *struct{}) error { return nil })
	}
	c := resttest.New(t, a)
	as := func(user string) *resttest.Client {
		access, _, err := mint.Access(token.Identity{UserID: fleet.UserID(user), Role: fleet.Driver, SessionID: "s-" + user}, time.Now(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return c.As(access)
	}
	call := func(user, path string) resttest.Answer { return as(user).Call(http.MethodGet, "/api/v1/"+path, nil) }
	for i := range few.Events {
		call("a", []string{"one", "two"}[i%2]).Want(200)
	}
	for _, path := range []string{"one", "two"} {
		if refused := call("a", path).Refused(429, "RATE_LIMIT_EXCEEDED"); refused.Header.Get("Retry-After") != "15" {
			t.Errorf("%s: Retry-After %q", path, refused.Header.Get("Retry-After"))
		}
	}
	call("a", "free").Want(200)
	call("b", "one").Want(200)
	limits.broken = true
	call("a", "one").Want(200)
	limits.broken = false
	now = now.Add(15 * time.Second)
	call("a", "two").Want(200)
	call("a", "two").Refused(429, "RATE_LIMIT_EXCEEDED")
}

var noonOfLimits = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) // it stands still

// TestWhichRoutesAreLimited: the numbers of the contract for profile and tracking, at the routes themselves.
func TestWhichRoutesAreLimited(t *testing.T) {
	t.Parallel()
	y := openYard(t, dev(t), func(y *yard) { y.orderLimits = memory.NewRates(func() time.Time { return noonOfLimits }) })
	table := limit.DefaultRequests()
	boss := y.asOwner()
	for range table.Profile.Events {
		boss.Call("GET", "/api/v1/profile", nil).Want(200)
	}
	boss.Call("GET", "/api/v1/profile", nil).Refused(429, "RATE_LIMIT_EXCEEDED")
	for i := range table.Track.Events {
		boss.Call("GET", []string{"/api/v1/tracking/fleet", "/api/v1/tracking/nowhere"}[i%2], nil)
	}
	for _, path := range []string{"fleet", "nowhere", "history/nowhere", "booking/nowhere", "booking/nowhere/eta"} {
		boss.Call("GET", "/api/v1/tracking/"+path, nil).Refused(429, "RATE_LIMIT_EXCEEDED")
	}
	boss.Call("GET", "/api/v1/vehicles/list", nil).Want(200)
}
