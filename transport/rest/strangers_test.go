package rest_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/limit"
	"weelo/internal/token"
	"weelo/store/memory"
	"weelo/transport/rest"
)

// silent counts refusals for nobody.
type silent struct{}

func (silent) LimitRefused(string) {}

// TestStrangers: who has not said who he is may ask for so much a minute, by his address and before anything is done for
// him: routes that need no token, bad tokens and addresses that do not exist count alike. A good token counts for
// its user, also where none is needed; mounted handlers have limits of their own.
func TestStrangers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	limits, mint := memory.NewRates(func() time.Time { return now }), testMint(t)
	table := limit.DefaultRequests()
	strangers := limit.Strangers{Limit: table.Stranger, Limiter: limits, Observer: silent{},
		Known: func(_ context.Context, device string) bool { return device == "known" }}
	a := rest.New(rest.Config{Version: "test", Tokens: mint, Revoked: func(string) bool { return false }, TrustedHops: 1,
		Log: slog.New(slog.DiscardHandler), Limits: limits, Now: time.Now, Strangers: func(ctx context.Context) time.Duration {
			return strangers.Take(ctx, rest.RequestOf(ctx).Client, rest.RequestOf(ctx).Device)
		}})
	opened, closed := 0, 0
	rest.HandleAck(a, rest.Route{Method: http.MethodPost, Path: "/api/v1/open", Name: "open", Tag: "test", Public: true},
		func(context.Context, *struct{ Body struct{} }) error { opened++; return nil })
	rest.HandleAck(a, rest.Route{Method: http.MethodGet, Path: "/api/v1/closed", Name: "closed", Tag: "test"},
		func(context.Context, *struct{}) error { closed++; return nil })
	a.Mount("GET /health", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	a.Mount("GET /mounted", a.Authenticated(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { closed++ })))
	access, _, err := mint.Access(token.Identity{UserID: "u1", Role: fleet.Customer, SessionID: "s1"}, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(from, method, path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-For", from)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		return w
	}
	kinds := []struct {
		method, path string
		headers      []string
		status       int // before the limit
	}{
		{http.MethodPost, "/api/v1/open", nil, 200},
		{http.MethodPost, "/api/v1/open", []string{"Authorization", "Bearer forged"}, 200},
		{http.MethodGet, "/api/v1/closed", nil, 401},
		{http.MethodGet, "/api/v1/closed", []string{"Authorization", "Bearer forged"}, 401},
		{http.MethodGet, "/mounted", nil, 401},
		{http.MethodGet, "/api/v1/nowhere", nil, 404},
		{http.MethodDelete, "/api/v1/open", nil, 405},
	}
	const crowd = "203.0.113.7"
	for i := range table.Stranger.Events {
		kind := kinds[i%len(kinds)]
		if w := ask(crowd, kind.method, kind.path, kind.headers...); w.Code != kind.status {
			t.Fatalf("request %d, %s %s: %d %s", i, kind.method, kind.path, w.Code, w.Body)
		}
	}
	before := opened
	for _, kind := range kinds {
		w := ask(crowd, kind.method, kind.path, kind.headers...)
		if wait, err := strconv.Atoi(w.Header().Get("Retry-After")); w.Code != 429 || err != nil || wait < 1 || !strings.Contains(w.Body.String(), `"RATE_LIMIT_EXCEEDED"`) {
			t.Errorf("over the limit, %s %s: %d %s, Retry-After %q", kind.method, kind.path, w.Code, w.Body, w.Header().Get("Retry-After"))
		}
	}
	if opened != before || closed != 0 {
		t.Errorf("a handler was reached over the limit: %d and %d", opened-before, closed)
	}
	for what, w := range map[string]*httptest.ResponseRecorder{
		"a user":                     ask(crowd, http.MethodGet, "/api/v1/closed", "Authorization", "Bearer "+access),
		"a user who needs no token":  ask(crowd, http.MethodPost, "/api/v1/open", "Authorization", "Bearer "+access),
		"a device that is known":     ask(crowd, http.MethodPost, "/api/v1/open", "X-Device-Id", "known"),
		"another address":            ask("203.0.113.8", http.MethodPost, "/api/v1/open"),
		"an address that is written": ask(crowd+", 203.0.113.9", http.MethodPost, "/api/v1/open"),
	} {
		if w.Code != 200 {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
	}
	if w := ask("203.0.113.9, "+crowd, http.MethodPost, "/api/v1/open"); w.Code != 429 {
		t.Errorf("an address that the client wrote is believed: %d", w.Code)
	}
	if w := ask(crowd, http.MethodGet, "/health"); w.Code != http.StatusNoContent {
		t.Errorf("health: %d", w.Code)
	}
	if w := ask(crowd, http.MethodPost, "/api/v1/open", "X-Device-Id", "unknown"); w.Code != 429 {
		t.Errorf("an unknown device: %d", w.Code)
	}
	now = now.Add(time.Minute)
	if w := ask(crowd, http.MethodPost, "/api/v1/open"); w.Code != 200 {
		t.Errorf("a minute later: %d", w.Code)
	}
}

// TestAUserOfRoutesThatNeedNoToken: his ceiling holds there too, so a token is no way around the limit of strangers.
func TestAUserOfRoutesThatNeedNoToken(t *testing.T) {
	t.Parallel()
	start, mint := time.Now(), testMint(t)
	a := rest.New(rest.Config{Version: "test", Tokens: mint, Revoked: func(string) bool { return false },
		Log: slog.New(slog.DiscardHandler), Limits: memory.NewRates(func() time.Time { return start }), Now: time.Now})
	rest.HandleAck(a, rest.Route{Method: http.MethodGet, Path: "/api/v1/open", Name: "open", Tag: "test", Public: true},
		func(context.Context, *struct{}) error { return nil })
	access, _, err := mint.Access(token.Identity{UserID: "u1", Role: fleet.Driver, SessionID: "s1"}, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(authorization string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/open", nil)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		return w.Code
	}
	for range limit.DefaultRequests().Driver.Events {
		if code := ask("Bearer " + access); code != 200 {
			t.Fatal(code)
		}
	}
	if code := ask("Bearer " + access); code != 429 {
		t.Errorf("over his ceiling: %d", code)
	}
	if code := ask("Bearer forged"); code != 200 {
		t.Errorf("without a limit of strangers: %d", code)
	}
}
