package order

import (
	"context"
	"math"
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

// DisputeReads gives the orders with disputes, as last committed.
type DisputeReads interface {
	// Disputes gives a page of them, the dispute that was raised last first, without Offered.
	Disputes(ctx context.Context, q DisputePage) ([]State, error)
	// OrderOfDispute gives the order of a dispute, without Offered; ledger.ErrMissing when there is none.
	OrderOfDispute(ctx context.Context, disputeID string) (State, error)
}

// DisputePage is a part of the list of disputes.
type DisputePage struct {
	Which DisputeFilter
	// After is the last dispute of the page before: its id, and when it was raised (Unix ms). Without an id: from the
	// newest on.
	AfterID string
	AfterMS int64
	Limit   int
}

// Behind is where the page begins: its disputes were raised earlier than that, or at that time under a smaller id.
func (q DisputePage) Behind() (ms int64, id string) {
	if q.AfterID == "" {
		return math.MaxInt64, ""
	}
	return q.AfterMS, q.AfterID
}

// DisputeFilter picks disputes.
type DisputeFilter int

// The filters.
const (
	AllDisputes DisputeFilter = iota
	OpenDisputes
	ResolvedDisputes
)

// Page is a part of a list. No statuses: all.
type Page struct {
	Statuses      []Status
	Offset, Limit int
}

// MaxRecentCancels bounds what a cool-down is computed from.
const MaxRecentCancels = 20
