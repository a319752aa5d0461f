package socketio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"weelo/actors/protocol"
	"weelo/internal/ledger"
	"weelo/internal/token"
	"weelo/transport/door"
	"weelo/transport/hub"
)

// What the open packet promises (design §7).
const (
	pingInterval = 15 * time.Second
	pingTimeout  = 20 * time.Second
	maxPayload   = 32 << 10 // bytes of one packet
)

// Other bounds of a connection.
const (
	connectWait    = 5 * time.Second  // from the upgrade to the CONNECT packet
	sessionWait    = 3 * time.Second  // of the question whether a session lives, within connectWait
	messageWait    = 10 * time.Second // from the first to the last byte of one message
	preAuthPayload = 4 << 10          // bytes of a packet before CONNECT was accepted
	maxConnects    = 3                // refused CONNECT packets on one connection
	maxUnnamed     = 2000             // connections that have not said who they are
	portWait       = 5 * time.Second  // bound of one call of a port
)

// Config is what a Server needs. Everything without a default is required.
type Config struct {
	Hub          *hub.Hub
	Access       hub.Access
	Inbox        ledger.Inbox
	Tokens       Tokens
	Sessions     Sessions
	Revocations  Revocations
	Drivers      protocol.Drivers
	Transporters protocol.Transporters
	Orders       Orders       // nil: none are known
	Push         PushTokens   // nil: push tokens are not kept
	Observer     Observer     // nil: nothing is counted
	Log          *slog.Logger // nil: slog.Default
	// Now is the clock of receive times and serverTimeMs. nil: time.Now.
	Now func() time.Time
	// Hosts are the Host headers that are served, with or without a port; empty serves any.
	Hosts []string
	// Origins lists the origins of browsers that may connect. Apps send none and are let through:
	// the token is in the CONNECT packet and no cookie is ever read.
	Origins []string
	// Lobby bounds the connections that have not said who they are by address, together with native
	// ones; nil: it is only 2,000 a task.
	Lobby *door.Lobby
	// Admit counts a socket that somebody opens and tells how long he has to wait if that is too often; 0: he
	// may come in. nil: everybody may.
	Admit func(ctx context.Context, who token.Identity) (wait time.Duration)
	// MaxSockets bounds the authenticated sockets of this task. 0: 20,000.
	MaxSockets int
	// Unlimited lifts rate limits (LIMITS=off).
	Unlimited bool

	// Times of a connection, for tests; 0 means those of the open packet.
	PingInterval, PingTimeout, ConnectWait time.Duration
}

// Validate names everything that is missing.
func (c Config) Validate() error {
	var errs []error
	for name, missing := range map[string]bool{
		"Hub": c.Hub == nil, "Access": c.Access == nil, "Inbox": c.Inbox == nil, "Tokens": c.Tokens == nil,
		"Sessions": c.Sessions == nil, "Revocations": c.Revocations == nil, "Drivers": c.Drivers == nil, "Transporters": c.Transporters == nil,
	} {
		if missing {
			errs = append(errs, errors.New("socketio: Config."+name+" is missing"))
		}
	}
	return errors.Join(errs...)
}

// Server accepts Socket.IO connections and owns their goroutines. Make it with New, mount it at
// /socket.io/, run Run beside it.
type Server struct {
	cfg     Config
	log     *slog.Logger
	pending pendingReader
	limits  *limits
	unnamed atomic.Int64
	named   atomic.Int64

	mu      sync.Mutex
	conns   map[*conn]struct{}
	stopped bool
	readers sync.WaitGroup
}

// New checks the configuration and makes a Server.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Observer == nil {
		cfg.Observer = unobserved{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxSockets == 0 {
		cfg.MaxSockets = 20_000
	}
	for wait, value := range map[*time.Duration]time.Duration{
		&cfg.PingInterval: pingInterval, &cfg.PingTimeout: pingTimeout, &cfg.ConnectWait: connectWait,
	} {
		if *wait == 0 {
			*wait = value
		}
	}
	return &Server{
		cfg: cfg, log: cfg.Log.With("component", formatName), limits: newLimits(),
		pending: pendingReader{cfg.Inbox, cfg.Access}, conns: make(map[*conn]struct{}),
	}, nil
}

// Run waits until ctx ends, then closes every connection with 1012 and waits for its reader. Sockets
// that the hub has drained are gone by then.
func (s *Server) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.stopped = true
	left := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		left = append(left, c)
	}
	s.mu.Unlock()
	var closing sync.WaitGroup
	for _, c := range left {
		closing.Go(func() { c.Close(hub.CodeRestart, "restart") })
	}
	closing.Wait()
	s.readers.Wait()
	return nil
}

// enter makes the connection one of the server's; false once Run has ended.
func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.conns[c] = struct{}{}
	s.readers.Add(1)
	return true
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.readers.Done()
}

// handshakeError is an answer of Engine.IO before the upgrade: {"code":0,"message":"…"}.
type handshakeError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	status  int
}

// The refusals of a handshake, as Engine.IO numbers them.
var (
	errTransport = &handshakeError{0, "Transport unknown", http.StatusBadRequest}
	errSession   = &handshakeError{1, "Session ID unknown", http.StatusBadRequest}
	errMethod    = &handshakeError{2, "Bad handshake method", http.StatusBadRequest}
	errRequest   = &handshakeError{3, "Bad request", http.StatusBadRequest}
	errForbidden = &handshakeError{4, "Forbidden", http.StatusForbidden}
	errProtocol  = &handshakeError{5, "Unsupported protocol version", http.StatusBadRequest}
	errBusy      = &handshakeError{3, "Server at capacity. Please retry.", http.StatusServiceUnavailable}
	errStrangers = &handshakeError{3, "Too many connections. Please retry.", http.StatusTooManyRequests}
)

// check holds a request against the handshake, in the order of the reference server.
func (s *Server) check(r *http.Request) *handshakeError {
	q := r.URL.Query()
	lists := door.Lists{Hosts: s.cfg.Hosts, Origins: s.cfg.Origins}
	switch {
	case q.Get("transport") != "websocket":
		return errTransport
	case !lists.Host(r), !lists.Page(r):
		return errForbidden
	case door.SecretIn(q):
		return errRequest
	case q.Has("sid"):
		return errSession // sessions begin with the socket here; there is nothing to upgrade
	case r.Method != http.MethodGet:
		return errMethod
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return errRequest
	case q.Get("EIO") != "4":
		return errProtocol
	case s.cfg.Hub.Draining():
		return errBusy // another task takes it
	}
	return nil
}

// stranger gives a connection a place until it has said who it is: of this task's and of its address's.
// leave gives it back, once.
func (s *Server) stranger(r *http.Request) (leave func(), refused *handshakeError) {
	if s.unnamed.Add(1) > maxUnnamed {
		s.unnamed.Add(-1)
		return nil, errBusy
	}
	named, ok := s.cfg.Lobby.Enter(r)
	if !ok {
		s.unnamed.Add(-1)
		return nil, errStrangers
	}
	return func() { named(); s.unnamed.Add(-1) }, nil
}

// ServeHTTP upgrades a request to a connection. It returns as soon as the connection has a goroutine
// of its own, so that what net/http keeps for a request is free again.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if refused := s.check(r); refused != nil {
		s.refuse(w, refused)
		return
	}
	leave, refused := s.stranger(r)
	if refused != nil {
		s.refuse(w, refused)
		return
	}
	var c *conn // there before anything is read
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the origin was checked above
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     func(context.Context, []byte) bool { return c.pinged() },
	})
	if err != nil {
		leave()
		return // Accept has answered
	}
	c = s.newConn(ws, r.Header.Get("X-Device-Id"))
	c.leaveLobby = leave
	if !s.enter(c) {
		leave()
		c.Close(hub.CodeRestart, "restart")
		return
	}
	go c.run()
}

func (s *Server) refuse(w http.ResponseWriter, refused *handshakeError) {
	s.cfg.Observer.Refused(formatName, "HANDSHAKE")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	switch refused.status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", strconv.Itoa(int(connectWait.Seconds())))
	}
	w.WriteHeader(refused.status)
	_ = json.NewEncoder(w).Encode(refused) // the client is gone if this fails
}

// newID is 128 random bits in 22 characters.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
