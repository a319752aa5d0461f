package ws

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"weelo/actors/protocol"
	"weelo/internal/token"
	"weelo/transport/door"
	"weelo/transport/hub"
)

// Waits of the protocol.
const (
	HelloWait    = 5 * time.Second  // from the upgrade to the hello
	PingEvery    = 25 * time.Second // below the 60 s idle time-out of load balancers
	SilenceLimit = 45 * time.Second // without any frame or pong
	ExpiryGrace  = 30 * time.Second // after the token's end
	messageWait  = 10 * time.Second // from the first to the last byte of one message
	callWait     = 5 * time.Second  // of one call to a port
	batchWait    = 10 * time.Second // of the commit of one batch
)

// maxUnnamed bounds what strangers can hold of a task: each of them is gone after HelloWait.
const maxUnnamed = 2000

// Sizes of the protocol, in bytes of one message.
const (
	DriverLimit = 32 << 10
	OtherLimit  = 4 << 10
)

// Config is what a Server needs. Hub, Tokens, Drivers, Transporters, Recorder, Windows and Facts are
// required.
type Config struct {
	Hub          *hub.Hub
	Tokens       Tokens
	Tickets      Tickets // nil: tickets are refused
	Drivers      protocol.Drivers
	Transporters protocol.Transporters
	Recorder     Recorder
	Windows      Windows
	Facts        Facts

	// Hosts are the Host headers that are served, with or without a port; empty serves any.
	Hosts []string
	// Origins are the exact origins (scheme://host[:port]) of pages that may connect. A request
	// without an Origin is not from a page.
	Origins []string
	// Admit counts a socket that somebody opens and tells how long he has to wait if that is too often; 0: he
	// may come in. nil: everybody may.
	Admit func(ctx context.Context, who token.Identity) (wait time.Duration)
	// MaxUnnamed bounds the connections that have not said yet who they are; 0: 2,000.
	MaxUnnamed int
	// Lobby bounds them by address, together with those of Socket.IO; nil: MaxUnnamed only.
	Lobby *door.Lobby
	// Unlimited lifts the rates (LIMITS=off, benches and simulations only).
	Unlimited bool

	Tracer   trace.Tracer // of commands, never of positions; nil: the global provider's
	Observer Observer     // nil: nothing is counted
	Log      *slog.Logger // nil: nothing is logged
}

// Server is the handler of GET /ws/v1. Make it with New and run Run beside it.
type Server struct {
	cfg      Config
	log      *slog.Logger
	observer Observer
	base     context.Context //nolint:containedctx // of every connection: it ends with the server
	end      context.CancelFunc

	unnamed atomic.Int64 // connections before the end of their hello

	mu       sync.Mutex
	conns    map[*conn]struct{}
	stopping bool
	work     sync.WaitGroup
}

// New makes a server; it names every required part that is missing.
func New(c Config) (*Server, error) {
	var problems []error
	for _, part := range []struct {
		name    string
		missing bool
	}{
		{"Hub", c.Hub == nil}, {"Tokens", c.Tokens == nil}, {"Drivers", c.Drivers == nil},
		{"Transporters", c.Transporters == nil}, {"Recorder", c.Recorder == nil},
		{"Windows", c.Windows == nil}, {"Facts", c.Facts == nil},
	} {
		if part.missing {
			problems = append(problems, errors.New("ws: Config."+part.name+" is required"))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	s := &Server{cfg: c, log: c.Log, observer: c.Observer, conns: make(map[*conn]struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("component", "ws")
	s.base, s.end = context.WithCancel(context.Background())
	if s.cfg.Tracer == nil {
		s.cfg.Tracer = otel.Tracer("weelo/transport/ws")
	}
	if s.cfg.MaxUnnamed == 0 {
		s.cfg.MaxUnnamed = maxUnnamed
	}
	if s.observer == nil {
		s.observer = unobserved{}
	}
	return s, nil
}

// Run looks after the timers of all connections until ctx ends. It then refuses new sockets, closes
// those that are left (Hub.Drain, called before, lets them go gently) and waits for them.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			for _, c := range s.all() {
				c.sweep(now)
			}
		case <-ctx.Done():
			s.stop()
			return nil
		}
	}
}

func (s *Server) stop() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	for _, c := range s.all() {
		c.kill(codeRestart, "restart")
	}
	s.work.Wait()
	s.end()
}

func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		out = append(out, c)
	}
	return out
}

// enter registers a connection; false when the server is stopping.
func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.conns[c] = struct{}{}
	s.work.Add(1)
	return true
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.work.Done()
}

func (s *Server) draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping || s.cfg.Hub.Draining()
}
