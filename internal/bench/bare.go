package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"weelo/transport/wire"
)

// Bare is the forwarder to compare with: what a good programmer would write with coder/websocket in an
// afternoon, with the cheap ways of that library (pooled buffer, no compression, no per-message
// context) and nothing of what a product needs. /drive/X forwards every message to all of /watch/X.
type Bare struct {
	mu       sync.RWMutex
	watchers map[string][]*websocket.Conn
	naive    bool
	keep     Keeper // nil: nothing is kept
}

// ServeBare runs the forwarder on a listener until ctx ends. naive reads with Conn.Read in the request's
// own goroutine, as the library's example does: the yardstick for memory.
func ServeBare(ctx context.Context, l net.Listener, naive bool) error {
	return serve(ctx, l, &Bare{watchers: map[string][]*websocket.Conn{}, naive: naive})
}

func serve(ctx context.Context, l net.Listener, b *Bare) error {
	web := &http.Server{Handler: b, ReadHeaderTimeout: connectWait}
	stop := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer stop()
	if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("bare forwarder: %w", err)
	}
	return nil
}

// ServeHTTP implements http.Handler.
func (b *Bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"weelo.v1"}})
	if err != nil {
		return
	}
	_, kind, _ := strings.Cut(r.URL.Path, "/")
	kind, topic, _ := strings.Cut(kind, "/")
	if kind == "watch" {
		b.mu.Lock()
		b.watchers[topic] = append(b.watchers[topic], c)
		b.mu.Unlock()
	}
	if b.naive {
		b.readNaive(r.Context(), c, topic, kind == "drive")
		return
	}
	go b.read(c, topic, kind == "drive")
}

func (b *Bare) readNaive(ctx context.Context, c *websocket.Conn, topic string, forward bool) {
	defer func() { _ = c.CloseNow() }()
	for {
		_, m, err := c.Read(ctx)
		if err != nil {
			return
		}
		if forward {
			b.forward(topic, m)
		}
	}
}

func (b *Bare) read(c *websocket.Conn, topic string, forward bool) {
	defer func() { _ = c.CloseNow() }()
	buffer := make([]byte, 0, 4096)
	var batch wire.Message
	for {
		_, r, err := c.Reader(context.Background())
		if err != nil {
			return
		}
		buffer = buffer[:0]
		for {
			if len(buffer) == cap(buffer) {
				buffer = append(buffer, 0)[:len(buffer)]
			}
			n, err := r.Read(buffer[len(buffer):cap(buffer)])
			buffer = buffer[:len(buffer)+n]
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return
			}
		}
		if forward && b.keep != nil && !b.store(c, topic, &batch, buffer) {
			return
		}
		if forward {
			b.forward(topic, buffer)
		}
	}
}

func (b *Bare) forward(topic string, m []byte) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, w := range b.watchers[topic] {
		_ = w.Write(context.Background(), websocket.MessageText, m)
	}
}

// bareTarget starts the forwarder as a child: Command has to serve it on the address that follows.
type bareTarget struct {
	command []string
	naive   bool
	durable bool
}

func (b bareTarget) Name() string {
	if b.durable {
		return "durable"
	}
	return "bare"
}

func (b bareTarget) Start(ctx context.Context, _ Need) (Server, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	args := append(append([]string(nil), b.command[1:]...), port)
	if b.naive {
		args = append(args, "naive")
	}
	if b.durable {
		args = append(args, "durable")
	}
	child, err := startChild(ctx, exec.CommandContext(ctx, b.command[0], args...), os.Environ(), "http://"+port)
	if err != nil {
		return nil, err
	}
	return &bareServer{child}, nil
}

type bareServer struct{ *child }

func (s *bareServer) peer(kind string, i int) Peer {
	return Peer{URL: fmt.Sprintf("ws%s/%s/%d", strings.TrimPrefix(s.url, "http"), kind, i)}
}
func (s *bareServer) Driver(i int) Peer     { return s.peer("drive", i) }
func (s *bareServer) Watcher(i, _ int) Peer { return s.peer("watch", i) }
func (s *bareServer) Idle(i int) Peer       { return s.peer("idle", i) }

// child is a server process.
type child struct {
	cmd  *exec.Cmd
	url  string
	done chan struct{} // closed when it has ended, with err
	err  error
}

// startChild starts a process and waits until it answers HTTP. What it writes goes to standard error.
func startChild(ctx context.Context, cmd *exec.Cmd, env []string, url string) (*child, error) {
	cmd.Env = env
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 15 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	c := &child{cmd: cmd, url: url, done: make(chan struct{})}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	if err := c.answers(ctx); err != nil {
		_ = c.Stop()
		return nil, err
	}
	return c, nil
}

func (c *child) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/health/ready", http.NoBody)
		if err != nil {
			return err
		}
		r, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = r.Body.Close()
			if r.StatusCode < http.StatusInternalServerError {
				return nil
			}
		}
		select {
		case <-c.done:
			return fmt.Errorf("%s ended before it was ready: %w", c.cmd.Path, c.err)
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready in %s", c.cmd.Path, connectWait)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// PID is the process to be measured.
func (c *child) PID() int { return c.cmd.Process.Pid }

// Stop asks the process to end and waits for it.
func (c *child) Stop() error {
	_ = c.cmd.Process.Signal(os.Interrupt)
	select {
	case <-c.done:
	case <-time.After(20 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	return nil
}

// freePort finds an address that nobody listens on.
func freePort(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}
