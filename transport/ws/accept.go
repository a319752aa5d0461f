package ws

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"weelo/internal/fault"
	"weelo/internal/token"
	"weelo/transport/door"
)

// Subprotocol is what client and server agree on.
const Subprotocol = "weelo.v1"

const ticketPrefix = "ticket."

// ServeHTTP answers the upgrade. It refuses in the envelope of the REST API, and it checks in this
// order: where the request thinks it is, which page it comes from, where its secret stands, then the
// secret.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if refusal := s.admissible(r); refusal != nil {
		s.refuse(w, refusal)
		return
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		s.refuse(w, errNoUpgrade)
		return
	}
	place, refusal := s.stranger(r)
	if refusal != nil {
		s.refuse(w, refusal)
		return
	}
	handed := false // to the goroutine that reads the hello
	defer func() {
		if !handed {
			place.leave()
		}
	}()
	id, refusal := s.identify(r)
	if refusal != nil {
		s.refuse(w, refusal)
		return
	}
	if id != nil {
		place.named() // his hello is only a greeting
	}
	c := &conn{server: s, place: place, id: rand.Text()[:16], device: r.Header.Get("X-Device-Id"), closed: make(chan struct{})}
	if len(c.device) > 64 {
		c.device = ""
	}
	under := &hijacker{ResponseWriter: w}
	socket, err := websocket.Accept(under, r, &websocket.AcceptOptions{
		Subprotocols:       []string{Subprotocol},
		InsecureSkipVerify: true, // admissible has checked Host and Origin against exact lists
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     c.onPing,
		OnPongReceived:     c.onPong,
	})
	if err != nil {
		s.observer.Refused(Format, "UPGRADE_FAILED") // Accept has answered
		return
	}
	under.settle()
	c.socket, c.out = socket, under.out
	if !s.enter(c) {
		_ = socket.CloseNow()
		return
	}
	// The rest has its own goroutine and context, so that net/http can free what the request used.
	handed = true
	go c.begin(id)
}

// refused are the refusals of an upgrade.
var (
	errHost        = fault.New(fault.PermissionDenied, "HOST_NOT_ALLOWED", "This host is not served here.")
	errOrigin      = fault.New(fault.PermissionDenied, "ORIGIN_NOT_ALLOWED", "This page may not connect.")
	errNoUpgrade   = fault.New(fault.FailedPrecondition, "UPGRADE_REQUIRED", "Connect with a WebSocket here.")
	errQueryToken  = fault.New(fault.InvalidArgument, "TOKEN_IN_QUERY", "A token does not belong into a URL, where it would be logged.")
	errSubprotocol = fault.New(fault.InvalidArgument, "SUBPROTOCOL_REQUIRED", "The subprotocol weelo.v1 is required.")
	errTicket      = fault.New(fault.Unauthenticated, "INVALID_TICKET", "The ticket is not valid (any more).")
	errToken       = fault.New(fault.Unauthenticated, "INVALID_TOKEN", "Please log in again.")
	errStrangers   = fault.New(fault.ResourceExhausted, "RATE_LIMIT_EXCEEDED", "Too many connections from your address wait to say who they are. Please connect again.").After(HelloWait)
	errBusy        = fault.New(fault.Unavailable, "SERVER_AT_CAPACITY", "Too many connections wait to say who they are. Please connect again.").After(time.Second)
	errDraining    = fault.New(fault.Unavailable, "RESTARTING", "Please connect again.").After(time.Second)
)

func (s *Server) admissible(r *http.Request) *fault.Error {
	lists := door.Lists{Hosts: s.cfg.Hosts, Origins: s.cfg.Origins}
	switch {
	case !lists.Host(r):
		return errHost
	case !lists.Page(r):
		return errOrigin
	case door.SecretIn(r.URL.Query()):
		return errQueryToken
	}
	if !slices.Contains(offered(r), Subprotocol) && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return errSubprotocol
	}
	if s.draining() {
		return errDraining
	}
	return nil
}

// place is what a connection holds until it has said who it is.
type place struct {
	server *Server
	named  func() // it is known who it is: others of its address may come; harmless when repeated
}

// leave gives the whole place back; to be called once.
func (p place) leave() {
	p.named()
	p.server.unnamed.Add(-1)
}

// stranger gives a connection its place, of this task's and of its address's.
func (s *Server) stranger(r *http.Request) (place, *fault.Error) {
	if s.unnamed.Add(1) > int64(s.cfg.MaxUnnamed) {
		s.unnamed.Add(-1)
		return place{}, errBusy
	}
	named, ok := s.cfg.Lobby.Enter(r)
	if !ok {
		s.unnamed.Add(-1)
		return place{}, errStrangers
	}
	return place{s, named}, nil
}

// offered gives the subprotocols that the client named.
func offered(r *http.Request) []string {
	var out []string
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for _, p := range strings.Split(line, ",") {
			out = append(out, strings.TrimSpace(p))
		}
	}
	return out
}

// identify reads the secret of the upgrade, if it carries one; nil means that the hello must.
func (s *Server) identify(r *http.Request) (*token.Identity, *fault.Error) {
	now := time.Now()
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, secret, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return nil, errToken
		}
		id, err := s.cfg.Tokens.Verify(strings.TrimSpace(secret), now)
		if err != nil {
			return nil, tokenRefusal(err)
		}
		return &id, nil
	}
	for _, p := range offered(r) {
		ticket, found := strings.CutPrefix(p, ticketPrefix)
		if !found {
			continue
		}
		if s.cfg.Tickets == nil || ticket == "" {
			return nil, errTicket
		}
		ctx, cancel := context.WithTimeout(r.Context(), callWait)
		defer cancel()
		id, err := s.cfg.Tickets.Redeem(ctx, ticket, now)
		if err != nil {
			return nil, ticketRefusal(err)
		}
		return &id, nil
	}
	return nil, nil
}

// tokenRefusal keeps the reason of a typed refusal and hides everything else.
func tokenRefusal(err error) *fault.Error {
	if f := fault.From(err); f.Code == fault.Unauthenticated || f.Code == fault.PermissionDenied {
		return f
	}
	return errToken
}

func ticketRefusal(err error) *fault.Error {
	if f := fault.From(err); f.Code == fault.Unavailable {
		return f
	}
	return errTicket
}

var statuses = map[fault.Code]int{
	fault.InvalidArgument:    http.StatusBadRequest,
	fault.FailedPrecondition: http.StatusUpgradeRequired, // of errNoUpgrade, the only one
	fault.Unauthenticated:    http.StatusUnauthorized,
	fault.PermissionDenied:   http.StatusForbidden,
	fault.ResourceExhausted:  http.StatusTooManyRequests,
	fault.Unavailable:        http.StatusServiceUnavailable,
}

func (s *Server) refuse(w http.ResponseWriter, f *fault.Error) {
	s.observer.Refused(Format, f.Reason)
	status := statuses[f.Code]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
	}
	w.WriteHeader(status)
	// An error means that the client is gone.
	_ = json.NewEncoder(w).Encode(map[string]any{
		"success": false,
		"error":   map[string]any{"code": f.Reason, "message": f.Message},
	})
}
