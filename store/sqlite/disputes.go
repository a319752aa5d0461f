package sqlite

import (
	"context"

	"weelo/internal/ledger"
	"weelo/internal/order"
)

// disputesAre are the conditions of the filters, as the indexes have them.
var disputesAre = map[order.DisputeFilter]string{
	order.AllDisputes:      `dispute_id IS NOT NULL`,
	order.OpenDisputes:     `dispute_open`,
	order.ResolvedDisputes: `dispute_id IS NOT NULL AND NOT dispute_open`,
}

// Disputes implements order.DisputeReads.
func (r OrderReads) Disputes(ctx context.Context, q order.DisputePage) ([]order.State, error) {
	behindMS, behindID := q.Behind()
	return r.collect(ctx, `SELECT json_remove(state, '$.offered') FROM customer_order
		WHERE `+disputesAre[q.Which]+` AND (dispute_at, dispute_id) < (?, ?)
		ORDER BY dispute_at DESC, dispute_id DESC LIMIT ?`, behindMS, behindID, q.Limit)
}

// OrderOfDispute implements order.DisputeReads.
func (r OrderReads) OrderOfDispute(ctx context.Context, disputeID string) (order.State, error) {
	found, err := r.collect(ctx, `SELECT json_remove(state, '$.offered') FROM customer_order WHERE dispute_id = ? LIMIT 1`, disputeID)
	switch {
	case err != nil:
		return order.State{}, err
	case len(found) == 0:
		return order.State{}, ledger.ErrMissing
	default:
		return found[0], nil
	}
}
