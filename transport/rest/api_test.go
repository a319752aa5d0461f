package rest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/token"
	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

func testMint(t *testing.T) *token.Mint {
	t.Helper()
	m, err := token.New(token.Config{
		Access:  []token.Key{token.KeyOf([]byte("access-secret-for-tests-0123456789abcdef"))},
		Refresh: []token.Key{token.KeyOf([]byte("refresh-secret-for-tests-0123456789abcde"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type echoInput struct {
	ID    string `path:"id"`
	Limit int    `query:"limit" required:"false" minimum:"1" maximum:"100" default:"20"`
	Body  struct {
		Name   string          `json:"name" minLength:"1" maxLength:"5"`
		Note   string          `json:"note,omitempty"`
		At     *rest.Timestamp `json:"at,omitempty"`
		Nested []struct {
			PlateNumber string `json:"plateNumber"`
		} `json:"nested,omitempty"`
	}
}

type echoData struct {
	ID     string         `json:"id"`
	Name   string         `json:"name"`
	Limit  int            `json:"limit"`
	Caller string         `json:"caller"`
	Key    string         `json:"key"`
	Device string         `json:"device"`
	Client string         `json:"client"`
	At     rest.Timestamp `json:"at"`
	Never  rest.Timestamp `json:"never"`
}

type optionalInput struct {
	Body *struct {
		Why string `json:"why"`
	}
}

type brokenInput struct {
	How string `path:"how"`
}

type fixture struct {
	*resttest.Client
	mint    *token.Mint
	log     *bytes.Buffer
	revoked map[string]bool
}

// newAPI serves a small resource that shows all that the base does.
func newAPI(t *testing.T) fixture {
	t.Helper()
	f := fixture{mint: testMint(t), log: &bytes.Buffer{}, revoked: map[string]bool{}}
	a := rest.New(rest.Config{
		Version: "test", Tokens: f.mint, Revoked: func(sid string) bool { return f.revoked[sid] },
		Log: slog.New(slog.NewTextHandler(f.log, nil)), TrustedHops: 1, Origins: []string{"https://weelo.example"}, Now: time.Now,
	})
	rest.Handle(a, rest.Route{Method: http.MethodPost, Path: "/api/v1/echo/{id}", Name: "echo", Tag: "test", Roles: []fleet.Role{fleet.Driver}, MaxBody: 4096},
		func(ctx context.Context, in *echoInput) (echoData, error) {
			d := echoData{ID: in.ID, Name: in.Body.Name, Limit: in.Limit, Caller: string(rest.Caller(ctx).UserID)}
			req := rest.RequestOf(ctx)
			d.Key, d.Device, d.Client = req.IdempotencyKey, req.Device, req.Client.String()
			d.At = rest.AtMS(1_000)
			if in.Body.At != nil {
				d.At = *in.Body.At
			}
			return d, nil
		})
	rest.HandleAck(a, rest.Route{Method: http.MethodGet, Path: "/api/v1/broken/{how}", Name: "break", Tag: "test", Public: true, Message: "fine"},
		func(_ context.Context, in *brokenInput) error {
			switch in.How {
			case "panic":
				panic("secret detail")
			case "bug":
				return errors.New("secret detail")
			case "busy":
				return fault.New(fault.Unavailable, "BUSY", "Try again.").After(1500*time.Millisecond).With("queue", 3)
			case "late":
				return context.DeadlineExceeded
			case "refused":
				return fmt.Errorf("read: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
			case "cut":
				return fmt.Errorf("read: %w", io.ErrUnexpectedEOF)
			case "stopping":
				return fmt.Errorf("read: %w", sqlError("57P01"))
			case "rule":
				return fmt.Errorf("write: %w", sqlError("23514"))
			default:
				return nil
			}
		})
	rest.Handle(a, rest.Route{Method: http.MethodPost, Path: "/api/v1/optional", Name: "optional", Tag: "test", Public: true},
		func(_ context.Context, in *optionalInput) (string, error) {
			if in.Body == nil {
				return "nothing", nil
			}
			return in.Body.Why, nil
		})
	a.Mount("GET /raw", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "raw") }))
	a.Mount("GET /raw/me", a.Authenticated(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, string(rest.Caller(r.Context()).UserID))
	})))
	f.Client = resttest.New(t, a)
	return f
}

func (f fixture) token(t *testing.T, role fleet.Role) string {
	t.Helper()
	s, _, err := f.mint.Access(token.Identity{UserID: "u1", Role: role, SessionID: "s1"}, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAKeyThatCannotBeKeptIsRefused: to do without it would run the repeat a second time.
// A request's id is written down everywhere, so one that has a phone number in it is replaced.
func TestARequestIDNamesNoPhone(t *testing.T) {
	t.Parallel()
	f := newAPI(t)
	for id, kept := range map[string]bool{
		"request-0001": true, "0b0c9c52-93ad-4c0b-8f4d-b6cf5a2f3c90": true, "req-1764509696123": true, "1764509696": true, "98765432109876543210": true,
		"req9123400077": false, "9123400077": false, "+919123400077": false, "req-09123400077-x": false, "919123400077": false,
	} {
		a := f.With("X-Request-Id", id).Call(http.MethodGet, "/nothing", nil).Refused(404, "NOT_FOUND")
		if got := a.Header.Get("X-Request-Id"); (got == id) != kept || len(got) < 8 {
			t.Errorf("%s: answered %s", id, got)
		}
	}
}

func TestAKeyThatCannotBeKeptIsRefused(t *testing.T) {
	t.Parallel()
	f := newAPI(t)
	driver := f.As(f.token(t, fleet.Driver))
	const path, body = "/api/v1/echo/7", `{"name":"a"}`
	for _, key := range []string{strings.Repeat("k", 129), "schl\u00fcssel", "a\tb"} {
		driver.With("X-Idempotency-Key", key).Call(http.MethodPost, path, body).Refused(400, "VALIDATION_ERROR")
	}
	var got echoData
	driver.With("X-Idempotency-Key", strings.Repeat("k", 128)).Call(http.MethodPost, path, body).Want(200).Data(&got)
	if len(got.Key) != 128 {
		t.Errorf("key of %d characters", len(got.Key))
	}
}

func TestSuccessEnvelope(t *testing.T) {
	t.Parallel()
	f := newAPI(t)
	var got echoData
	a := f.As(f.token(t, fleet.Driver)).With("X-Idempotency-Key", "k-1").With("X-Device-Id", "d-1").
		With("X-Forwarded-For", "6.6.6.6, 203.0.113.9").With("X-Real-IP", "6.6.6.6").
		Call(http.MethodPost, "/api/v1/echo/7?limit=5", `{"name":"Ravi","at":"2026-11-24T12:00:00Z","unknown":1}`).Want(http.StatusOK).Data(&got)
	want := echoData{ID: "7", Name: "Ravi", Limit: 5, Caller: "u1", Key: "k-1", Device: "d-1", Client: "203.0.113.9"}
	want.At = got.At
	if got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for _, part := range []string{`"success":true`, `"at":"2026-11-24T12:00:00.000Z"`, `"never":null`} {
		if !strings.Contains(string(a.Raw), part) {
			t.Errorf("%s is missing in %s", part, a.Raw)
		}
	}
	for name, value := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Content-Type": "application/json",
	} {
		if a.Header.Get(name) != value {
			t.Errorf("%s = %q", name, a.Header.Get(name))
		}
	}
	if len(a.Header.Get("X-Request-Id")) < 8 {
		t.Error("no request id")
	}
}

func TestRefusalsAreTheEnvelope(t *testing.T) {
	t.Parallel()
	f := newAPI(t)
	driver := f.As(f.token(t, fleet.Driver))
	echo := func(body any) resttest.Answer { return driver.Call(http.MethodPost, "/api/v1/echo/7", body) }

	echo(`{"name":""}`).Refused(400, "VALIDATION_ERROR")
	echo(`{}`).Refused(400, "VALIDATION_ERROR")
	echo(`{"name":7}`).Refused(400, "VALIDATION_ERROR")
	echo(`{"name":null}`).Refused(400, "VALIDATION_ERROR")
	echo(`["name"]`).Refused(400, "VALIDATION_ERROR")
	echo(``).Refused(400, "VALIDATION_ERROR")
	echo(`{"name":"a"`).Refused(400, "VALIDATION_ERROR")
	echo(`{"name":"a"}{}`).Refused(400, "VALIDATION_ERROR")
	echo(`{"name":"a"} x`).Refused(400, "VALIDATION_ERROR")
	echo(`{"name":"a","name":"b"}`).Refused(400, "VALIDATION_ERROR")
	echo(`{"name":"a","NAME":"b"}`).Refused(400, "VALIDATION_ERROR")
	echo(`{"name":"a","Note":"b"}`).Refused(400, "VALIDATION_ERROR")
	echo(`{"name":"a","nested":[{"plateNumber":"x","platenumber":"y"}]}`).Refused(400, "VALIDATION_ERROR")
	echo(`{"name":"a","nested":[{"PlateNumber":"x"}]}`).Refused(400, "VALIDATION_ERROR")
	echo("{\"name\":\"a\",\"k\":1,\"\u212a\":2}").Refused(400, "VALIDATION_ERROR")
	echo(`{"name":"a","x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`).Refused(400, "VALIDATION_ERROR")
	echo(`{"name":"a","at":"yesterday"}`).Refused(400, "VALIDATION_ERROR")
	echo(`{"name":"`+strings.Repeat("a", 5000)+`"}`).Refused(413, "PAYLOAD_TOO_LARGE")
	driver.With("Content-Type", "text/plain").Call(http.MethodPost, "/api/v1/echo/7", `{"name":"a"}`).Refused(415, "UNSUPPORTED_MEDIA_TYPE")
	driver.With("Content-Type", "").Call(http.MethodPost, "/api/v1/echo/7", `{"name":"a"}`).Refused(415, "UNSUPPORTED_MEDIA_TYPE")
	driver.With("Content-Type", "application/json; charset=utf-8").Call(http.MethodPost, "/api/v1/echo/7", `{"name":"a"}`).Want(200)
	driver.With("Content-Type", "application/json; charset=utf-16").Call(http.MethodPost, "/api/v1/echo/7", `{"name":"a"}`).Refused(415, "UNSUPPORTED_MEDIA_TYPE")
	driver.With("Content-Encoding", "gzip").Call(http.MethodPost, "/api/v1/echo/7", `{"name":"a"}`).Refused(415, "UNSUPPORTED_MEDIA_TYPE")
	driver.With("Content-Encoding", "identity").Call(http.MethodPost, "/api/v1/echo/7", `{"name":"a"}`).Want(200)
	for _, body := range []string{`{"name":"a\u0000"}`, `{"name":"a","nested":[{"plateNumber":"\u0000"}]}`, `{"name":"a","\u0000":1}`, "{\"name\":\"a\xff\"}"} {
		echo(body).Refused(400, "VALIDATION_ERROR")
	}
	for _, path := range []string{"/api/v1/echo/%00", "/api/v1/echo/7%ff", "/api/v1/echo/%F0%28%8C%28"} {
		driver.Call(http.MethodPost, path, `{"name":"a"}`).Refused(404, "NOT_FOUND")
	}
	for _, query := range []string{"note=%00", "note=%ff", "%00=1", "note=%zz"} {
		driver.Call(http.MethodPost, "/api/v1/echo/7?"+query, `{"name":"a"}`).Refused(400, "VALIDATION_ERROR")
	}
	driver.Call(http.MethodPost, "/api/v1/echo/7?limit=0", `{"name":"a"}`).Refused(400, "VALIDATION_ERROR")
	driver.Call(http.MethodPost, "/api/v1/echo/7?limit=many", `{"name":"a"}`).Refused(400, "VALIDATION_ERROR")

	f.Call(http.MethodGet, "/nothing", nil).Refused(404, "NOT_FOUND")
	f.Call(http.MethodGet, "/api/v1/echo", nil).Refused(404, "NOT_FOUND")
	f.Call(http.MethodGet, "/debug/pprof/", nil).Refused(404, "NOT_FOUND")
	f.Call(http.MethodGet, "/docs", nil).Refused(404, "NOT_FOUND")
	if a := f.Call(http.MethodDelete, "/api/v1/echo/7", nil).Refused(405, "METHOD_NOT_ALLOWED"); !strings.Contains(a.Header.Get("Allow"), "POST") {
		t.Errorf("Allow = %q", a.Header.Get("Allow"))
	}
}

func TestABodyMayBeOptional(t *testing.T) {
	t.Parallel()
	f := newAPI(t)
	for body, want := range map[string]string{``: "nothing", `{"why":"rain"}`: "rain"} {
		var got string
		f.With("Content-Type", map[bool]string{true: "", false: "application/json"}[body == ""]).
			Call(http.MethodPost, "/api/v1/optional", body).Want(200).Data(&got)
		if got != want {
			t.Errorf("%q: %q", body, got)
		}
	}
	f.Call(http.MethodPost, "/api/v1/optional", `{"why":"a","WHY":"b"}`).Refused(400, "VALIDATION_ERROR")
	f.Call(http.MethodPost, "/api/v1/optional", `{}`).Refused(400, "VALIDATION_ERROR")
}

func TestValidationNamesTheFieldAndNotTheValue(t *testing.T) {
	t.Parallel()
	f := newAPI(t)
	a := f.As(f.token(t, fleet.Driver)).Call(http.MethodPost, "/api/v1/echo/7", `{"name":"hunter2-the-secret"}`).Refused(400, "VALIDATION_ERROR")
	if !strings.Contains(string(a.Raw), `"field":"name"`) || strings.Contains(string(a.Raw), "hunter2") {
		t.Fatalf("%s", a.Raw)
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	f := newAPI(t)
	call := func(c *resttest.Client) resttest.Answer {
		return c.Call(http.MethodPost, "/api/v1/echo/7", `{"name":"a"}`)
	}
	good := f.token(t, fleet.Driver)
	call(f.With("Authorization", "bearer "+good)).Want(200)
	for _, header := range []string{"", "Bearer", "Bearer ", "Basic " + good, good, "Bearer " + good + "x", "Bearer " + strings.Repeat(".", 10_000)} {
		a := call(f.With("Authorization", header)).Refused(401, "UNAUTHORIZED")
		if a.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Error("no WWW-Authenticate")
		}
	}
	call(f.As(f.token(t, fleet.Customer))).Refused(403, "FORBIDDEN")
	// Who asks is settled before the body is looked at.
	f.Call(http.MethodPost, "/api/v1/echo/7", `{"name":`).Refused(401, "UNAUTHORIZED")
	f.revoked["s1"] = true
	call(f.As(good)).Refused(401, "UNAUTHORIZED")

	old, _, err := f.mint.Access(token.Identity{UserID: "u1", Role: fleet.Driver, SessionID: "s2"}, time.Now().Add(-2*time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	call(f.As(old)).Refused(401, "TOKEN_EXPIRED")
}

func TestOutagesHideTheirText(t *testing.T) {
	t.Parallel()
	f := newAPI(t)
	f.Call(http.MethodGet, "/api/v1/broken/not", nil).Want(200)
	for _, how := range []string{"panic", "bug", "rule"} {
		a := f.With("X-Request-Id", "request-"+how).Call(http.MethodGet, "/api/v1/broken/"+how, nil).Refused(500, "INTERNAL_ERROR")
		if strings.Contains(string(a.Raw), "secret") || !strings.Contains(string(a.Raw), `"requestId":"request-`+how+`"`) {
			t.Errorf("%s", a.Raw)
		}
		if !strings.Contains(f.log.String(), "request-"+how) {
			t.Errorf("%s is not in the log", how)
		}
	}
	a := f.Call(http.MethodGet, "/api/v1/broken/busy", nil).Refused(503, "BUSY")
	if a.Header.Get("Retry-After") != "2" || !strings.Contains(string(a.Raw), `"retryAfterMs":1500`) || !strings.Contains(string(a.Raw), `"queue":3`) {
		t.Errorf("Retry-After %q: %s", a.Header.Get("Retry-After"), a.Raw)
	}
	f.Call(http.MethodGet, "/api/v1/broken/late", nil).Refused(503, "SERVICE_UNAVAILABLE")
	for _, outage := range []string{"refused", "cut", "stopping"} {
		a := f.Call(http.MethodGet, "/api/v1/broken/"+outage, nil).Refused(503, "SERVICE_UNAVAILABLE")
		if a.Header.Get("Retry-After") != "5" {
			t.Errorf("%s: Retry-After %q", outage, a.Header.Get("Retry-After"))
		}
	}
}

// sqlError is what a database says of itself: an SQLSTATE.
type sqlError string

func (e sqlError) Error() string    { return "sql" }
func (e sqlError) SQLState() string { return string(e) }

func TestMountsAndOrigins(t *testing.T) {
	t.Parallel()
	f := newAPI(t)
	get := func(path string, header ...string) (int, string, http.Header) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body), res.Header
	}
	if status, body, h := get("/raw", "Origin", "https://weelo.example"); status != 200 || body != "raw" || h.Get("Access-Control-Allow-Origin") != "https://weelo.example" {
		t.Errorf("%d %q %v", status, body, h)
	}
	if _, _, h := get("/raw", "Origin", "https://evil.example"); h.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a stranger's origin is allowed")
	}
	if status, _, _ := get("/raw/me"); status != 401 {
		t.Errorf("unauthenticated mount: %d", status)
	}
	if status, body, _ := get("/raw/me", "Authorization", "Bearer "+f.token(t, fleet.Ops)); status != 200 || body != "u1" {
		t.Errorf("%d %q", status, body)
	}
}

func TestClientAddressIsTheRightmostTrusted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		hops    int
		forward []string
		want    string
	}{
		{0, []string{"203.0.113.1"}, "192.0.2.1"},
		{1, nil, "192.0.2.1"},
		{1, []string{"203.0.113.1"}, "203.0.113.1"},
		{1, []string{"6.6.6.6, 203.0.113.1"}, "203.0.113.1"},
		{1, []string{"6.6.6.6", "203.0.113.1"}, "203.0.113.1"},
		{2, []string{"6.6.6.6, 203.0.113.1, 10.0.0.1"}, "203.0.113.1"},
		{2, []string{"203.0.113.1"}, "192.0.2.1"},
		{1, []string{"203.0.113.1, junk"}, "192.0.2.1"},
		{1, []string{"::ffff:203.0.113.1"}, "203.0.113.1"},
		{1, []string{"203.0.113.1:55123"}, "203.0.113.1"},
		{1, []string{"[2001:db8::1]:55123"}, "2001:db8::1"},
	} {
		var got string
		a := rest.New(rest.Config{Tokens: testMint(t), Revoked: func(string) bool { return false }, Log: slog.New(slog.DiscardHandler), TrustedHops: c.hops, Now: time.Now})
		a.Mount("GET /", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = rest.RequestOf(r.Context()).Client.String() }))
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "192.0.2.1:4711"
		r.Header["X-Forwarded-For"] = c.forward
		a.ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want {
			t.Errorf("%d hops, %v: %s, want %s", c.hops, c.forward, got, c.want)
		}
	}
}

// The edge of a real server: a header that is no header any more, and a client that only pretends.
func TestServerEdge(t *testing.T) {
	t.Parallel()
	a := rest.New(rest.Config{Tokens: testMint(t), Revoked: func(string) bool { return false }, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	s := httptest.NewUnstartedServer(nil)
	s.Config = rest.NewServer(a, slog.New(slog.DiscardHandler))
	s.Start()
	defer s.Close()
	for dots, want := range map[int]int{100: http.StatusNotFound, 100_000: http.StatusRequestHeaderFieldsTooLarge} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api/v1/auth/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.Repeat(".", dots))
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%d dots: %d, want %d", dots, res.StatusCode, want)
		}
	}
	for size, want := range map[int]int{rest.MaxHeader - 1024: http.StatusNotFound, rest.MaxHeader + 1024: http.StatusRequestHeaderFieldsTooLarge} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api/v1/auth/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Padding", strings.Repeat("x", size))
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("a header of %d bytes: %d, want %d", size, res.StatusCode, want)
		}
	}
	if c := s.Config; c.ReadHeaderTimeout == 0 || c.ReadTimeout == 0 || c.WriteTimeout == 0 || c.IdleTimeout <= 60*time.Second {
		t.Errorf("a deadline is missing: %+v", c)
	}
}
