package simulate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"weelo/internal/ledger"
	"weelo/internal/track"
	"weelo/internal/world"
	"weelo/transport/wire"
)

// server is a small honest server of trips: enough of REST and of weelo.v1 for a simulation, and
// knobs that make it dishonest, one way each.
type server struct {
	t *testing.T

	showCoarse  bool // shows fixes that are worse than 100 m
	showLate    bool // shows whatever arrives last, repeated and overtaken fixes too
	keepEvent   string
	wrongCounts bool
	refuseEvery int // answers 503 to every n-th request

	mu       sync.Mutex
	requests int
	trips    map[string]*served
	order    []*served // as they were assigned
	sockets  map[string]map[*socket]bool
	byDriver map[string]*served
	tokens   map[string]string // token → user
	phones   map[string]string // customer's phone → user
}

// served is one trip.
type served struct {
	id, driver, customer, status string
	position                     track.Live
	seen                         map[int64]bool
	watchers                     map[*socket]bool
	pickup, drop                 json.RawMessage
	last                         track.Fix
}

// socket is one connection; numbered events are counted per connection, which is enough without
// reconnects.
type socket struct {
	conn *websocket.Conn
	user string
	mu   sync.Mutex
	seq  int64
}

func newServer(t *testing.T, w *world.File) *server {
	t.Helper()
	s := &server{t: t, trips: map[string]*served{}, byDriver: map[string]*served{}, tokens: map[string]string{}, phones: map[string]string{}, sockets: map[string]map[*socket]bool{}}
	for _, tr := range w.Transporters {
		s.tokens[tr.Token] = tr.ID
		for _, d := range tr.Drivers {
			s.tokens[d.Token] = d.ID
		}
	}
	for _, c := range w.Customers {
		s.tokens[c.Token], s.phones[c.Phone] = c.ID, c.ID
	}
	site := httptest.NewServer(s)
	t.Cleanup(site.Close)
	w.BaseURL = site.URL
	return s
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ws/v1" {
		s.socket(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests++; s.refuseEvery > 0 && s.requests%s.refuseEvery == 0 {
		answer(w, http.StatusServiceUnavailable, "BUSY", nil)
		return
	}
	user := s.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	var body struct {
		DriverID, CustomerPhone, Status string
		Pickup, Drop                    json.RawMessage
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/"), "/")
	switch {
	case r.Method == http.MethodPost && parts[0] == "assignments":
		s.assign(w, body.DriverID, body.CustomerPhone, body.Pickup, body.Drop)
	case r.Method == http.MethodPatch && parts[2] == "accept":
		s.move(w, s.trips[parts[1]], user, "driver_accepted")
	case r.Method == http.MethodPatch && parts[2] == "decline":
		s.move(w, s.trips[parts[1]], user, "driver_declined")
	case r.Method == http.MethodPut:
		s.move(w, s.trips[parts[2]], user, body.Status)
	case parts[len(parts)-1] == "active-trip":
		var live any
		if t := s.byDriver[user]; t != nil && t.live() {
			live = map[string]any{"tripId": t.id, "status": t.status, "pickup": t.pickup, "drop": t.drop, "lastLocation": lastLocation(t)}
		}
		answer(w, http.StatusOK, "", live)
	default:
		answer(w, http.StatusNotFound, "NOT_FOUND", nil)
	}
}

func (t *served) live() bool { return t.status != "completed" && t.status != "driver_declined" }

func lastLocation(t *served) any {
	if t.last.TS == 0 {
		return nil
	}
	return map[string]float64{"latitude": t.last.Lat, "longitude": t.last.Lng}
}

func answer(w http.ResponseWriter, status int, code string, data any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"success": code == "", "data": data, "error": map[string]string{"code": code, "message": code}})
}

func (s *server) assign(w http.ResponseWriter, driver, phone string, pickup, drop json.RawMessage) {
	if old := s.byDriver[driver]; old != nil && old.live() {
		answer(w, http.StatusConflict, "DRIVER_BUSY", nil)
		return
	}
	t := &served{id: fmt.Sprintf("trip-%d", len(s.trips)), driver: driver, customer: s.phones[phone], status: "pending", pickup: pickup, drop: drop, seen: map[int64]bool{}, watchers: map[*socket]bool{}}
	s.trips[t.id], s.byDriver[driver] = t, t
	s.order = append(s.order, t)
	answer(w, http.StatusCreated, "", map[string]string{"tripId": t.id})
}

func (s *server) move(w http.ResponseWriter, t *served, user, status string) {
	if t == nil || t.driver != user {
		answer(w, http.StatusNotFound, "ASSIGNMENT_NOT_FOUND", nil)
		return
	}
	t.status = status
	if status != s.keepEvent {
		for c := range s.sockets[t.customer] { // watching or not, as numbered events are
			c.mu.Lock()
			c.seq++
			c.write(s.t, wire.AppendEvent(nil, c.seq, false, &ledger.Event{
				ID: "e", Type: "trip_status", PayloadVersion: 1, TripID: t.id, Data: json.RawMessage(fmt.Sprintf(`{"status":%q}`, status)),
			}))
			c.mu.Unlock()
		}
	}
	answer(w, http.StatusOK, "", map[string]string{})
}

func (c *socket) write(t *testing.T, b []byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
	defer cancel()
	_ = c.conn.Write(ctx, websocket.MessageText, b) // a client that went is not this server's business
}

func (s *server) socket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"weelo.v1"}})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	c := &socket{conn: conn}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.sockets[c.user], c)
	}()
	var m wire.Message
	for {
		_, b, err := conn.Read(r.Context())
		if err != nil || m.Decode(b) != nil {
			return
		}
		s.mu.Lock()
		s.take(c, &m)
		s.mu.Unlock()
	}
}

func (s *server) take(c *socket, m *wire.Message) {
	switch m.Kind {
	case wire.Hello:
		c.user = s.tokens[m.Token]
		if s.sockets[c.user] == nil {
			s.sockets[c.user] = map[*socket]bool{}
		}
		s.sockets[c.user][c] = true
		c.write(s.t, wire.AppendWelcome(nil, wire.Welcome{Conn: "c", User: c.user, Stream: "s", Mode: "live"}))
	case wire.Watch:
		if t := s.trips[m.Trip]; t != nil && t.customer == c.user {
			t.watchers[c] = true
		}
	case wire.Fix:
		s.show(c, m.Fix)
	case wire.Fixes:
		ack := wire.Ack{Re: m.ID}
		t := s.byDriver[c.user]
		for _, one := range m.Batch {
			if t.seen[one.Fix.TS] {
				ack.Duplicate++
			} else {
				ack.Accepted++
			}
			s.show(c, one.Fix)
		}
		if s.wrongCounts {
			ack.Accepted++
		}
		c.write(s.t, wire.AppendAck(nil, ack))
	default: // the simulation sends nothing else
	}
}

// show puts a fix on the watchers' screens if it moves the position.
func (s *server) show(c *socket, f track.Fix) {
	t := s.byDriver[c.user]
	t.seen[f.TS], t.last = true, f
	var v track.Verdict
	t.position, v = t.position.Judge(f, time.Now(), track.DefaultRules())
	switch {
	case v == track.Moved, s.showLate && v == track.Late, s.showCoarse && v == track.Coarse:
	default:
		return
	}
	for w := range t.watchers {
		w.write(s.t, wire.AppendPosition(nil, t.id, f))
	}
}
