package protocol

import (
	"context"

	"weelo/internal/fleet"
	"weelo/internal/order"
)

// OrderAddress is where the order's actor receives.
func OrderAddress(orderID string) Address { return Address{Kind: KindOrder, ID: orderID} }

// Orders is how transports reach orders. The implementation is actors.Orders. Refusals are those of
// internal/order; everywhere also IDEMPOTENCY_KEY_REUSED, BUSY, and Unavailable when the outcome is
// unknown: ask again with the same key.
type Orders interface {
	// Create commits a new order with its first wave and shows it to those it found. Refusals:
	// VALIDATION_ERROR, ACTIVE_ORDER_EXISTS with activeOrderId, REBOOK_COOLDOWN with RetryAfter.
	Create(ctx context.Context, n NewOrder) (*OrderReply, error)
	// Get is an order as last committed, for its customer, for transporters who were shown it, for drivers
	// of its trips and for ops. ORDER_NOT_FOUND for everybody else. The zero By is the server itself.
	Get(ctx context.Context, orderID string, by order.By) (*OrderReply, error)

	// Hold reserves trucks for a transporter; OrderReply.Hold is the hold.
	Hold(ctx context.Context, h HoldRequest) (*OrderReply, error)
	// ExtendHold, ReleaseHold and Confirm find the order by the hold, which must be the caller's own:
	// HOLD_NOT_FOUND otherwise. OrderReply.Hold is the hold afterwards; a confirmed one names its trips.
	ExtendHold(ctx context.Context, h HoldChange) (*OrderReply, error)
	ReleaseHold(ctx context.Context, h HoldChange) (*OrderReply, error)
	// Confirm makes trips of a hold, all or none. CONFIRM_FAILED carries failedAssignments.
	Confirm(ctx context.Context, c ConfirmRequest) (*OrderReply, error)
	// Decline says that a transporter does not want the order.
	Decline(ctx context.Context, o OrderRequest) (*OrderReply, error)

	// Cancel ends the order and its live trips; OrderReply.State.Cancellation says what it cost.
	Cancel(ctx context.Context, o OrderRequest) (*OrderReply, error)
	// CancelPreview says what Cancel would cost now.
	CancelPreview(ctx context.Context, orderID string, by order.By) (order.Quote, error)
	// Dispute raises a dispute; OrderReply.State.Dispute is it.
	Dispute(ctx context.Context, d DisputeRequest) (*OrderReply, error)
	// ResolveDispute ends a dispute, for ops; OrderReply.State.Dispute is it. Refusals: DISPUTE_NOT_FOUND,
	// DISPUTE_RESOLVED when it was resolved otherwise.
	ResolveDispute(ctx context.Context, r DisputeResolution) (*OrderReply, error)
	// SearchAgain lets the order search anew for what it lacks.
	SearchAgain(ctx context.Context, o OrderRequest) (*OrderReply, error)
	// ContinuePartial ends the search and goes on with the trucks there are.
	ContinuePartial(ctx context.Context, o OrderRequest) (*OrderReply, error)
}

// Repeat makes a request repeatable: the client's idempotency key and the hash of what was asked. Empty
// without a key; then the state the request asks for decides.
type Repeat struct{ Key, Hash string }

// NewOrder is what a customer asks for. Order.ID is the façade's to fill in; so is Order.Customer.
type NewOrder struct {
	By    order.By // from the session
	Order order.NewOrder
	Repeat
}

// OrderRequest asks something of an order that needs no more than a reason.
type OrderRequest struct {
	OrderID string
	By      order.By
	Reason  string
	Repeat
}

// HoldRequest asks for trucks of one kind.
type HoldRequest struct {
	OrderID       string
	By            order.By
	Type, Subtype string
	Quantity      int
	Repeat
}

// HoldChange is about a hold the transporter has.
type HoldChange struct {
	HoldID string
	By     order.By
	Repeat
}

// ConfirmRequest names a vehicle and a driver for each truck of a hold.
type ConfirmRequest struct {
	HoldID string
	By     order.By
	Picks  []order.Pick
	Repeat
}

// DisputeRequest is a complaint.
type DisputeRequest struct {
	OrderID           string
	By                order.By
	ReasonCode, Notes string
	Repeat
}

// DisputeResolution is what ops make of a complaint.
type DisputeResolution struct {
	OrderID, DisputeID string
	By                 order.By
	Resolution         order.Resolution
	Reason             string
}

// OrderCommand asks an order to do something. From the façade; the answer is *OrderReply after the
// commit, or a refusal of internal/order. What the command needs from outside (candidates, vehicles,
// drivers, trips) is left out: the order's actor reads it. A second copy is answered like the first: by
// its key where the client sent one, otherwise by the state it asks for.
type OrderCommand struct {
	Do order.Command
	By order.By // the principal whose key it is
	Repeat
}

// CommandID is the client's key, when there is one.
func (c *OrderCommand) CommandID() string { return c.Key }

// MessageName names the command inside, for traces.
func (c *OrderCommand) MessageName() string { return order.CommandName(c.Do) }

// GetOrder asks for the last committed state; see Orders.Get. The answer is *OrderReply.
type GetOrder struct{ By order.By }

// LateComer says that a transporter came online, or got a vehicle free, near an order that searches. No
// answer; a second copy finds him offered. Without a Transporter: somebody may have, while nobody listened.
type LateComer struct{ Transporter fleet.UserID }

// OrderReply is an order as last committed.
type OrderReply struct {
	State    order.State
	Version  int64
	Replayed bool        // the command had been done before
	Hold     *order.Hold // of the commands about holds
}

// ViewOfOrder is the order as it is drawn on a map. The radius is the present wave's, while something is
// looked for.
func ViewOfOrder(s order.State, waves []order.Wave) OrderView {
	t := s.Tally()
	v := OrderView{
		OrderID: s.ID, Status: string(s.Status), Dispatch: string(s.Dispatch), Wave: s.Wave, Pickup: Place(s.Pickup), Drop: Place(s.Drop),
		Trucks: t.Total, Held: t.Held, Assigned: t.Assigned, Filled: t.Filled, Notified: s.Notified, Version: s.Count, EndedMS: s.EndedMS,
	}
	if s.Live && !s.Closed && s.Wave > 0 && t.Searching > 0 && len(waves) > 0 {
		v.RadiusKM = waves[min(s.Wave, len(waves))-1].RadiusKM
	}
	return v
}
