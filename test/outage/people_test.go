package outage

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"weelo/internal/client"
	"weelo/internal/servertest"
)

// carrier adds to each request what a phone and the load balancer in front of the server send.
type carrier struct{ device, address string }

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Device-Id", c.device)
	r.Header.Set("X-Forwarded-For", c.address)
	return http.DefaultTransport.RoundTrip(r)
}

// phone is somebody with a telephone, at one server.
type phone struct {
	*town
	number string
	role   string
	device string
}

func (w *town) phone(number, role string) phone {
	return phone{town: w, number: number, role: role, device: "phone-" + number}
}

func (p phone) api(s *servertest.Weelo) client.REST {
	address := fmt.Sprintf("10.1%s.1%s.1%s", p.number[2:4], p.number[6:8], p.number[8:]) // of nobody else
	return client.REST{BaseURL: s.Base, HTTP: &http.Client{Timeout: 20 * time.Second, Transport: carrier{p.device, address}}}
}

func (p phone) send(t testing.TB, s *servertest.Weelo) client.Answer {
	t.Helper()
	return p.do(t, s, "auth/send-otp", map[string]any{"phone": p.number, "role": p.role})
}

func (p phone) verify(t testing.TB, s *servertest.Weelo, code string) client.Answer {
	t.Helper()
	return p.do(t, s, "auth/verify-otp", map[string]any{"phone": p.number, "role": p.role, "otp": code})
}

func (p phone) refresh(t testing.TB, s *servertest.Weelo, token string) client.Answer {
	t.Helper()
	return p.do(t, s, "auth/refresh", map[string]any{"refreshToken": token})
}

func (p phone) do(t testing.TB, s *servertest.Weelo, path string, in any) client.Answer {
	t.Helper()
	a, err := p.api(s).Do(t.Context(), http.MethodPost, path, "", in)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return a
}

// code has a code sent and answers the one that arrived.
func (p phone) code(t testing.TB, s *servertest.Weelo) string {
	t.Helper()
	had := len(p.messages(t, p.number))
	accepted(t, "send", p.send(t, s))
	now := p.messages(t, p.number)
	if len(now) != had+1 {
		t.Fatalf("%d messages after one was asked for", len(now)-had)
	}
	return now[had].Code
}

// wrong is a code that is not the given one.
func wrong(code string) string {
	if code == "123456" {
		return "654321"
	}
	return "123456"
}

// login is a whole one.
func (p phone) login(t testing.TB, s *servertest.Weelo) client.Tokens {
	t.Helper()
	tokens, _, err := p.api(s).VerifyOTP(t.Context(), p.number, p.role, p.code(t, s))
	if err != nil {
		t.Fatalf("login: %v", err)
	}
	return tokens
}

// socket connects.
func (p phone) socket(t testing.TB, s *servertest.Weelo, token string) *client.Conn {
	t.Helper()
	conn, err := client.Dial(t.Context(), client.DialConfig{BaseURL: s.Base, Token: token, Device: p.device})
	if err != nil {
		t.Fatalf("socket: %v", err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// alive tells whether a socket still answers. A reader has to run beside it: see closed.
func alive(t testing.TB, conn *client.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := conn.Socket().Ping(ctx); err != nil {
		t.Errorf("the socket does not go on: %v", err)
	}
}

// closed reads a socket in the background and gives the code that it is closed with.
func closed(t testing.TB, conn *client.Conn) <-chan websocket.StatusCode {
	t.Helper()
	code := make(chan websocket.StatusCode, 1)
	go func() {
		for {
			if _, err := conn.Read(t.Context()); err != nil {
				code <- websocket.CloseStatus(errors.Unwrap(err))
				return
			}
		}
	}()
	return code
}

func accepted(t testing.TB, what string, a client.Answer) {
	t.Helper()
	if a.Status != http.StatusOK || !a.Success {
		t.Fatalf("%s: %d %s", what, a.Status, a.Body)
	}
}

func refused(t testing.TB, what string, a client.Answer, status int, codes ...string) {
	t.Helper()
	if a.Status != status {
		t.Errorf("%s: %d %s, not %d", what, a.Status, a.Body, status)
	}
	for _, code := range codes {
		if a.Error.Code == code {
			return
		}
	}
	if len(codes) > 0 {
		t.Errorf("%s: %s is none of %v", what, a.Body, codes)
	}
}

// decode reads JSON.
func decode[T any](t testing.TB, text []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

func unbase64(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tryAgain is the refusal of an outage: 503 with the seconds to wait, and nothing of its reason.
func tryAgain(t testing.TB, what string, a client.Answer) {
	t.Helper()
	refused(t, what, a, http.StatusServiceUnavailable)
	if a.RetryAfter != 5*time.Second {
		t.Errorf("%s: Retry-After is %v, not 5 s", what, a.RetryAfter)
	}
}

// get asks for a page of the server's own.
func get(t testing.TB, url string) (status int, text []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, text
}

// health asks for a page of readiness and answers its status.
func health(t testing.TB, s *servertest.Weelo, page string) int {
	t.Helper()
	status, _ := get(t, s.Base+page)
	return status
}
