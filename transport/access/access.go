// Package access is what sockets may watch: it puts internal/access into the words of the hub.
//
// Invariant: whatever the caller may not see and whatever does not exist is the same NOT_FOUND. The
// driver's phone is masked in every view, because a watcher may be the customer.
package access

import (
	"context"

	"weelo/actors/protocol"
	"weelo/internal/access"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/token"
	"weelo/transport/hub"
)

var errNotFound = fault.New(fault.NotFound, "NOT_FOUND", "There is nothing here that you may watch.")

// Access is the hub's and the sockets' view of trips.
type Access struct{ reads *access.Reads }

var _ hub.Access = (*Access)(nil)

// New makes one.
func New(reads *access.Reads) *Access { return &Access{reads: reads} }

// Watch answers the trips in a scope that who may watch.
func (a *Access) Watch(ctx context.Context, who token.Identity, scope hub.Scope) ([]protocol.TripView, error) {
	switch scope.Kind {
	case hub.Trip:
		row, err := a.reads.Trip(ctx, who, scope.ID, errNotFound)
		if err != nil {
			return nil, err
		}
		return a.views(ctx, []access.Row{row})
	case hub.Order:
		rows, err := a.reads.OfOrder(ctx, who, scope.ID)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			return nil, errNotFound // until orders are served, an order is known by its trips
		}
		return a.views(ctx, rows)
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
	rows, err := a.reads.Live(ctx, who)
	if err != nil {
		return nil, err
	}
	return a.views(ctx, rows)
}

// Offers answers the open offers of who. There are none before orders are broadcast.
func (a *Access) Offers(context.Context, token.Identity) ([]hub.Offer, error) { return nil, nil }

// Welcome gives a driver's live trip and his newest fix in history.
func (a *Access) Welcome(ctx context.Context, driver fleet.UserID) (trip string, lastFixMS int64, err error) {
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
