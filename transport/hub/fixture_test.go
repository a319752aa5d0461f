package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/token"
	"weelo/transport/hub"
)

// words is a codec that can be read: one short line per message.
type words struct{ join int }

func (c words) Format() string { return fmt.Sprint("words", c.join) }
func (c words) MaxJoin() int   { return c.join }
func (c words) Position(p *protocol.Position) []byte {
	return fmt.Appendf(nil, "pos %s/%d", p.TripID, p.Fix.N)
}
func (c words) Join(ms [][]byte) []byte {
	var b []byte
	for i, m := range ms {
		if i > 0 {
			b = append(b, " + "...)
		}
		b = append(b, m...)
	}
	return b
}

func (c words) Event(e hub.Event) [][]byte {
	replayed := ""
	if e.Replayed {
		replayed = " replayed"
	}
	return [][]byte{fmt.Appendf(nil, "event %d %s%s", e.Seq, e.Type, replayed)}
}
func (c words) Synced(seq int64) [][]byte { return [][]byte{fmt.Appendf(nil, "synced %d", seq)} }
func (c words) Trip(v *protocol.TripView, watch string) [][]byte {
	return [][]byte{fmt.Appendf(nil, "trip %s %s watch=%s", v.TripID, v.Status, watch)}
}

func (c words) Unwatched(watch, reason string) [][]byte {
	return [][]byte{[]byte("unwatched " + watch + " " + reason)}
}

func (c words) Offer(o hub.Offer) [][]byte {
	what := "closed"
	if o.Open {
		what = "open"
	}
	if o.Replayed {
		what += " replayed"
	}
	return [][]byte{fmt.Appendf(nil, "offer %s v%d %s", o.ID, o.Version, what)}
}

func (c words) GoAway(d time.Duration) [][]byte {
	return [][]byte{[]byte("goaway " + d.String())}
}

// pipe is a transport that remembers what was written. A gate, when set, holds every write.
type pipe struct {
	mu     sync.Mutex
	wrote  []string
	code   int
	gate   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newPipe() *pipe { return &pipe{closed: make(chan struct{})} }

func (p *pipe) Write(m []byte) error {
	if gate := p.waits(); gate != nil {
		select {
		case <-gate:
		case <-p.closed:
			return errors.New("closed")
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrote = append(p.wrote, string(m))
	return nil
}

// hold makes every write wait for the gate; nil: no more.
func (p *pipe) hold(gate chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = gate
}

func (p *pipe) waits() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gate
}

func (p *pipe) Close(code int, _ string) {
	p.once.Do(func() {
		p.mu.Lock()
		p.code = code
		p.mu.Unlock()
		close(p.closed)
	})
}

func (p *pipe) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := strings.Join(p.wrote, "\n")
	p.wrote = nil
	return s
}

func (p *pipe) closeCode() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.code
}

// inbox is a ledger.Inbox whose content the test sets. failures makes the next reads fail.
type inbox struct {
	mu       sync.Mutex
	entries  map[string][]ledger.InboxEntry
	failures int
	reads    int
}

func newInbox() *inbox { return &inbox{entries: map[string][]ledger.InboxEntry{}} }

func (b *inbox) add(user string, seqs ...int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range seqs {
		b.entries[user] = append(b.entries[user], ledger.InboxEntry{Seq: n, Event: event(n)})
	}
}

func (b *inbox) Stream(context.Context) (string, error) { return "s1", nil }

func (b *inbox) Head(_ context.Context, user string) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if es := b.entries[user]; len(es) > 0 {
		return es[len(es)-1].Seq, nil
	}
	return 0, nil
}

func (b *inbox) Read(_ context.Context, user string, from int64, limit int) ([]ledger.InboxEntry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	if b.failures > 0 {
		b.failures--
		return nil, errors.New("inbox is away")
	}
	var out []ledger.InboxEntry
	for _, e := range b.entries[user] {
		if e.Seq >= from && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func event(n int64) ledger.Event {
	return ledger.Event{ID: fmt.Sprint("e", n), Type: "trip_status", PayloadVersion: 1, At: time.Now(), Data: []byte(`{}`)}
}

func delivery(user string, seqs ...int64) []protocol.Delivery {
	var ds []protocol.Delivery
	for _, n := range seqs {
		ds = append(ds, protocol.Delivery{Event: event(n), Numbers: map[string]int64{user: n}})
	}
	return ds
}

// access allows everything that is not in forbidden.
type access struct {
	mu        sync.Mutex
	forbidden map[string]bool // "user scope-id"
	offers    []hub.Offer
	orders    []protocol.OrderView
	views     map[hub.Scope][]protocol.TripView
	hold      chan struct{}
}

func newAccess() *access {
	return &access{forbidden: map[string]bool{}, views: map[hub.Scope][]protocol.TripView{}}
}

func (a *access) forbid(user, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forbidden[user+" "+id] = true
}

func (a *access) Watch(_ context.Context, who token.Identity, s hub.Scope) ([]protocol.TripView, error) {
	if a.hold != nil {
		<-a.hold
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.forbidden[string(who.UserID)+" "+s.ID] {
		return nil, fault.New(fault.NotFound, "NOT_FOUND", "Not found.")
	}
	if v, ok := a.views[s]; ok {
		return v, nil
	}
	if s.Kind == hub.Trip {
		return []protocol.TripView{{TripID: s.ID, Status: "in_transit"}}, nil
	}
	return nil, nil
}

func (a *access) OrderViews(context.Context, token.Identity) ([]protocol.OrderView, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.orders, nil
}

func (a *access) Live(context.Context, token.Identity) ([]protocol.TripView, error) {
	return []protocol.TripView{{TripID: "t9", Status: "pending"}}, nil
}

func (a *access) Offers(context.Context, token.Identity) ([]hub.Offer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.offers), nil
}

// receipts notes what became of offers.
type receipts struct {
	mu    sync.Mutex
	lines []string
}

func (r *receipts) Delivered(user fleet.UserID, offers []string, _ time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprint("delivered ", user, " ", offers))
}

func (r *receipts) Seen(user fleet.UserID, offer string, _ time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprint("seen ", user, " ", offer))
}

func (r *receipts) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := strings.Join(r.lines, "\n")
	r.lines = nil
	return s
}

type world struct {
	*hub.Hub
	inbox    *inbox
	access   *access
	receipts *receipts
}

func newWorld() *world {
	w := &world{inbox: newInbox(), access: newAccess(), receipts: &receipts{}}
	w.Hub = hub.New(hub.Config{Inbox: w.inbox, Access: w.access, Receipts: w.receipts})
	return w
}

// identity is a session of somebody; every driver drives for t1.
func identity(user string, role fleet.Role) token.Identity {
	who := token.Identity{UserID: fleet.UserID(user), Role: role, SessionID: "sid-" + user}
	if role == fleet.Driver {
		who.TransporterID = "t1"
	}
	return who
}

// connect attaches a socket and begins it.
func (w *world) connect(t *testing.T, user string, role fleet.Role, device string, r *hub.Resume) (*hub.Socket, *pipe) {
	t.Helper()
	return w.connectAs(t, identity(user, role), device, r)
}

func (w *world) connectAs(t *testing.T, who token.Identity, device string, r *hub.Resume) (*hub.Socket, *pipe) {
	t.Helper()
	p := newPipe()
	s := w.Attach(hub.Attachment{Identity: who, Device: device, Codec: words{join: 64}, Transport: p})
	t.Cleanup(func() { w.Detach(s) })
	plan, err := s.Plan(t.Context(), r, time.Now())
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	if err := s.Begin(t.Context(), plan); err != nil {
		t.Fatalf("begin: %v", err)
	}
	return s, p
}

func pos(trip string, n int64) protocol.Position {
	p := protocol.Position{TripID: trip, OrderID: "order", Transporter: "fleet"}
	p.Fix.N = n
	return p
}
