package actors

import (
	"context"
	"log/slog"
	"time"

	"weelo/actors/protocol"
)

const (
	// searchesPage orders are woken at once, one page every searchesPace: each costs the store a claim.
	searchesPage  = 100
	searchesPace  = 100 * time.Millisecond
	searchesLimit = 5 * time.Second
	searchesRetry = 2 * time.Second
	// searchesLook is when the woken orders look around, counted from the start: by then the grid knows who
	// is there (presence.Roster reads every ten seconds, the first time at once).
	searchesLook = 12 * time.Second
)

// OpenSearches makes the orders that search known to a new task. Once its waves are through, nothing but
// the end of its search would wake such an order, and until then whoever came online would not hear of it.
//
// It wakes them all, so that they register with Searching, and then lets those without a further wave look
// around once more, for whoever came online while no task listened. Of an order beyond maxSearching, a
// late-comer does not hear.
type OpenSearches struct {
	Orders SearchReader
	Router Router
	Log    *slog.Logger
}

// SearchReader is a part of order.LiveReads.
type SearchReader interface {
	Searching(ctx context.Context, after string, limit int) ([]string, error)
}

// Run goes through them once for each of the two, and ends, or ends with ctx.
func (o *OpenSearches) Run(ctx context.Context) error {
	settled := time.NewTimer(searchesLook)
	defer settled.Stop()
	if !o.tell(ctx, protocol.Hint{}) {
		return nil
	}
	select {
	case <-settled.C:
		o.tell(ctx, protocol.LateComer{})
	case <-ctx.Done():
	}
	return nil
}

// tell sends every order that searches a message; false: ctx has ended.
func (o *OpenSearches) tell(ctx context.Context, msg any) bool {
	after := ""
	for told := 0; told < maxSearching; {
		ids, err := o.page(ctx, after)
		wait := searchesPace
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			o.Log.WarnContext(ctx, "searching orders not read; trying again", "component", "actors", "error", err)
			wait = searchesRetry
		case len(ids) == 0:
			return true
		default:
			after = ids[len(ids)-1]
			told += len(ids)
		}
		for _, id := range ids {
			if err := o.Router.Tell(ctx, protocol.OrderAddress(id), msg); err != nil {
				o.Log.WarnContext(ctx, "searching order not woken; its next timer does", "component", "actors", "order", id, "error", err)
			}
		}
		if pause(ctx, wait) != nil {
			return false
		}
	}
	o.Log.WarnContext(ctx, "more orders search than late-comers hear of", "component", "actors", "told", maxSearching)
	return true
}

func (o *OpenSearches) page(ctx context.Context, after string) ([]string, error) {
	once, cancel := context.WithTimeout(ctx, searchesLimit)
	defer cancel()
	return o.Orders.Searching(once, after, searchesPage)
}
