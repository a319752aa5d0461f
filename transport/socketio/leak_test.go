package socketio

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"weelo/internal/ledger"
	"weelo/transport/hub"
)

// TestNoConnectionLeavesAGoroutine: however a connection ends, everything that ran for it has ended while the server
// runs on, and with the server everything else. The bubble's own end would not return otherwise.
func TestNoConnectionLeavesAGoroutine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Config)
		live   func(p *pipe)
	}{
		"it says goodbye":               {nil, func(p *pipe) { p.connect("ravi").say("1") }},
		"it disconnects":                {nil, func(p *pipe) { p.connect("mohan").say("41") }},
		"it vanishes":                   {nil, func(p *pipe) { p.connect("asha").vanish() }},
		"it vanishes before it is told": {nil, func(p *pipe) { p.open().vanish() }},
		"it never says who it is":       {nil, func(p *pipe) { p.open().ended(codeTimeout) }},
		"it is nobody": {nil, func(p *pipe) {
			s := p.open()
			for range maxConnects {
				s.say(`40{"token":"nobody"}`)
			}
			s.ended(-1)
		}},
		"it answers no ping":      {nil, func(p *pipe) { p.connect("mohan").mute().ended(codeTimeout) }},
		"another takes its place": {nil, func(p *pipe) { s := p.connect("ravi"); defer p.connect("ravi").vanish(); s.ended(hub.CodeReplaced) }},
		"its session is over": {nil, func(p *pipe) {
			s := p.connect("asha")
			p.hub.Disconnect(asha, "s-asha", codeUnauthorized, "")
			s.ended(codeUnauthorized)
		}},
		"it talks nonsense":              {nil, func(p *pipe) { p.connect("ravi").say("9").ended(codeMalformed) }},
		"it talks too much":              {nil, func(p *pipe) { p.connect("ravi").say("42" + strings.Repeat("x", maxPayload)).ended(1009) }},
		"it never ends its message":      {nil, func(p *pipe) { p.connect("ravi").stall().ended(codeTimeout) }},
		"it does not read":               {nil, func(p *pipe) { p.connect("ravi").deaf(); p.flood() }},
		"it meets a bug":                 {func(c *Config) { c.Push = brokenPush{} }, func(p *pipe) { p.open().say(`40{"token":"asha","fcmToken":"x"}`).ended(codeInternal) }},
		"the store is away":              {func(c *Config) { c.Inbox = &inbox{broken: true} }, func(p *pipe) { p.open().say(`40{"token":"ravi"}`).ended(hub.CodeOverloaded) }},
		"it is refused at the handshake": {func(c *Config) { c.Hosts = []string{"elsewhere"} }, func(p *pipe) { p.refused(http.StatusForbidden) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPipe(t, c.change)
				synctest.Wait()
				before := p.goroutines()
				for range 3 {
					c.live(p)
					<-time.After(time.Minute) // beyond every wait of a connection
					p.web.CloseIdleConnections()
					synctest.Wait()
				}
				if after := p.goroutines(); after != before {
					t.Errorf("%d goroutines before three connections, %d after:\n%s", before, after, p.stacks(2))
				}
				if n := p.hub.Count(); n != 0 {
					t.Errorf("the hub still knows %d sockets", n)
				}
				if p.server.named.Load() != 0 || p.server.unnamed.Load() != 0 {
					t.Errorf("%d places of people and %d of strangers are still taken", p.server.named.Load(), p.server.unnamed.Load())
				}
			})
		})
	}
}

// TestTheServersEndLeavesNoGoroutine: connections of every age are there when the server ends.
func TestTheServersEndLeavesNoGoroutine(t *testing.T) {
	t.Parallel()
	for name, drained := range map[string]bool{"drained": true, "stopped": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPipe(t, nil)
				sockets := map[string]*end{"a customer": p.connect("ravi"), "a transporter": p.connect("asha"), "who answers no ping": p.connect("mohan").mute(), "a stranger": p.open()}
				if drained {
					if err := p.hub.Drain(t.Context(), 0, 0); err != nil {
						t.Error(err)
					}
				}
				p.stop()
				for who, s := range sockets {
					if code := <-s.over; code != hub.CodeRestart {
						t.Errorf("%s: closed with %d", who, code)
					}
				}
				synctest.Wait()
				if n := p.goroutines(); n != 1 { // this one
					t.Errorf("%d goroutines are left:\n%s", n-1, p.stacks(2))
				}
			})
		})
	}
}

// pipe is a server whose clients are in its own process and on its own time. All goroutines of both carry its label.
type pipe struct {
	t      *testing.T
	hub    *hub.Hub
	server *Server
	web    *http.Transport
	label  string
	dialed chan net.Conn
	closed chan struct{}
	stop   func()
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialed:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error   { close(p.closed); return nil }
func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func newPipe(t *testing.T, change func(*Config)) *pipe {
	t.Helper()
	p := &pipe{t: t, label: newID(), dialed: make(chan net.Conn), closed: make(chan struct{})}
	pprof.SetGoroutineLabels(pprof.WithLabels(t.Context(), pprof.Labels("bubble", p.label)))
	people, quiet := newPeople(), slog.New(slog.DiscardHandler)
	cfg := Config{
		Access: &access{}, Inbox: &inbox{entries: map[string][]ledger.InboxEntry{}}, Tokens: people, Sessions: people, Revocations: people,
		Drivers: people, Transporters: fleets{people}, Push: people, Log: quiet,
	}
	if change != nil {
		change(&cfg)
	}
	p.hub = hub.New(hub.Config{Inbox: cfg.Inbox, Access: cfg.Access, Receipts: people, Log: quiet})
	cfg.Hub = p.hub
	var err error
	if p.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	p.web = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		p.dialed <- theirs
		return ours, nil
	}}
	web := &http.Server{Handler: p.server, ReadHeaderTimeout: time.Minute}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = web.Serve(p) })
	running.Go(func() { _ = p.hub.Run(ctx) })
	running.Go(func() { _ = p.server.Run(ctx) })
	p.stop = sync.OnceFunc(func() {
		cancel()
		_ = web.Close()
		p.web.CloseIdleConnections()
		running.Wait()
	})
	t.Cleanup(p.stop)
	return p
}

// stacks are the goroutines of the bubble: with 1 counted by stack, with 2 as they are shown after a panic.
func (p *pipe) stacks(detail int) string {
	var text bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&text, detail); err != nil {
		p.t.Error(err)
	}
	return text.String()
}

var counted = regexp.MustCompile(`(?m)^(\d+) @.*\n# labels: (.*)$`)

// goroutines is how many carry the label, the caller among them.
func (p *pipe) goroutines() (n int) {
	for _, m := range counted.FindAllStringSubmatch(p.stacks(1), -1) {
		if strings.Contains(m[2], p.label) {
			some, _ := strconv.Atoi(m[1])
			n += some
		}
	}
	return n
}

// end is a client's end of a connection. It reads and answers pings until told otherwise.
type end struct {
	p     *pipe
	ws    *websocket.Conn
	raw   net.Conn
	quiet chan struct{} // closed: pings are not answered
	stop  chan struct{} // closed: nothing is read
	over  chan int      // the code that the connection was closed with
}

const address = "ws://weelo.test/socket.io/?EIO=4&transport=websocket"

// open upgrades.
func (p *pipe) open() *end {
	p.t.Helper()
	s := &end{p: p, quiet: make(chan struct{}), stop: make(chan struct{}), over: make(chan int, 1)}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		var err error
		s.raw, err = p.web.DialContext(ctx, network, addr)
		return s.raw, err
	}}}
	var err error
	if s.ws, _, err = websocket.Dial(p.t.Context(), address, &websocket.DialOptions{HTTPClient: client}); err != nil {
		p.t.Fatal(err)
	}
	s.ws.SetReadLimit(1 << 20)
	p.t.Cleanup(func() { _ = s.ws.CloseNow() })
	go s.read()
	synctest.Wait() // the server has it
	return s
}

func (s *end) read() {
	for {
		select {
		case <-s.stop:
			return
		default:
		}
		_, frame, err := s.ws.Read(context.Background())
		if err != nil {
			s.over <- int(websocket.CloseStatus(err))
			return
		}
		select {
		case <-s.quiet:
		default:
			if string(frame) == "2" {
				_ = s.ws.Write(context.Background(), websocket.MessageText, []byte("3"))
			}
		}
	}
}

// connect upgrades and says who it is.
func (p *pipe) connect(name string) *end {
	p.t.Helper()
	s := p.open().say(fmt.Sprintf(`40{"token":%q}`, name))
	synctest.Wait()
	if p.hub.Count() == 0 {
		p.t.Fatalf("%s is not connected", name)
	}
	return s
}

// say writes a frame. What becomes of it the server decides.
func (s *end) say(frame string) *end {
	_ = s.ws.Write(s.p.t.Context(), websocket.MessageText, []byte(frame))
	return s
}

// vanish goes without a word.
func (s *end) vanish() { _ = s.raw.Close() }

// mute answers pings no more.
func (s *end) mute() *end { close(s.quiet); return s }

// stall begins a message and does not end it.
func (s *end) stall() *end {
	w, err := s.ws.Writer(s.p.t.Context(), websocket.MessageText)
	if err != nil {
		s.p.t.Fatal(err)
	}
	if _, err := io.WriteString(w, strings.Repeat("4", 8<<10)); err != nil {
		s.p.t.Fatal(err)
	}
	return s
}

// deaf reads no more than what it is reading.
func (s *end) deaf() { close(s.stop) }

// flood sends everybody more than one write.
func (p *pipe) flood() {
	for range 10 {
		p.hub.Notify(ravi, "driver_status", map[string]string{"x": strings.Repeat("x", 1<<10)})
	}
}

// ended waits for the end and checks its code; -1 is any.
func (s *end) ended(code int) {
	s.p.t.Helper()
	if got := <-s.over; code >= 0 && got != code {
		s.p.t.Errorf("closed with %d, not %d", got, code)
	}
}

// refused asks in vain.
func (p *pipe) refused(status int) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, strings.Replace(address, "ws", "http", 1), http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := p.web.RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != status {
		p.t.Errorf("answered %d", res.StatusCode)
	}
}
