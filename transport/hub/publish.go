package hub

import (
	"encoding/json"
	"fmt"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/token"
)

// topicsOf gives the scopes that a trip belongs to, narrowest first.
func topicsOf(trip, order string, transporter, customer fleet.UserID) [5]Scope {
	t := [5]Scope{{Trip, trip}, {}, {}, {}, {All, ""}}
	if order != "" {
		t[1] = Scope{Order, order}
	}
	if transporter != "" {
		t[2] = Scope{Fleet, string(transporter)}
	}
	if customer != "" {
		t[3] = Scope{Own, string(customer)}
	}
	return t
}

// directly is how many sockets a publisher writes to itself; more are left to a goroutine.
const directly = 16

// Position shows the newest position of a trip to everybody who watches it, each socket once. Nobody
// waits: the sockets get it in their slots, and those that are free are written to as far as they take
// it at once.
func (h *Hub) Position(p protocol.Position) {
	var (
		now    = time.Now()
		topics = topicsOf(p.TripID, p.OrderID, p.Transporter, p.Customer)
		cache  encoded
		space  [directly]*Socket
		free   = space[:0]
	)
	for i, t := range topics {
		if t.Kind == 0 {
			continue
		}
		sh := h.topicShard(t)
		sh.mu.RLock()
		if ws := sh.topics[t]; ws != nil {
			for _, w := range ws.list {
				if w.show(&p, topics[:i], &cache, now) {
					free = append(free, w.socket)
				}
			}
		}
		sh.mu.RUnlock()
	}
	if len(free) > directly {
		many := append([]*Socket(nil), free...) // so that the few stay on the stack
		go writeAll(many)
		return
	}
	writeAll(free)
}

func writeAll(sockets []*Socket) {
	for _, s := range sockets {
		s.writeDirect()
	}
}

// encoded keeps the messages of one position, one per wire format.
type encoded struct {
	n        int
	formats  [4]string
	messages [4][]byte
}

func (e *encoded) of(s *Socket, p *protocol.Position) []byte {
	for i := range e.n {
		if e.formats[i] == s.format {
			return e.messages[i]
		}
	}
	m := s.codec.Position(p)
	if e.n < len(e.formats) {
		e.formats[e.n], e.messages[e.n] = s.format, m
		e.n++
	}
	return m
}

// show offers a position to the watch's socket unless it has it from a narrower watch already. It
// tells whether the caller has to write.
func (w *watch) show(p *protocol.Position, narrower []Scope, cache *encoded, now time.Time) (writer bool) {
	s := w.socket
	message := cache.of(s, p)
	if message == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false
	}
	if !w.ready {
		if len(w.early.list) < 64 {
			w.early.put(p.TripID, message)
		}
		return false
	}
	if len(s.watches) > 1 {
		for _, t := range narrower {
			if t.Kind != 0 && s.watchesLocked(t) {
				return false
			}
		}
	}
	return s.positionLocked(p.TripID, message, now, s.loneLocked())
}

// Deliver hands committed events to the sockets of their recipients.
func (h *Hub) Deliver(ds []protocol.Delivery) {
	for i := range ds {
		for recipient, seq := range ds[i].Numbers {
			for _, s := range h.Sockets(fleet.UserID(recipient)) {
				s.event(seq, ds[i].Event)
			}
		}
	}
}

// TripChanged shows the new state of a trip to every watch it belongs to. Whoever watches the trip itself
// and is not on it any more is let go instead: a watch is as good as the newest state of its trip.
func (h *Hub) TripChanged(v protocol.TripView) {
	for _, t := range topicsOf(v.TripID, v.OrderID, v.Transporter, v.Customer) {
		if t.Kind == 0 {
			continue
		}
		for _, w := range h.watching(t) {
			if t.Kind == Trip && isOthers(&v, w.socket.who) {
				w.socket.unwatched(w, protocol.WatchForbidden)
				continue
			}
			w.socket.tripChanged(w, &v)
		}
	}
}

// isOthers tells whether the state of a trip names somebody else in the place of who.
func isOthers(v *protocol.TripView, who token.Identity) bool {
	on := fleet.UserID("")
	switch who.Role {
	case fleet.Driver:
		if on = v.Driver.ID; on == who.UserID { // and does he still drive for that fleet?
			return v.Transporter != "" && v.Transporter != who.TransporterID
		}
	case fleet.Transporter:
		on = v.Transporter
	case fleet.Customer:
		on = v.Customer
	case token.Viewer:
		return who.Trip != v.TripID
	case fleet.Ops:
	}
	return on != "" && on != who.UserID
}

func (s *Socket) tripChanged(w *watch, v *protocol.TripView) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return
	}
	if !w.ready {
		w.changeLocked(v)
		return
	}
	s.pushAllLocked(s.codec.Trip(v, w.id))
	s.startLocked()
}

// TripEnded lets all watchers of a trip go, and tells them why.
func (h *Hub) TripEnded(e protocol.TripEnded) {
	for _, w := range h.watching(Scope{Trip, e.TripID}) {
		w.socket.unwatched(w, e.Reason)
	}
}

// Notify sends a soft event to the sockets of a user: it has no number and is kept nowhere.
func (h *Hub) Notify(user fleet.UserID, event string, data any) {
	sockets := h.Sockets(user)
	if len(sockets) == 0 {
		return
	}
	body, err := json.Marshal(data)
	if err != nil {
		h.log.Error("soft event cannot be encoded", "event", event, "error", err)
		return
	}
	e := Event{Event: ledger.Event{Type: event, PayloadVersion: 1, At: time.Now(), Data: body}}
	for _, s := range sockets {
		s.notify(s.codec.Event(e))
	}
}

// OrderChanged shows how an order stands to whoever watches everything: ops. It is a soft event.
func (h *Hub) OrderChanged(v protocol.OrderView) {
	watches := h.watching(Scope{Kind: All})
	if len(watches) == 0 {
		return
	}
	e, err := orderEvent(v)
	if err != nil {
		h.log.Error("order cannot be shown", "order", v.OrderID, "error", err)
		return
	}
	for _, w := range watches {
		w.socket.notify(w.socket.codec.Event(e))
	}
}

func orderEvent(v protocol.OrderView) (Event, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return Event{}, fmt.Errorf("write how order %s stands: %w", v.OrderID, err)
	}
	return Event{Event: ledger.Event{Type: "order_view", PayloadVersion: 1, At: time.Now(), OrderID: v.OrderID, Data: body}}, nil
}

// Offers sends the state of committed offers to the sockets of their transporters: of each offer the
// newest version only, and an open one never after its time.
func (h *Hub) Offers(fs []protocol.OfferFrame) {
	for _, f := range fs {
		for _, s := range h.Sockets(f.Transporter) {
			s.offer(Offer{ID: f.ID, Version: f.Version, Open: f.Open, Expires: f.Expires, Data: f.Data})
		}
	}
}

// Disconnect closes every socket of a session or, with an empty session, of the user.
func (h *Hub) Disconnect(user fleet.UserID, sessionID string, closeCode int, reason string) {
	for _, s := range h.Sockets(user) {
		if sessionID == "" || s.who.SessionID == sessionID {
			s.Kill(closeCode, reason)
		}
	}
}
