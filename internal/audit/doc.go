// Package audit holds what is stored against the invariants of dispatch, by the numbers of
// docs/invariants.md: after a simulation, after a crash, after a restore, and whenever an operator asks
// (weelo inspect check).
//
// It reads rows only and changes nothing. An order is read together with its trips, offers, timers and
// letters in one snapshot, so that a running server cannot make it look torn; what is only true when
// nothing is under way is judged when Options.Quiet says so.
//
// Invariants: it judges every order and trip, in pages; what it keeps of them (breaches, spans of
// drivers and vehicles) is bounded, and the report says when a bound was met.
package audit

import (
	"context"
	"encoding/json"
	"time"

	"weelo/internal/ledger"
)

// Rows is what a store gives to an audit.
type Rows interface {
	// Orders gives orders with an id after the given one, by id, at most limit, each with everything
	// that belongs to it, in one snapshot.
	Orders(ctx context.Context, after string, limit int) ([]Order, error)
	// Trips gives trips in the same way, those without an order too.
	Trips(ctx context.Context, after string, limit int) ([]Aggregate, error)
	// Letters gives the durable messages between actors that wait, the oldest first, at most limit.
	Letters(ctx context.Context, limit int) ([]Letter, error)
}

// Aggregate is one order or trip as stored, with its history and armed timers.
type Aggregate struct {
	Ref     ledger.Ref
	Version int64
	Epoch   int64
	State   json.RawMessage
	History []Line         // by version and ordinal
	Timers  []ledger.Timer // by name
}

// Line is one line of an aggregate's history.
type Line struct {
	Version int64
	Ordinal int
	Epoch   int64
	Type    string
	At      time.Time
	Status  string // data.status of an order_status or trip_status
}

// Order is an order and what belongs to it.
type Order struct {
	Aggregate
	Trips   []Aggregate    // by id, without history and timers
	Offers  []ledger.Offer // by recipient, without data
	Told    []string       // recipients with its offer_closed in their inbox, sorted
	Letters int            // to this order, not delivered yet
}

// Letter is a durable message that waits.
type Letter struct {
	ID       string
	To       string
	Type     string
	Due      time.Time
	Attempts int
}
