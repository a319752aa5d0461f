package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/token"
	"weelo/internal/track"
	"weelo/transport/hub"
)

// The people and things of every test here.
const (
	asha   = fleet.UserID("a0000000-0000-4000-8000-000000000001") // transporter
	ravi   = fleet.UserID("c0000000-0000-4000-8000-000000000001") // customer
	mohan  = fleet.UserID("d0000000-0000-4000-8000-000000000001") // driver of asha
	trip1  = "70000000-0000-4000-8000-000000000001"               // mohan drives it for ravi
	trip2  = "70000000-0000-4000-8000-000000000002"               // somebody else's
	order1 = "60000000-0000-4000-8000-000000000001"               // ravi's
)

// wait is how long a test waits for what must come.
const wait = 5 * time.Second

// world is a server on a real hub, with everything behind the ports remembered.
type world struct {
	t      *testing.T
	hub    *hub.Hub
	server *Server
	url    string
	inbox  *inbox
	access *access
	people *people
	stop   func() // ends the server and waits for it; harmless when repeated
}

// newWorld starts a server; change may adjust its configuration.
func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, inbox: &inbox{entries: map[string][]ledger.InboxEntry{}}, access: &access{}, people: newPeople()}
	quiet := slog.New(slog.DiscardHandler)
	w.hub = hub.New(hub.Config{Inbox: w.inbox, Access: w.access, Receipts: w.people, Log: quiet})
	cfg := Config{
		Hub: w.hub, Access: w.access, Orders: w.access, Inbox: w.inbox, Tokens: w.people, Sessions: w.people, Revocations: w.people, Drivers: w.people,
		Transporters: fleets{w.people}, Push: w.people, Observer: w.people, Log: quiet,
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if w.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{w.hub.Run, w.server.Run} {
		running.Go(func() { _ = run(ctx) })
	}
	web := httptest.NewServer(w.server)
	w.stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(func() {
		w.stop()
		web.Close()
	})
	w.url = web.URL
	return w
}

// deliver writes an event into the inboxes of its recipients and hands it to the hub.
func (w *world) deliver(kind string, data any, to ...fleet.UserID) ledger.Event {
	w.t.Helper()
	e := w.store(kind, data, to...)
	d := protocol.Delivery{Event: e, Numbers: map[string]int64{}}
	for _, user := range to {
		d.Numbers[string(user)], _ = w.inbox.Head(context.Background(), string(user))
	}
	w.hub.Deliver([]protocol.Delivery{d})
	return e
}

// store writes an event into the inboxes of its recipients only.
func (w *world) store(kind string, data any, to ...fleet.UserID) ledger.Event {
	w.t.Helper()
	body, err := json.Marshal(data)
	if err != nil {
		w.t.Fatal(err)
	}
	e := ledger.Event{ID: fmt.Sprintf("%s-%d", kind, w.inbox.size()), Type: kind, PayloadVersion: 1, At: time.Now(), TripID: trip1, Data: body}
	if kind == "trip_assigned" {
		e.Expires = time.Now().Add(40 * time.Second)
	}
	for _, user := range to {
		w.inbox.add(string(user), e)
	}
	return e
}

// access lets the people of the fixture see their own.
type access struct {
	mu     sync.Mutex
	views  []protocol.TripView
	offers []hub.Offer
	orders []order.State
}

func (a *access) LiveOrders(_ context.Context, who token.Identity) ([]order.State, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if who.Role != fleet.Customer {
		return nil, nil
	}
	return a.orders, nil
}

func (a *access) show(v protocol.TripView) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.views = append(a.views, v)
}

func (a *access) offer(open ...hub.Offer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.offers = append(a.offers, open...)
}

func (a *access) find(match func(protocol.TripView) bool) []protocol.TripView {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []protocol.TripView
	for _, v := range a.views {
		if match(v) {
			out = append(out, v)
		}
	}
	return out
}

func sees(who token.Identity, v protocol.TripView) bool {
	return who.UserID == v.Customer || who.UserID == v.Transporter || who.UserID == v.Driver.ID
}

func (a *access) Watch(_ context.Context, who token.Identity, scope hub.Scope) ([]protocol.TripView, error) {
	found := a.find(func(v protocol.TripView) bool {
		return sees(who, v) && (scope.Kind == hub.Trip && v.TripID == scope.ID || scope.Kind == hub.Order && v.OrderID == scope.ID)
	})
	if scope.Kind == hub.Fleet && scope.ID == string(who.UserID) || scope.Kind == hub.Order && scope.ID == order1 && who.UserID == ravi {
		return found, nil
	}
	if len(found) == 0 {
		return nil, fault.New(fault.NotFound, "NOT_FOUND", "There is no such trip.")
	}
	return found, nil
}

func (a *access) Live(_ context.Context, who token.Identity) ([]protocol.TripView, error) {
	return a.find(func(v protocol.TripView) bool { return sees(who, v) && v.EndedMS == 0 }), nil
}

func (a *access) Offers(context.Context, token.Identity) ([]hub.Offer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.offers), nil
}

type inbox struct {
	mu      sync.Mutex
	entries map[string][]ledger.InboxEntry
	total   int
	broken  bool
}

func (b *inbox) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

func (b *inbox) add(user string, e ledger.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total++
	b.entries[user] = append(b.entries[user], ledger.InboxEntry{Seq: int64(len(b.entries[user]) + 1), Event: e})
}

func (b *inbox) Stream(context.Context) (string, error) { return "s1", nil }

func (b *inbox) Head(_ context.Context, user string) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken {
		return 0, fault.New(fault.Unavailable, "UNAVAILABLE", "away")
	}
	return int64(len(b.entries[user])), nil
}

func (b *inbox) Read(_ context.Context, user string, from int64, limit int) ([]ledger.InboxEntry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []ledger.InboxEntry
	for _, e := range b.entries[user] {
		if e.Seq >= from && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

// people stands for tokens, sessions, actors and push tokens, and remembers what reached them.
type people struct {
	mu      sync.Mutex
	onTrip  string
	onFleet fleet.UserID // whose trip that is
	counts  map[string]int
	changed chan struct{} // closed and renewed at every change
	reports []track.Fix
	push    []string
}

func newPeople() *people {
	return &people{onTrip: trip1, onFleet: asha, counts: map[string]int{}, changed: make(chan struct{})}
}

func (p *people) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteLocked(what)
}

func (p *people) noteLocked(what string) {
	p.counts[what]++
	close(p.changed)
	p.changed = make(chan struct{})
}

// until waits until the condition holds; it is asked again whenever something reached a port.
func (p *people) until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(wait)
	for {
		p.mu.Lock()
		ok, changed := condition(), p.changed
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s did not happen", what)
		}
	}
}

// Delivered and Seen are what becomes of offers.
func (p *people) Delivered(user fleet.UserID, offers []string, _ time.Time) {
	for _, id := range offers {
		p.note("delivered " + id + " to " + string(user))
	}
}

func (p *people) Seen(user fleet.UserID, offer string, _ time.Time) {
	p.note("seen " + offer + " by " + string(user))
}

func (p *people) count(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[what]
}

// VerifyStale knows the tokens of the people by their names.
func (p *people) VerifyStale(access string, _ time.Time, maxAge time.Duration) (token.Identity, error) {
	if maxAge != staleTokenAge {
		return token.Identity{}, token.ErrExpired
	}
	switch access {
	case "asha":
		return token.Identity{UserID: asha, Role: fleet.Transporter, SessionID: "s-asha"}, nil
	case "ravi", "old-revoked", "old-outage": // no ExpiresAt: expired
		return token.Identity{UserID: ravi, Role: fleet.Customer, SessionID: "s-" + access}, nil
	case "revoked", "fresh":
		return token.Identity{UserID: ravi, Role: fleet.Customer, SessionID: "s-" + access, ExpiresAt: time.Now().Add(time.Hour)}, nil
	case "mohan":
		return token.Identity{UserID: mohan, Role: fleet.Driver, SessionID: "s-mohan", TransporterID: asha}, nil
	}
	return token.Identity{}, token.ErrUnauthenticated
}

// Alive knows two sessions that are not well; Revoked knows one.
func (p *people) Alive(_ context.Context, sid string, _ time.Time) (bool, error) {
	if sid == "s-old-outage" {
		return false, errors.New("the store is away")
	}
	return sid != "s-old-revoked", nil
}

func (p *people) Revoked(sid string) bool { return sid == "s-revoked" }

func (p *people) Attach(context.Context, fleet.UserID, fleet.UserID) (protocol.DriverLink, error) {
	p.note("driver attached")
	return link{p}, nil
}

func (p *people) Report(fleet.UserID, track.Fix)                         {}
func (p *people) Beat(fleet.UserID)                                      {}
func (p *people) SetAvailable(context.Context, fleet.UserID, bool) error { return nil }
func (p *people) Get(_ context.Context, driver fleet.UserID) (*protocol.Driver, error) {
	p.note("driver asked")
	return &protocol.Driver{ID: driver, Trip: &protocol.LiveTrip{TripID: p.onTrip, Transporter: p.onFleet}}, nil
}

func (p *people) Register(_ context.Context, _ token.Identity, pushToken string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.push = append(p.push, pushToken)
	p.noteLocked("push")
	return nil
}

func (p *people) In(_, kind string)      { p.note("in " + kind) }
func (p *people) Refused(_, code string) { p.note("refused " + code) }

type link struct{ p *people }

func (l link) Report(fix track.Fix) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	l.p.reports = append(l.p.reports, fix)
	l.p.noteLocked("report")
}
func (l link) Beat()   { l.p.note("beat") }
func (l link) Detach() { l.p.note("driver detached") }

type fleets struct{ p *people }

func (f fleets) Attach(context.Context, fleet.UserID) (func(), error) {
	f.p.note("transporter attached")
	return func() { f.p.note("transporter detached") }, nil
}
func (f fleets) Beat(fleet.UserID)                                      { f.p.note("transporter beat") }
func (f fleets) SetAvailable(context.Context, fleet.UserID, bool) error { return nil }
func (f fleets) Get(context.Context, fleet.UserID) (*protocol.Transporter, error) {
	return &protocol.Transporter{}, nil
}

// client is a Socket.IO client that shows every frame to the test.
type client struct {
	t      *testing.T
	ws     *websocket.Conn
	frames chan string
	code   chan websocket.StatusCode
}

// dial opens a connection and reads the open packet.
func (w *world) dial(headers http.Header) *client {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	url := strings.Replace(w.url, "http://", "ws://", 1) + "/socket.io/?EIO=4&transport=websocket"
	ws, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: headers})
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body // hijacked
	c := &client{t: w.t, ws: ws, frames: make(chan string, 1024), code: make(chan websocket.StatusCode, 1)}
	w.t.Cleanup(func() { _ = ws.CloseNow() })
	go c.read()
	if open := c.next(); !strings.HasPrefix(open, `0{"sid":"`) {
		w.t.Fatalf("open packet is %s", open)
	}
	return c
}

// connect opens a connection as somebody; rest is added to the auth object.
func (w *world) connect(name, rest string) *client {
	w.t.Helper()
	c := w.dial(nil)
	c.send(fmt.Sprintf(`40{"token":%q%s}`, name, rest))
	if ack := c.next(); !strings.HasPrefix(ack, `40{"sid":"`) {
		w.t.Fatalf("CONNECT of %s was answered %s", name, ack)
	}
	c.event("connected")
	return c
}

func (c *client) read() {
	defer close(c.frames)
	for {
		_, frame, err := c.ws.Read(context.Background())
		if err != nil {
			c.code <- websocket.CloseStatus(err)
			return
		}
		if string(frame) == "2" {
			_ = c.ws.Write(context.Background(), websocket.MessageText, []byte("3"))
			continue
		}
		c.frames <- string(frame)
	}
}

func (c *client) send(frames ...string) {
	c.t.Helper()
	for _, f := range frames {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		err := c.ws.Write(ctx, websocket.MessageText, []byte(f))
		cancel()
		if err != nil {
			c.t.Fatalf("send %s: %v", f, err)
		}
	}
}

// next is the next frame.
func (c *client) next() string {
	c.t.Helper()
	select {
	case f, ok := <-c.frames:
		if !ok {
			c.t.Fatal("the connection is closed")
		}
		return f
	case <-time.After(wait):
		c.t.Fatal("no frame came")
	}
	return ""
}

// event is the payload of the next frame, which must be this event.
func (c *client) event(name string) map[string]any {
	c.t.Helper()
	f := c.next()
	p, err := decodePacket([]byte(f)[1:])
	if err != nil {
		c.t.Fatalf("frame %s: %v", f, err)
	}
	e, err := decodeEvent(p.Data)
	if err != nil || e.Name != name {
		c.t.Fatalf("want event %s, got %s", name, f)
	}
	if len(e.Args) == 0 {
		return nil
	}
	var payload map[string]any
	if err := json.Unmarshal(e.Args[0], &payload); err != nil {
		c.t.Fatalf("payload of %s: %v", f, err)
	}
	return payload
}

// quiet proves that nothing was sent: a ping is answered first.
func (c *client) quiet() {
	c.t.Helper()
	c.send(`42["ping"]`)
	c.event("pong")
}

// closed is the code the server closed with; frames before it are passed over.
func (c *client) closed() int {
	c.t.Helper()
	select {
	case code := <-c.code:
		return int(code)
	case <-time.After(2 * wait):
		c.t.Fatal("the server did not close")
	}
	return 0
}
