package hub

import (
	"context"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/token"
)

// Codec turns what the hub sends into complete messages of one wire format. One codec serves one
// socket and may know whom it serves (names and phones differ by role). A nil answer means that the
// format has no word for it and nothing is sent. Methods are pure and must not keep their arguments.
type Codec interface {
	// Format names the wire format. Sockets with the same format share an encoded position, so the
	// bytes of Position must not depend on the socket.
	Format() string
	// MaxJoin is how many positions fit into one message, at least 1. With 1, Join is never called.
	MaxJoin() int
	// Position is the complete message of one position. The hub shares it and never changes it.
	Position(p *protocol.Position) []byte
	// Join makes one message of at most MaxJoin messages that Position made.
	Join(messages [][]byte) []byte
	// Event is a numbered event (Seq > 0) or a soft one (Seq 0); some formats need several messages.
	Event(e Event) [][]byte
	// Synced says that everything up to seq was sent.
	Synced(seq int64) [][]byte
	// Trip is the state of a trip for one watch; watch is "" in a resync snapshot.
	Trip(v *protocol.TripView, watch string) [][]byte
	// Unwatched ends a watch; reason is ended, forbidden or reassigned.
	Unwatched(watch, reason string) [][]byte
	// Offer is the state of an open or closed offer.
	Offer(o Offer) [][]byte
	// GoAway asks the client to reconnect after the wait.
	GoAway(wait time.Duration) [][]byte
}

// Event is one event on its way to one recipient.
type Event struct {
	Seq      int64 // number in the recipient's inbox; 0 for a soft event, which is not kept anywhere
	Replayed bool  // read from the inbox because the socket missed it
	ledger.Event
}

// Offer is the state of an order shown to one transporter.
type Offer struct {
	ID       string
	Version  int64
	Open     bool
	Expires  time.Time // of an open one: it is not sent after that
	Data     []byte    // of an open one: a JSON object
	Replayed bool      // read from the rows because the socket has just begun
}

// Receipts keeps what became of offers, for explain. It is called on the way of frames and must not
// block.
type Receipts interface {
	// Delivered: a connection of the user took the messages of these offers.
	Delivered(user fleet.UserID, offerIDs []string, at time.Time)
	// Seen: the user's device says that it shows an offer, which may be any string.
	Seen(user fleet.UserID, offerID string, at time.Time)
}

type noReceipts struct{}

func (noReceipts) Delivered(fleet.UserID, []string, time.Time) {}
func (noReceipts) Seen(fleet.UserID, string, time.Time)        {}

// Transport is the connection under a socket. Write is called by one goroutine at a time and may
// block for at most WriteWait (the hub ends the socket after that); Close may be called by anybody, at
// any time, more than once; it must return within seconds and unblock Write.
type Transport interface {
	Write(message []byte) error
	Close(code int, reason string)
}

// DirectWriter is what a Transport may have as well: TryWrite sends a message only if that needs no
// wait, and tells whether it did. A part that went out counts as sent; the transport sends the rest
// before anything else. It is called by the one writer, like Write.
type DirectWriter interface {
	TryWrite(message []byte) (done bool, err error)
}

// ScopeKind says what a watch is about.
type ScopeKind uint8

// The scopes. ID is a trip id, an order id, a transporter's user id, "" for All, or, for Own, the
// customer's user id: every trip of his, those to come included. Access.Live answers for Own, so
// that a customer needs no watch for each new trip.
const (
	Trip ScopeKind = iota + 1
	Order
	Fleet
	All
	Own
)

// Scope is what a watch is about.
type Scope struct {
	Kind ScopeKind
	ID   string
}

// Access decides who may see what, and reads it. Every refusal about a foreign or an unknown id is
// the same fault NOT_FOUND.
type Access interface {
	// Watch answers the live trips in the scope, newest first, at most 500. A trip scope answers the
	// trip itself, also when it has ended.
	Watch(ctx context.Context, who token.Identity, scope Scope) ([]protocol.TripView, error)
	// Live answers the live trips of who, for the snapshot of a resync.
	Live(ctx context.Context, who token.Identity) ([]protocol.TripView, error)
	// Offers answers the open offers of who; none for anybody but a transporter.
	Offers(ctx context.Context, who token.Identity) ([]Offer, error)
}

// OrderViews is what an Access may have as well: how the live orders stand, for whoever watches
// everything. The newest first, at most 500.
type OrderViews interface {
	OrderViews(ctx context.Context, who token.Identity) ([]protocol.OrderView, error)
}

// Observer counts. It is called on the hot path: it must not block and should not allocate.
type Observer interface {
	// Frames counts messages: fate is out, coalesced (a newer position took its place) or dropped.
	Frames(format, fate string, n int)
	// Sockets tells that the number of sockets of a role changed by delta.
	Sockets(format, role string, delta int)
	// Closed counts sockets that the server ended, by close code.
	Closed(format string, code int)
}

type unobserved struct{}

func (unobserved) Frames(string, string, int)  {}
func (unobserved) Sockets(string, string, int) {}
func (unobserved) Closed(string, int)          {}
