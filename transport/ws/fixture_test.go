package ws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/ledger"
	"weelo/internal/token"
	"weelo/internal/track"
	"weelo/transport/hub"
	"weelo/transport/ws"
)

// parts are the ports of a server, remembered and steered by the test.
type parts struct {
	mu       sync.Mutex
	tokens   map[string]token.Identity
	tickets  map[string]token.Identity
	reported []track.Fix
	noted    []track.Fix
	recorded map[string][]track.Fix // by trip
	beats    int
	lookups  int
	attached int
	refused  map[string]int
	in       map[string]int
	inbox    []ledger.InboxEntry
	failing  bool            // Record fails
	over     map[string]bool // sessions that were revoked
}

func newParts() *parts {
	return &parts{
		tokens: map[string]token.Identity{}, tickets: map[string]token.Identity{}, recorded: map[string][]track.Fix{},
		refused: map[string]int{}, in: map[string]int{}, over: map[string]bool{},
	}
}

// log makes a session and gives its token.
func (p *parts) login(user string, role fleet.Role, life time.Duration) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	secret := fmt.Sprintf("token-%s-%d", user, len(p.tokens))
	p.tokens[secret] = token.Identity{
		UserID: fleet.UserID(user), Role: role, SessionID: "sid-" + user, TransporterID: "T1", ExpiresAt: time.Now().Add(life),
	}
	return secret
}

func (p *parts) Revoked(sid string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over[sid]
}

func (p *parts) Verify(secret string, now time.Time) (token.Identity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, ok := p.tokens[secret]
	if !ok {
		return token.Identity{}, fault.New(fault.Unauthenticated, "INVALID_TOKEN", "Please log in again.")
	}
	if now.After(id.ExpiresAt) {
		return token.Identity{}, fault.New(fault.Unauthenticated, "TOKEN_EXPIRED", "Please log in again.")
	}
	return id, nil
}

func (p *parts) Redeem(_ context.Context, ticket string, _ time.Time) (token.Identity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, ok := p.tickets[ticket]
	delete(p.tickets, ticket)
	if !ok {
		return token.Identity{}, errors.New("no such ticket")
	}
	return id, nil
}

func (p *parts) Record(_ context.Context, _ fleet.Member, trip string, fixes []track.Fix) (history.Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failing {
		return history.Result{}, fault.New(fault.Unavailable, "BUSY", "Please try again.")
	}
	r := history.Result{Processed: len(fixes)}
	for i, f := range fixes {
		if trip == "foreign" {
			r.Invalid++
			r.InvalidAt = append(r.InvalidAt, i)
			continue
		}
		p.recorded[trip] = append(p.recorded[trip], f)
		r.Accepted++
		r.LastAcceptedMS = max(r.LastAcceptedMS, f.TS)
		r.NewestFresh, r.HasFresh = f, true
	}
	return r, nil
}

func (p *parts) Note(_ fleet.Member, f track.Fix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noted = append(p.noted, f)
}

func (p *parts) Windows(_ context.Context, asks []history.Ask) ([]history.Window, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lookups++
	out := make([]history.Window, len(asks))
	for i, a := range asks {
		if a.TripID == "trip-1" {
			out[i] = history.Window{TripID: a.TripID, Driver: a.Driver, From: 1, To: math.MaxInt64}
		}
	}
	return out, nil
}

func (p *parts) Welcome(context.Context, token.Identity) (string, int64, error) {
	return "trip-1", 1700000000000, nil
}

func (p *parts) In(_, kind string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.in[kind]++
}

func (p *parts) Refused(_, code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused[code]++
}

func (p *parts) refusals(code string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused[code]
}

// changed tells whether any port was asked to change something.
func (p *parts) changed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.reported)+len(p.noted)+len(p.recorded) > 0
}

// drivers and transporters are the actors' side.
type drivers struct{ *parts }

func (d drivers) Attach(context.Context, fleet.UserID, fleet.UserID) (protocol.DriverLink, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attached++
	return link(d), nil
}
func (d drivers) Report(fleet.UserID, track.Fix)                         {}
func (d drivers) Beat(fleet.UserID)                                      {}
func (d drivers) SetAvailable(context.Context, fleet.UserID, bool) error { return nil }
func (d drivers) Get(context.Context, fleet.UserID) (*protocol.Driver, error) {
	return nil, errors.New("not used")
}

type link struct{ *parts }

func (l link) Report(f track.Fix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reported = append(l.reported, f)
}

func (l link) Beat() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.beats++
}

func (l link) Detach() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attached--
}

type transporters struct{ *parts }

func (t transporters) Attach(context.Context, fleet.UserID) (func(), error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attached++
	return func() { link(t).Detach() }, nil
}
func (t transporters) Beat(fleet.UserID)                                      { link(t).Beat() }
func (t transporters) SetAvailable(context.Context, fleet.UserID, bool) error { return nil }
func (t transporters) Get(context.Context, fleet.UserID) (*protocol.Transporter, error) {
	return nil, errors.New("not used")
}

// mail is the inbox, people is Access.
type mail struct{ *parts }

func (m mail) Stream(context.Context) (string, error) { return "s1", nil }
func (m mail) Head(context.Context, string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.inbox)), nil
}

func (m mail) Read(_ context.Context, _ string, from int64, limit int) ([]ledger.InboxEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []ledger.InboxEntry
	for _, e := range m.inbox {
		if e.Seq >= from && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

type people struct{}

func (people) Watch(_ context.Context, _ token.Identity, s hub.Scope) ([]protocol.TripView, error) {
	if s.ID == "foreign" || s.ID == "unknown" {
		return nil, fault.New(fault.NotFound, "NOT_FOUND", "There is no such trip.")
	}
	return []protocol.TripView{view("trip-1")}, nil
}

func (people) Live(context.Context, token.Identity) ([]protocol.TripView, error) {
	return []protocol.TripView{view("trip-1")}, nil
}

func (people) Offers(_ context.Context, who token.Identity) ([]hub.Offer, error) {
	if who.UserID != "T2" {
		return nil, nil
	}
	return []hub.Offer{{ID: "offer-1", Version: 2, Open: true, Expires: time.Now().Add(time.Minute), Data: []byte(`{"orderId":"o1"}`)}}, nil
}

func view(trip string) protocol.TripView {
	return protocol.TripView{
		TripID: trip, OrderID: "o1", Version: 3, Status: "in_transit",
		Driver:  protocol.Person{ID: "D1", Name: "Ravi", Phone: "+91******3210"},
		Vehicle: protocol.VehicleView{ID: "V1", Number: "KA01AB1234", Type: "open", Subtype: "17ft"},
		Pickup:  protocol.Place{Latitude: 12.9716, Longitude: 77.5946, Address: "MG Road", City: "Bengaluru"},
		Drop:    protocol.Place{Latitude: 13.0827, Longitude: 80.2707, Address: "Anna Salai"},
		Live:    &track.Fix{TS: time.Now().UnixMilli(), ReceivedMS: time.Now().UnixMilli(), Lat: 12.98, Lng: 77.6, Speed: 11.2, HasSpeed: true},
	}
}

// server is a running ws.Server over an in-memory network, so that it can live in a synctest bubble.
type server struct {
	*parts
	hub     *hub.Hub
	network *network
}

type option func(*ws.Config)

func unlimited(c *ws.Config) { c.Unlimited = true }

func serve(t *testing.T, options ...option) *server {
	t.Helper()
	p := newParts()
	s := &server{parts: p, network: newNetwork()}
	s.hub = hub.New(hub.Config{Inbox: mail{p}, Access: people{}, Revoked: p.Revoked})
	cfg := ws.Config{
		Hub: s.hub, Tokens: p, Tickets: p, Drivers: drivers{p}, Transporters: transporters{p}, Recorder: p, Windows: p, Facts: p,
		Hosts: []string{"weelo.test"}, Origins: []string{"https://weelo.test"}, Observer: p,
	}
	for _, o := range options {
		o(&cfg)
	}
	handler, err := ws.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /ws/v1", handler)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = handler.Run(ctx) })
	work.Go(func() { _ = s.hub.Run(ctx) })
	work.Go(func() { _ = web.Serve(s.network) })
	t.Cleanup(func() {
		cancel()
		_ = web.Close()
		work.Wait()
	})
	return s
}

// network is a listener whose connections are in-memory pipes.
type network struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newNetwork() *network {
	return &network{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}
func (n *network) Close() error   { n.once.Do(func() { close(n.closed) }); return nil }
func (n *network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case n.conns <- there:
		return here, nil
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *server) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: s.network.dial, DisableKeepAlives: true}}
}

// dial connects without a hello.
func (s *server) dial(t *testing.T, url string, header http.Header, protocols ...string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	if protocols == nil {
		protocols = []string{ws.Subprotocol}
	}
	c, r, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: s.client(), HTTPHeader: header, Subprotocols: protocols})
	if r != nil && r.Body != nil && err != nil {
		t.Cleanup(func() { _ = r.Body.Close() })
	}
	return c, r, err
}

const url = "ws://weelo.test/ws/v1"

// peer is a client in a test: it writes and reads frames as text.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
}

// connect dials, says hello and reads the welcome.
func (s *server) connect(t *testing.T, user string, role fleet.Role) *peer {
	t.Helper()
	p := s.open(t)
	p.send(fmt.Sprintf(`{"t":"hello","token":%q,"device":"phone"}`, s.login(user, role, time.Hour)))
	if got := p.read(); !strings.HasPrefix(got, `{"t":"welcome"`) {
		t.Fatalf("got %s instead of a welcome", got)
	}
	return p
}

func (s *server) open(t *testing.T) *peer {
	t.Helper()
	c, _, err := s.dial(t, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return &peer{t, c}
}

func (p *peer) send(frame string) {
	p.t.Helper()
	if err := p.conn.Write(p.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

func (p *peer) read() string {
	p.t.Helper()
	kind, b, err := p.conn.Read(p.t.Context())
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	if kind != websocket.MessageText {
		p.t.Fatalf("got a message of kind %v", kind)
	}
	return string(b)
}

// readJSON reads a frame and checks its t.
func (p *peer) readJSON(kind string) map[string]any {
	p.t.Helper()
	text := p.read()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		p.t.Fatalf("%s: %v", text, err)
	}
	if m["t"] != kind {
		p.t.Fatalf("got %s instead of %s", text, kind)
	}
	return m
}

// end reads until the connection closes and gives the code, with the frames before it.
func (p *peer) end() (code int, before []string) {
	p.t.Helper()
	for {
		_, b, err := p.conn.Read(p.t.Context())
		if err != nil {
			if code := int(websocket.CloseStatus(err)); code > 0 {
				return code, before
			}
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
				return 0, before
			}
			p.t.Errorf("read: %v", err)
			return 0, before
		}
		before = append(before, string(b))
	}
}
