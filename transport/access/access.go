// Package access is what sockets may watch: it puts internal/access into the words of the hub.
//
// Invariant: whatever the caller may not see and whatever does not exist is the same NOT_FOUND. The
// driver's phone is masked in every view, because a watcher may be the customer.
package access

import (
	"context"
	"errors"
	"slices"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/access"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/token"
	"weelo/transport/hub"
)

var errNotFound = fault.New(fault.NotFound, "NOT_FOUND", "There is nothing here that you may watch.")

// Bounds of what somebody is shown when he comes back.
const (
	maxOffers = 50  // open offers of a transporter
	maxOrders = 20  // live orders of a customer
	maxShown  = 500 // live orders on a map
)

// Orders is what is read of orders. The zero value knows none.
type Orders struct {
	Reads  order.Reads
	Live   order.LiveReads // nil: no order is shown on a map
	Waves  []order.Wave    // how far each wave of a search looks
	Offers ledger.Offers
	Now    func() time.Time
}

// Access is the hub's and the sockets' view of trips and offers.
type Access struct {
	reads  *access.Reads
	orders Orders
	shares Shares // nil: no link is good
}

var (
	_ hub.Access     = (*Access)(nil)
	_ hub.OrderViews = (*Access)(nil)
)

// New makes one that knows no orders.
func New(reads *access.Reads) *Access { return &Access{reads: reads} }

// WithOrders makes one that knows them.
func (a *Access) WithOrders(o Orders) *Access {
	return &Access{reads: a.reads, orders: o, shares: a.shares}
}

// Watch answers the trips in a scope that who may watch.
func (a *Access) Watch(ctx context.Context, who token.Identity, scope hub.Scope) ([]protocol.TripView, error) {
	if who.Role == token.Viewer {
		return a.shared(ctx, who, scope)
	}
	switch scope.Kind {
	case hub.Trip:
		row, err := a.reads.Trip(ctx, who, scope.ID, errNotFound)
		if err != nil {
			return nil, err
		}
		return a.views(ctx, []access.Row{row})
	case hub.Order:
		return a.ofOrder(ctx, who, scope.ID)
	case hub.Fleet, hub.Own:
		// A scope is about somebody; only he himself, and for a fleet the transporter, is let in.
		role := fleet.Transporter
		if scope.Kind == hub.Own {
			role = fleet.Customer
		}
		if who.Role != role || scope.ID != string(who.UserID) {
			return nil, errNotFound
		}
		return a.Live(ctx, who)
	case hub.All:
		if who.Role != fleet.Ops {
			return nil, errNotFound
		}
		return a.Live(ctx, who)
	}
	return nil, errNotFound
}

// Live answers the live trips of who, newest first.
func (a *Access) Live(ctx context.Context, who token.Identity) ([]protocol.TripView, error) {
	if who.Role == token.Viewer {
		return nil, errNotFound // he has no trips; he watches one
	}
	rows, err := a.reads.Live(ctx, who)
	if err != nil {
		return nil, err
	}
	return a.views(ctx, rows)
}

// OrderViews answers how the live orders stand, the newest first, to ops only.
func (a *Access) OrderViews(ctx context.Context, who token.Identity) ([]protocol.OrderView, error) {
	if who.Role != fleet.Ops {
		return nil, errNotFound
	}
	if a.orders.Live == nil {
		return nil, nil
	}
	live, err := a.orders.Live.Live(ctx, maxShown)
	if err != nil {
		return nil, err
	}
	views := make([]protocol.OrderView, len(live))
	for i, s := range live {
		views[i] = protocol.ViewOfOrder(s, a.orders.Waves)
	}
	return views, nil
}

// ofOrder answers the live trips of an order to its customer and to ops. Nobody else may watch an order:
// its trips may be of several fleets, which do not see each other's.
func (a *Access) ofOrder(ctx context.Context, who token.Identity, id string) ([]protocol.TripView, error) {
	if who.Role != fleet.Customer && who.Role != fleet.Ops {
		return nil, errNotFound
	}
	rows, err := a.reads.OfOrder(ctx, who, id)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		if err := a.mayWatchOrder(ctx, who, id); err != nil {
			return nil, err
		}
	}
	return a.views(ctx, rows)
}

// mayWatchOrder looks for an order that has no live trip: it may get some.
func (a *Access) mayWatchOrder(ctx context.Context, who token.Identity, id string) error {
	if a.orders.Reads == nil {
		return errNotFound
	}
	s, _, err := a.orders.Reads.Order(ctx, id)
	switch {
	case errors.Is(err, ledger.ErrMissing):
		return errNotFound
	case err != nil:
		return err
	case who.Role != fleet.Ops && (who.UserID == "" || who.UserID != s.CustomerID):
		return errNotFound
	}
	return nil
}

// LiveOrders answers the live orders of a customer, the newest first; none for anybody else.
func (a *Access) LiveOrders(ctx context.Context, who token.Identity) ([]order.State, error) {
	if who.Role != fleet.Customer || a.orders.Reads == nil {
		return nil, nil
	}
	live := slices.DeleteFunc(order.Statuses(), order.Status.Terminal)
	states, _, err := a.orders.Reads.OfCustomer(ctx, who.UserID, order.Page{Statuses: live, Limit: maxOrders})
	return states, err
}

// Offers answers the open offers of a transporter, the newest first; none for anybody else.
func (a *Access) Offers(ctx context.Context, who token.Identity) ([]hub.Offer, error) {
	if who.Role != fleet.Transporter || a.orders.Offers == nil {
		return nil, nil
	}
	rows, err := a.orders.Offers.Open(ctx, string(who.UserID), a.orders.Now(), maxOffers)
	if err != nil {
		return nil, err
	}
	offers := make([]hub.Offer, len(rows))
	for i, o := range rows {
		offers[i] = hub.Offer{ID: o.ID, Version: o.Version, Open: true, Expires: o.Expires, Data: o.Data}
	}
	return offers, nil
}

// Welcome gives a driver's live trip and his newest fix in history.
func (a *Access) Welcome(ctx context.Context, driver token.Identity) (trip string, lastFixMS int64, err error) {
	return a.reads.Welcome(ctx, driver)
}

func (a *Access) views(ctx context.Context, rows []access.Row) ([]protocol.TripView, error) {
	seen, err := a.reads.WithPosition(ctx, rows)
	if err != nil {
		return nil, err
	}
	views := make([]protocol.TripView, len(seen))
	for i := range seen {
		views[i] = protocol.ViewTrip(seen[i].Trip, seen[i].Version, nil)
		if seen[i].HasLast {
			views[i].Live = &seen[i].Last
		}
	}
	return views, nil
}
