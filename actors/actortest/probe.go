package actortest

import (
	"context"
	"sync"
	"time"

	"weelo/actors"
	"weelo/actors/protocol"
	"weelo/internal/fleet"
)

// Probe plays the actors of one kind and remembers what they were told.
type Probe struct {
	name string
	mu   sync.Mutex
	got  []Told
}

// Told is one message that an actor of the probe got.
type Told struct {
	To  string // the actor's id
	Msg any
}

// NewProbe plays a kind.
func NewProbe(kind string) *Probe { return &Probe{name: kind} }

// Kind is what to register.
func (p *Probe) Kind() actors.Kind {
	return actors.Kind{
		Name: p.name, Queue: 1000, Idle: time.Hour, MaxLive: 1000,
		New: func(_ context.Context, self *actors.Self) (actors.Actor, error) { return probed{p, self}, nil },
	}
}

// Take gives what arrived since the last Take.
func (p *Probe) Take() []Told {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.got
	p.got = nil
	return got
}

type probed struct {
	of   *Probe
	self *actors.Self
}

func (p probed) Receive(_ context.Context, msg any, reply actors.Reply) {
	p.of.mu.Lock()
	p.of.got = append(p.of.got, Told{To: p.self.ID(), Msg: msg})
	p.of.mu.Unlock()
	reply.Answer(nil)
}

func (probed) Passivate(context.Context) bool { return true }

// Hub is a Publisher that remembers.
type Hub struct {
	mu        sync.Mutex
	positions []protocol.Position
	delivered []protocol.Delivery
	views     []protocol.TripView
	ended     []protocol.TripEnded
	notes     []Note
	offers    []protocol.OfferFrame
}

// Note is a soft event that was sent to a user.
type Note struct {
	User  fleet.UserID
	Event string
	Data  any
}

var _ protocol.Publisher = (*Hub)(nil)

// Position implements protocol.Publisher.
func (h *Hub) Position(p protocol.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.positions = append(h.positions, p)
}

// Deliver implements protocol.Publisher.
func (h *Hub) Deliver(ds []protocol.Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.delivered = append(h.delivered, ds...)
}

// Offers implements protocol.Publisher.
func (h *Hub) Offers(fs []protocol.OfferFrame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offers = append(h.offers, fs...)
}

// TripChanged implements protocol.Publisher.
func (h *Hub) TripChanged(v protocol.TripView) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.views = append(h.views, v)
}

// TripEnded implements protocol.Publisher.
func (h *Hub) TripEnded(e protocol.TripEnded) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = append(h.ended, e)
}

// Notify implements protocol.Publisher.
func (h *Hub) Notify(user fleet.UserID, event string, data any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notes = append(h.notes, Note{User: user, Event: event, Data: data})
}

// Disconnect implements protocol.Publisher; nothing in actors calls it.
func (h *Hub) Disconnect(fleet.UserID, string, int, string) {}

// Positions gives the positions since the last call.
func (h *Hub) Positions() []protocol.Position { return take(h, &h.positions) }

// Delivered gives the events since the last call.
func (h *Hub) Delivered() []protocol.Delivery { return take(h, &h.delivered) }

// Shown gives the offers since the last call.
func (h *Hub) Shown() []protocol.OfferFrame { return take(h, &h.offers) }

// Views gives the trip frames since the last call.
func (h *Hub) Views() []protocol.TripView { return take(h, &h.views) }

// Ended gives the ended trips since the last call.
func (h *Hub) Ended() []protocol.TripEnded { return take(h, &h.ended) }

// Notes gives the soft events since the last call.
func (h *Hub) Notes() []Note { return take(h, &h.notes) }

func take[T any](h *Hub, list *[]T) []T {
	h.mu.Lock()
	defer h.mu.Unlock()
	got := *list
	*list = nil
	return got
}
