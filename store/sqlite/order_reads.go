package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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
	err := r.db.Read.QueryRowContext(ctx, `SELECT version, state FROM customer_order WHERE id = ?`, id).Scan(&version, &state)
	if errors.Is(err, sql.ErrNoRows) {
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
	found, err := r.collect(ctx, `SELECT json_remove(state, '$.offered') FROM customer_order WHERE customer_id = ? AND searching`, string(customer))
	if err != nil || len(found) == 0 {
		return order.State{}, false, err
	}
	return found[0], true, nil
}

// OfCustomer implements order.Reads.
func (r OrderReads) OfCustomer(ctx context.Context, customer fleet.UserID, q order.Page) ([]order.State, int, error) {
	names, err := json.Marshal(append([]order.Status{}, q.Statuses...))
	if err != nil {
		return nil, 0, fmt.Errorf("orders of customer: %w", err)
	}
	const where = ` FROM customer_order WHERE customer_id = ?1 AND (json_array_length(?2) = 0 OR status IN (SELECT value FROM json_each(?2)))`
	var total int
	if err := r.db.Read.QueryRowContext(ctx, `SELECT count(*)`+where, string(customer), string(names)).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count orders of customer: %w", err)
	}
	page, err := r.collect(ctx, `SELECT json_remove(state, '$.offered')`+where+` ORDER BY created_at DESC, id LIMIT ?4 OFFSET ?3`, string(customer), string(names), q.Offset, q.Limit)
	return page, total, err
}

// OfferedTo implements order.Reads.
func (r OrderReads) OfferedTo(ctx context.Context, transporter fleet.UserID, now time.Time, limit int) ([]order.State, error) {
	return r.collect(ctx, `SELECT json_set(o.state, '$.offered', json(
			(SELECT json_group_array(json(e.value)) FROM json_each(o.state, '$.offered') e WHERE e.value ->> 't' = f.recipient)))
		FROM offer f JOIN customer_order o ON o.id = f.order_id
		WHERE f.recipient = ? AND f.open AND f.expires > ? AND o.live
		ORDER BY o.created_at DESC, o.id LIMIT ?`, string(transporter), micros(now), limit)
}

// Live implements order.LiveReads.
func (r OrderReads) Live(ctx context.Context, limit int) ([]order.State, error) {
	return r.collect(ctx, `SELECT json_remove(state, '$.offered') FROM customer_order WHERE live ORDER BY created_at DESC, id LIMIT ?`, limit)
}

// Searching implements order.LiveReads.
func (r OrderReads) Searching(ctx context.Context, after string, limit int) ([]string, error) {
	rows, err := r.db.Read.QueryContext(ctx, `SELECT id FROM customer_order
		WHERE live AND id > ? AND state ->> 'wave' > 0 AND NOT coalesce(state ->> 'closed', 0)
		ORDER BY id LIMIT ?`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("searching orders: %w", err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("searching orders: %w", err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("searching orders: %w", err)
	}
	return ids, nil
}

// recentOffers bounds where a hold is looked for.
const recentOffers = 500

// OrderOfHold implements order.Reads.
func (r OrderReads) OrderOfHold(ctx context.Context, transporter fleet.UserID, holdID string) (string, error) {
	var id string
	err := r.db.Read.QueryRowContext(ctx, `SELECT o.id
		FROM (SELECT order_id, offered_at FROM offer WHERE recipient = ?1 ORDER BY offered_at DESC LIMIT ?3) f
		JOIN customer_order o ON o.id = f.order_id
		WHERE EXISTS (SELECT 1 FROM json_each(o.state, '$.holds') h WHERE h.value ->> 'id' = ?2 AND h.value ->> 'transporterId' = ?1)
		ORDER BY f.offered_at DESC LIMIT 1`, string(transporter), holdID, recentOffers).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = ledger.ErrMissing
	}
	if err != nil {
		return "", fmt.Errorf("order of hold %s: %w", holdID, err)
	}
	return id, nil
}

// CancelledSince implements order.Reads.
func (r OrderReads) CancelledSince(ctx context.Context, customer fleet.UserID, since time.Time) ([]int64, error) {
	rows, err := r.db.Read.QueryContext(ctx, `SELECT state ->> 'endedAt' AS ended FROM customer_order
		WHERE customer_id = ? AND status = 'cancelled' AND state ->> 'endedBy' = 'customer' AND state ->> 'endedAt' >= ?
		ORDER BY ended DESC LIMIT ?`, string(customer), since.UnixMilli(), order.MaxRecentCancels)
	if err != nil {
		return nil, fmt.Errorf("cancellations of customer: %w", err)
	}
	defer rows.Close()
	var times []int64
	for rows.Next() {
		var ended int64
		if err := rows.Scan(&ended); err != nil {
			return nil, fmt.Errorf("cancellations of customer: %w", err)
		}
		times = append(times, ended)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cancellations of customer: %w", err)
	}
	return times, nil
}

// RowsOfOrder gives the live trips of an order with the version and epoch their rows stand at.
func (r OrderReads) RowsOfOrder(ctx context.Context, orderID string) ([]order.TripRow, error) {
	wrap := func(err error) error { return fmt.Errorf("trips of order %s: %w", orderID, err) }
	rows, err := r.db.Read.QueryContext(ctx, `SELECT version, owner_epoch, state FROM trip
		WHERE order_id = ? AND live ORDER BY id LIMIT ?`, orderID, order.MaxTrucks)
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close()
	var trips []order.TripRow
	for rows.Next() {
		var t order.TripRow
		var state []byte
		if err := rows.Scan(&t.Version, &t.Epoch, &state); err != nil {
			return nil, wrap(err)
		}
		if t.State, err = trip.Load(state); err != nil {
			return nil, wrap(err)
		}
		trips = append(trips, t)
	}
	if err := rows.Err(); err != nil {
		return nil, wrap(err)
	}
	return trips, nil
}

func (r OrderReads) collect(ctx context.Context, text string, args ...any) ([]order.State, error) {
	rows, err := r.db.Read.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	defer rows.Close()
	var orders []order.State
	for rows.Next() {
		var state []byte
		if err := rows.Scan(&state); err != nil {
			return nil, fmt.Errorf("read orders: %w", err)
		}
		s, err := order.Load(state)
		if err != nil {
			return nil, fmt.Errorf("read orders: %w", err)
		}
		orders = append(orders, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	return orders, nil
}
