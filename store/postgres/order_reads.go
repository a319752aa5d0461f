package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// OrderReads reads orders as last committed. Orders are written through the ledger only.
type OrderReads struct{ db *DB }

var (
	_ order.Reads     = OrderReads{}
	_ order.LiveReads = OrderReads{}

	_ order.DisputeReads = OrderReads{}
)

// NewOrderReads makes one.
func NewOrderReads(db *DB) OrderReads { return OrderReads{db} }

// Order implements order.Reads.
func (r OrderReads) Order(ctx context.Context, id string) (order.State, int64, error) {
	var version int64
	var state []byte
	err := r.db.General.QueryRow(ctx, `SELECT version, state FROM customer_order WHERE id = $1`, id).Scan(&version, &state)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ledger.ErrMissing
	}
	if err != nil {
		return order.State{}, 0, fmt.Errorf("read order %s: %w", id, err)
	}
	s, err := order.Load(state)
	return s, version, err
}

// Active implements order.Reads.
func (r OrderReads) Active(ctx context.Context, customer fleet.UserID) (order.State, bool, error) {
	found, err := r.collect(ctx, `SELECT state - 'offered' FROM customer_order WHERE customer_id = $1 AND searching`, string(customer))
	if err != nil || len(found) == 0 {
		return order.State{}, false, err
	}
	return found[0], true, nil
}

// OfCustomer implements order.Reads.
func (r OrderReads) OfCustomer(ctx context.Context, customer fleet.UserID, q order.Page) ([]order.State, int, error) {
	names := make([]string, len(q.Statuses))
	for i, s := range q.Statuses {
		names[i] = string(s)
	}
	const where = ` FROM customer_order WHERE customer_id = $1 AND (cardinality($2::text[]) = 0 OR status = ANY ($2::text[]))`
	var total int
	if err := r.db.General.QueryRow(ctx, `SELECT count(*)`+where, string(customer), names).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count orders of customer: %w", err)
	}
	page, err := r.collect(ctx, `SELECT state - 'offered'`+where+` ORDER BY created_at DESC, id LIMIT $4 OFFSET $3`, string(customer), names, q.Offset, q.Limit)
	return page, total, err
}

// OfferedTo implements order.Reads.
func (r OrderReads) OfferedTo(ctx context.Context, transporter fleet.UserID, now time.Time, limit int) ([]order.State, error) {
	return r.collect(ctx, `SELECT jsonb_set(o.state, '{offered}', coalesce(
			(SELECT jsonb_agg(e) FROM jsonb_array_elements(o.state -> 'offered') e WHERE e ->> 't' = f.recipient), '[]'))
		FROM offer f JOIN customer_order o ON o.id = f.order_id
		WHERE f.recipient = $1 AND f.open AND f.expires > $2 AND o.live
		ORDER BY o.created_at DESC, o.id LIMIT $3`, string(transporter), now, limit)
}

// Live implements order.LiveReads.
func (r OrderReads) Live(ctx context.Context, limit int) ([]order.State, error) {
	return r.collect(ctx, `SELECT state - 'offered' FROM customer_order WHERE live ORDER BY created_at DESC, id LIMIT $1`, limit)
}

// Searching implements order.LiveReads.
func (r OrderReads) Searching(ctx context.Context, after string, limit int) ([]string, error) {
	rows, err := r.db.General.Query(ctx, `SELECT id FROM customer_order
		WHERE live AND id > $1 AND (state ->> 'wave')::int > 0 AND NOT coalesce((state ->> 'closed')::boolean, false)
		ORDER BY id LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("searching orders: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("searching orders: %w", err)
	}
	return ids, nil
}

// recentOffers bounds where a hold is looked for.
const recentOffers = 500

// OrderOfHold implements order.Reads.
func (r OrderReads) OrderOfHold(ctx context.Context, transporter fleet.UserID, holdID string) (string, error) {
	var id string
	err := r.db.General.QueryRow(ctx, `SELECT o.id
		FROM (SELECT order_id, offered_at FROM offer WHERE recipient = $1 ORDER BY offered_at DESC LIMIT $3) f
		JOIN customer_order o ON o.id = f.order_id
		WHERE o.state -> 'holds' @> jsonb_build_array(jsonb_build_object('id', $2::text, 'transporterId', $1::text))
		ORDER BY f.offered_at DESC LIMIT 1`, string(transporter), holdID, recentOffers).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ledger.ErrMissing
	}
	if err != nil {
		return "", fmt.Errorf("order of hold %s: %w", holdID, err)
	}
	return id, nil
}

// CancelledSince implements order.Reads.
func (r OrderReads) CancelledSince(ctx context.Context, customer fleet.UserID, since time.Time) ([]int64, error) {
	rows, err := r.db.General.Query(ctx, `SELECT ended FROM (
			SELECT (state ->> 'endedAt')::bigint AS ended FROM customer_order
			WHERE customer_id = $1 AND status = 'cancelled' AND state ->> 'endedBy' = 'customer'
		) c WHERE ended >= $2 ORDER BY ended DESC LIMIT $3`, string(customer), since.UnixMilli(), order.MaxRecentCancels)
	if err != nil {
		return nil, fmt.Errorf("cancellations of customer: %w", err)
	}
	times, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("cancellations of customer: %w", err)
	}
	return times, nil
}

// RowsOfOrder gives the live trips of an order with the version and epoch their rows stand at.
func (r OrderReads) RowsOfOrder(ctx context.Context, orderID string) ([]order.TripRow, error) {
	rows, err := r.db.General.Query(ctx, `SELECT version, owner_epoch, state FROM trip
		WHERE order_id = $1 AND live ORDER BY id LIMIT $2`, orderID, order.MaxTrucks)
	if err != nil {
		return nil, fmt.Errorf("trips of order %s: %w", orderID, err)
	}
	trips, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (order.TripRow, error) {
		var t order.TripRow
		var state []byte
		if err := row.Scan(&t.Version, &t.Epoch, &state); err != nil {
			return t, err
		}
		s, err := trip.Load(state)
		t.State = s
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("trips of order %s: %w", orderID, err)
	}
	return trips, nil
}

func (r OrderReads) collect(ctx context.Context, sql string, args ...any) ([]order.State, error) {
	rows, err := r.db.General.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	orders, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (order.State, error) {
		var state []byte
		if err := row.Scan(&state); err != nil {
			return order.State{}, err
		}
		return order.Load(state)
	})
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	return orders, nil
}
