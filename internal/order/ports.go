package order

import (
	"context"
	"time"

	"weelo/internal/fleet"
)

// Reads gives orders as last committed, to whoever does not command them. All but Order leave out whom
// the orders were offered to: of a large search that is most of a snapshot.
type Reads interface {
	// Order gives one order and its row's version; ledger.ErrMissing when there is none.
	Order(ctx context.Context, id string) (State, int64, error)
	// Active gives the customer's order with Searching set; ok is false when he has none.
	Active(ctx context.Context, customer fleet.UserID) (s State, ok bool, err error)
	// OfCustomer gives a page of the customer's orders, the newest first, and how many match.
	OfCustomer(ctx context.Context, customer fleet.UserID, q Page) ([]State, int, error)
	// OfferedTo gives the live orders with an offer to the transporter that is open and has not run out,
	// the newest first, each with his entry of Offered.
	OfferedTo(ctx context.Context, transporter fleet.UserID, now time.Time, limit int) ([]State, error)
	// OrderOfHold finds the order with a hold of the transporter among those he was offered;
	// ledger.ErrMissing when there is none.
	OrderOfHold(ctx context.Context, transporter fleet.UserID, holdID string) (orderID string, err error)
	// CancelledSince gives when the customer's own cancellations were, Unix ms, the latest first, at most
	// MaxRecentCancels (RebookWait).
	CancelledSince(ctx context.Context, customer fleet.UserID, since time.Time) ([]int64, error)
}

// LiveReads gives the orders that have not ended, as last committed.
type LiveReads interface {
	// Live gives them, the newest first, without Offered.
	Live(ctx context.Context, limit int) ([]State, error)
	// Searching gives the ids of those whose search has begun and is not over, by id, from the first one
	// behind after on. Whether they lack a truck at this moment is not asked.
	Searching(ctx context.Context, after string, limit int) ([]string, error)
}

// Page is a part of a list. No statuses: all.
type Page struct {
	Statuses      []Status
	Offset, Limit int
}

// MaxRecentCancels bounds what a cool-down is computed from.
const MaxRecentCancels = 20
