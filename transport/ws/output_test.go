package ws

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// upgraded gives both ends of a real WebSocket whose server end writes through an output.
func upgraded(t *testing.T) (*output, *websocket.Conn, *websocket.Conn) {
	t.Helper()
	type end struct {
		out  *output
		conn *websocket.Conn
	}
	ends := make(chan end, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		under := &hijacker{ResponseWriter: w}
		c, err := websocket.Accept(under, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		ends <- end{under.out, c}
	}))
	t.Cleanup(web.Close)
	client, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(web.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	client.SetReadLimit(1 << 20)
	server := <-ends
	t.Cleanup(func() {
		_ = client.CloseNow()
		_ = server.conn.CloseNow()
	})
	return server.out, server.conn, client
}

func TestFramesOfEverySize(t *testing.T) {
	t.Parallel()
	out, _, client := upgraded(t)
	for _, n := range []int{0, 1, 125, 126, 127, 4096, 65535, 65536, 100_000} {
		want := bytes.Repeat([]byte{'x'}, n)
		go func() { _ = out.message(want) }()
		if _, got, err := client.Read(t.Context()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, %v", n, len(got), err)
		}
	}
}

// numbered is the n-th message of the test below.
func numbered(n int) []byte { return fmt.Appendf(nil, "%d %s", n, strings.Repeat("x", n%5000)) }

// overfill writes numbered messages, first without waiting, until the kernel has declined and 1,000
// more are out, then "end". full is closed when it declined.
func overfill(ctx context.Context, out *output, full chan<- struct{}) error {
	declined, after := false, 0
	for n := 0; after < 1000 && ctx.Err() == nil; n++ {
		done, err := out.try(numbered(n))
		if err == nil && !done {
			if !declined {
				declined = true
				close(full)
			}
			err = out.message(numbered(n))
		}
		if err != nil {
			return err
		}
		if declined {
			after++
		}
	}
	return out.message([]byte("end"))
}

// TestNoFrameGetsIntoAnother writes without waiting, with waiting, and control frames, all at once and
// beyond what the kernel takes: every message arrives whole and in order.
func TestNoFrameGetsIntoAnother(t *testing.T) {
	t.Parallel()
	out, server, client := upgraded(t)
	go func() { // the server reads too, for the pongs
		for {
			if _, _, err := server.Reader(context.Background()); err != nil {
				return
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	full := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		if err := overfill(ctx, out, full); err != nil {
			t.Error(err)
		}
	})
	work.Go(func() {
		for range 20 {
			if err := server.Ping(ctx); err != nil {
				t.Error(err)
				return
			}
		}
	})
	select {
	case <-full:
	case <-ctx.Done():
		t.Fatal("the kernel took everything at once; the test shows nothing")
	}
	for n := 0; ; n++ {
		_, got, err := client.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) == "end" {
			break
		}
		if want := numbered(n); !bytes.Equal(got, want) {
			t.Fatalf("message %d is %.20q… of %d bytes, want %d", n, got, len(got), len(want))
		}
	}
	read, stop := context.WithCancel(ctx) // answers the rest of the pings
	go func() { _, _, _ = client.Read(read) }()
	work.Wait()
	stop()
}

// TestWhatWasTakenArrivesWhole: when the kernel takes a frame in part, the rest follows by itself.
func TestWhatWasTakenArrivesWhole(t *testing.T) {
	t.Parallel()
	out, _, client := upgraded(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	big := bytes.Repeat([]byte{'x'}, 60_000) // does not fit into what is left of a buffer
	taken := 0
	for {
		done, err := out.try(big)
		if err != nil {
			t.Fatal(err)
		}
		if !done {
			break
		}
		if taken++; taken > 10_000 {
			t.Fatal("the kernel takes everything")
		}
	}
	for n := range taken {
		if _, got, err := client.Read(ctx); err != nil || !bytes.Equal(got, big) {
			t.Fatalf("message %d of %d: %d bytes, %v", n+1, taken, len(got), err)
		}
	}
}

func TestTryDeclinesWhereItWouldWait(t *testing.T) {
	t.Parallel()
	here, there := net.Pipe()
	defer func() { _ = here.Close() }()
	defer func() { _ = there.Close() }()
	if done, err := newOutput(here).try([]byte("x")); done || err != nil {
		t.Errorf("a pipe: %v, %v", done, err)
	}
	out, _, _ := upgraded(t)
	out.turn <- struct{}{}
	if done, err := out.try([]byte("x")); done || err != nil {
		t.Errorf("while somebody writes: %v, %v", done, err)
	}
	out.give()
	if done, err := out.try([]byte("x")); !done || err != nil {
		t.Errorf("a free socket: %v, %v", done, err)
	}
	_ = out.Close()
	if done, err := out.try([]byte("x")); done || err == nil {
		t.Errorf("a closed socket: %v, %v", done, err)
	}
}
