package rest_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weelo/transport/rest"
)

// pipes is a listener within the process, so that a test's own time passes on its connections.
type pipes struct {
	dialled chan net.Conn
	closed  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialled:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.dialled <- theirs
	return ours, nil
}

// patient waits longer than a request may take to be read, and tells whether the request was still wanted.
func patient(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(9900 * time.Millisecond): // a route has ten seconds
		return nil
	}
}

type patientInput struct {
	Body struct {
		Name string `json:"name"`
	}
}

// onPipes starts a real server on pipes.
func onPipes(t *testing.T) (*pipes, *http.Server) {
	t.Helper()
	a := rest.New(rest.Config{Tokens: testMint(t), Revoked: func(string) bool { return false }, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	rest.HandleAck(a, rest.Route{Method: http.MethodPost, Path: "/api/v1/patient", Name: "patient", Public: true},
		func(ctx context.Context, _ *patientInput) error { return patient(ctx) })
	a.Mount("/raw", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for range 14 { // beyond every time to read, within the time to answer
			select {
			case <-r.Context().Done():
				w.WriteHeader(http.StatusTeapot)
				return
			case <-time.After(time.Second):
			}
		}
	}))
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	server := rest.NewServer(a, slog.New(slog.DiscardHandler))
	go func() {
		if err := server.Serve(p); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("served: %v", err)
		}
	}()
	return p, server
}

// TestASlowAnswerIsNotTakenForAHangUp: a request that was read in time may take its time, and so may the next ones on
// its connection.
func TestASlowAnswerIsNotTakenForAHangUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, server := onPipes(t)
		dials := 0
		transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials++
			return p.dial(ctx, network, addr)
		}}
		defer func() {
			transport.CloseIdleConnections()
			_ = server.Close()
		}()
		ask := func(method, path, body string) {
			t.Helper()
			var text io.Reader
			if body != "" {
				text = strings.NewReader(body)
			}
			req, err := http.NewRequestWithContext(t.Context(), method, "http://weelo.test"+path, text)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			res, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			answer, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("%s %s: %d %s, %v", method, path, res.StatusCode, answer, err)
			}
		}
		for range 2 {
			ask(http.MethodPost, "/api/v1/patient", `{"name":"x"}`)
			ask(http.MethodGet, "/raw", "")
			ask(http.MethodPost, "/raw", `{"name":"x"}`)
		}
		if dials != 1 {
			t.Errorf("%d connections for requests one after the other", dials)
		}
	})
}

// TestASlowRequestIsCutOff: what is not read in time is not waited for, whoever reads it.
func TestASlowRequestIsCutOff(t *testing.T) {
	t.Parallel()
	for _, head := range []string{
		"POST /api/v1/patient HTTP/1.1\r\nHost: weelo.test\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"name\"",
		"POST /raw HTTP/1.1\r\nHost: weelo.test\r\nContent-Length: 12\r\n\r\n{\"name\"",
		"GET /raw HTTP/1.1\r\nHost: weelo.test\r\nX-Slow: ",
	} {
		synctest.Test(t, func(t *testing.T) {
			p, server := onPipes(t)
			defer func() { _ = server.Close() }()
			conn, err := p.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			begun := time.Now()
			if _, err := io.WriteString(conn, head); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(bufio.NewReader(conn))
			if took := time.Since(begun); err != nil || took > 10500*time.Millisecond {
				t.Errorf("%.30q: let go after %v with %.60q, %v", head, took, answer, err)
			}
			if strings.Contains(string(answer), " 200 ") {
				t.Errorf("%.30q: %q", head, answer)
			}
		})
	}
}
