package actors

import (
	"context"
	"errors"
	"fmt"
	"io"

	"weelo/actors/protocol"
	"weelo/internal/ledger"
	"weelo/internal/order"
)

// Orders is how transports reach orders: births are committed here, on the task that was asked, what
// follows is the order's actor's, and reads go to the rows.
type Orders struct {
	cfg   OrdersConfig
	holds holdBook
}

// OrdersConfig is what the façade needs. Observer may be nil.
type OrdersConfig struct {
	Ledger    Ledger
	Router    Router
	Publisher protocol.Publisher
	Policy    order.Policy
	Price     order.PriceCheck
	Matcher   OrderMatcher
	Reads     order.Reads
	Trips     OrderTrips
	Users     Users
	Observer  OrderObserver
	NewID     func() string // a new bare UUID
	Random    io.Reader     // for the names of holds
}

var _ protocol.Orders = (*Orders)(nil)

// NewOrders makes the façade over a router that knows the kind of orders.
func NewOrders(c OrdersConfig) *Orders {
	if c.Observer == nil {
		c.Observer = SilentOrders{}
	}
	return &Orders{cfg: c}
}

// ask sends a command to an order's actor.
func (o *Orders) ask(ctx context.Context, orderID string, m *protocol.OrderCommand) (*protocol.OrderReply, error) {
	if orderID == "" {
		return nil, order.ErrNotFound
	}
	v, err := o.cfg.Router.Ask(ctx, protocol.OrderAddress(orderID), m)
	if err != nil {
		observeRefusal(o.cfg.Observer, m.Do, err)
		return nil, err
	}
	r, ok := v.(*protocol.OrderReply)
	if !ok {
		return nil, fmt.Errorf("actors: an order answered %T", v)
	}
	reply := *r // the actor's answer is shared
	return &reply, nil
}

// Get implements protocol.Orders.
func (o *Orders) Get(ctx context.Context, orderID string, by order.By) (*protocol.OrderReply, error) {
	s, version, err := o.cfg.Reads.Order(ctx, orderID)
	if errors.Is(err, ledger.ErrMissing) || (err == nil && by != (order.By{}) && !s.MaySee(by)) {
		return nil, order.ErrNotFound
	}
	if err != nil {
		return nil, ErrInterrupted.Because(fmt.Errorf("read order: %w", err))
	}
	return &protocol.OrderReply{State: s, Version: version}, nil
}

// Decline implements protocol.Orders.
func (o *Orders) Decline(ctx context.Context, r protocol.OrderRequest) (*protocol.OrderReply, error) {
	return o.ask(ctx, r.OrderID, &protocol.OrderCommand{Do: order.DeclineOffer{By: r.By, Reason: r.Reason}, By: r.By, Repeat: r.Repeat})
}

// Cancel implements protocol.Orders.
func (o *Orders) Cancel(ctx context.Context, r protocol.OrderRequest) (*protocol.OrderReply, error) {
	return o.ask(ctx, r.OrderID, &protocol.OrderCommand{Do: order.Cancel{By: r.By, Reason: r.Reason}, By: r.By, Repeat: r.Repeat})
}

// SearchAgain implements protocol.Orders.
func (o *Orders) SearchAgain(ctx context.Context, r protocol.OrderRequest) (*protocol.OrderReply, error) {
	reply, err := o.ask(ctx, r.OrderID, &protocol.OrderCommand{Do: order.SearchAgain{By: r.By}, By: r.By, Repeat: r.Repeat})
	if errors.Is(err, order.ErrActiveOrder("")) { // refused by the index, which names nobody
		if named := o.noneActive(ctx, r.By.User); named != nil {
			return nil, named
		}
	}
	return reply, err
}

// ContinuePartial implements protocol.Orders.
func (o *Orders) ContinuePartial(ctx context.Context, r protocol.OrderRequest) (*protocol.OrderReply, error) {
	return o.ask(ctx, r.OrderID, &protocol.OrderCommand{Do: order.ContinuePartial{By: r.By}, By: r.By, Repeat: r.Repeat})
}

// Dispute implements protocol.Orders.
func (o *Orders) Dispute(ctx context.Context, r protocol.DisputeRequest) (*protocol.OrderReply, error) {
	c := order.RaiseDispute{By: r.By, DisputeID: o.cfg.NewID(), ReasonCode: r.ReasonCode, Notes: r.Notes}
	return o.ask(ctx, r.OrderID, &protocol.OrderCommand{Do: c, By: r.By, Repeat: r.Repeat})
}

// ResolveDispute implements protocol.Orders. It is repeatable by the state it asks for.
func (o *Orders) ResolveDispute(ctx context.Context, r protocol.DisputeResolution) (*protocol.OrderReply, error) {
	c := order.ResolveDispute{By: r.By, DisputeID: r.DisputeID, Resolution: r.Resolution, Reason: r.Reason}
	return o.ask(ctx, r.OrderID, &protocol.OrderCommand{Do: c, By: r.By})
}

// CancelPreview implements protocol.Orders.
func (o *Orders) CancelPreview(ctx context.Context, orderID string, by order.By) (order.Quote, error) {
	r, err := o.Get(ctx, orderID, by)
	if err != nil {
		return order.Quote{}, err
	}
	rows, err := o.cfg.Trips.TripRows(ctx, r.State.LiveTrips())
	if err != nil {
		return order.Quote{}, ErrInterrupted.Because(fmt.Errorf("read trips of order: %w", err))
	}
	return order.Preview(r.State, by, rows, o.cfg.Ledger.now(), o.cfg.Policy)
}
