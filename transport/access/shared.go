package access

import (
	"context"

	"weelo/actors/protocol"
	"weelo/internal/access"
	"weelo/internal/share"
	"weelo/internal/token"
	"weelo/transport/hub"
)

// Shares tells which share links are good: *share.Desk.
type Shares interface {
	Good(ctx context.Context, ids []string) (map[string]share.Link, error)
}

// WithShares makes one that lets viewers of share links watch their trip.
func (a *Access) WithShares(s Shares) *Access {
	return &Access{reads: a.reads, orders: a.orders, shares: s}
}

// shared answers the one trip of a link that is good. A position from before the link was made is history
// and is not shown.
func (a *Access) shared(ctx context.Context, who token.Identity, scope hub.Scope) ([]protocol.TripView, error) {
	if scope.Kind != hub.Trip || a.shares == nil || who.Trip == "" || scope.ID != who.Trip {
		return nil, errNotFound
	}
	good, err := a.shares.Good(ctx, []string{who.SessionID})
	if err != nil {
		return nil, err
	}
	link, ok := good[who.SessionID]
	if !ok || link.TripID != who.Trip {
		return nil, errNotFound
	}
	row, err := a.reads.Trip(ctx, who, who.Trip, errNotFound)
	if err != nil {
		return nil, err
	}
	views, err := a.views(ctx, []access.Row{row})
	if err == nil && views[0].Live != nil && views[0].Live.TS < link.CreatedAt.UnixMilli() {
		views[0].Live = nil
	}
	return views, err
}
