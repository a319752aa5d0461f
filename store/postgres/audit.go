package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/audit"
	"weelo/internal/ledger"
)

// Audit reads everything for package audit. It never writes.
type Audit struct{ db *DB }

var _ audit.Rows = Audit{}

// NewAudit makes an Audit.
func NewAudit(db *DB) Audit { return Audit{db} }

// snapshot runs reads that see one state of the database.
func (a Audit) snapshot(ctx context.Context, read func(tx pgx.Tx) error) error {
	err := pgx.BeginTxFunc(ctx, a.db.General, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, read)
	if err != nil {
		return fmt.Errorf("postgres: audit: %w", err)
	}
	return nil
}

// Orders implements audit.Rows.
func (a Audit) Orders(ctx context.Context, after string, limit int) (orders []audit.Order, err error) {
	err = a.snapshot(ctx, func(tx pgx.Tx) error {
		rows, ids, err := auditAggregates(ctx, tx, ledger.Order, `customer_order`, after, limit)
		if err != nil {
			return err
		}
		at := make(map[string]*audit.Order, len(rows))
		orders = make([]audit.Order, len(rows))
		for i, r := range rows {
			orders[i].Aggregate = r
			at[r.Ref.ID] = &orders[i]
		}
		return auditBelongings(ctx, tx, at, ids)
	})
	return orders, err
}

// Trips implements audit.Rows.
func (a Audit) Trips(ctx context.Context, after string, limit int) (trips []audit.Aggregate, err error) {
	err = a.snapshot(ctx, func(tx pgx.Tx) error {
		trips, _, err = auditAggregates(ctx, tx, ledger.Trip, `trip`, after, limit)
		return err
	})
	return trips, err
}

// Letters implements audit.Rows.
func (a Audit) Letters(ctx context.Context, limit int) ([]audit.Letter, error) {
	rows, err := a.db.General.Query(ctx, `SELECT id, recipient, type, due, attempts FROM outbox WHERE channel = 'actor' ORDER BY due, id LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("postgres: audit: %w", err)
	}
	letters, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l audit.Letter, err error) {
		err = row.Scan(&l.ID, &l.To, &l.Type, &l.Due, &l.Attempts)
		l.Due = l.Due.UTC()
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: audit: %w", err)
	}
	return letters, nil
}

// eachRow runs a query and scans its rows one by one.
func eachRow(ctx context.Context, tx pgx.Tx, scan func(rows pgx.Rows) error, query string, args ...any) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// auditAggregates reads a page of rows with their history and timers.
func auditAggregates(ctx context.Context, tx pgx.Tx, kind ledger.Kind, table, after string, limit int) (page []audit.Aggregate, ids []string, err error) {
	err = eachRow(ctx, tx, func(rows pgx.Rows) error {
		a := audit.Aggregate{Ref: ledger.Ref{Kind: kind}}
		if err := rows.Scan(&a.Ref.ID, &a.Version, &a.Epoch, &a.State); err != nil {
			return err
		}
		page, ids = append(page, a), append(ids, a.Ref.ID)
		return nil
	}, `SELECT id, version, owner_epoch, state FROM `+table+` WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
	if err != nil {
		return nil, nil, err
	}
	at := make(map[string]*audit.Aggregate, len(page))
	for i := range page {
		at[page[i].Ref.ID] = &page[i]
	}
	err = eachRow(ctx, tx, func(rows pgx.Rows) error {
		var id string
		var l audit.Line
		if err := rows.Scan(&id, &l.Version, &l.Ordinal, &l.Epoch, &l.Type, &l.At, &l.Status); err != nil {
			return err
		}
		l.At = l.At.UTC()
		at[id].History = append(at[id].History, l)
		return nil
	}, `SELECT aggregate_id, version, ordinal, epoch, type, at,
	           CASE WHEN type IN ('order_status', 'trip_status') THEN coalesce(data ->> 'status', '') ELSE '' END
	    FROM event WHERE kind = $1 AND aggregate_id = ANY ($2)
	    ORDER BY aggregate_id, version, ordinal`, string(kind), ids)
	if err != nil {
		return nil, nil, err
	}
	err = eachRow(ctx, tx, func(rows pgx.Rows) error {
		t := ledger.Timer{Ref: ledger.Ref{Kind: kind}}
		if err := rows.Scan(&t.Ref.ID, &t.Name, &t.Due, &t.Number); err != nil {
			return err
		}
		t.Due = t.Due.UTC()
		at[t.Ref.ID].Timers = append(at[t.Ref.ID].Timers, t)
		return nil
	}, `SELECT aggregate_id, name, due, number FROM timer WHERE kind = $1 AND aggregate_id = ANY ($2)
	    ORDER BY aggregate_id, name`, string(kind), ids)
	return page, ids, err
}

// auditBelongings reads the trips, offers, closings and letters of a page of orders.
func auditBelongings(ctx context.Context, tx pgx.Tx, at map[string]*audit.Order, ids []string) error {
	err := eachRow(ctx, tx, func(rows pgx.Rows) error {
		var of string
		t := audit.Aggregate{Ref: ledger.Ref{Kind: ledger.Trip}}
		if err := rows.Scan(&of, &t.Ref.ID, &t.Version, &t.Epoch, &t.State); err != nil {
			return err
		}
		at[of].Trips = append(at[of].Trips, t)
		return nil
	}, `SELECT order_id, id, version, owner_epoch, state FROM trip WHERE order_id = ANY ($1) ORDER BY order_id, id`, ids)
	if err != nil {
		return err
	}
	err = eachRow(ctx, tx, func(rows pgx.Rows) error {
		var o ledger.Offer
		var closed *time.Time
		if err := rows.Scan(&o.OrderID, &o.ID, &o.Recipient, &o.Wave, &o.Version, &o.Open, &o.Expires, &o.Reason, &o.Offered, &closed); err != nil {
			return err
		}
		o.Expires, o.Offered = o.Expires.UTC(), o.Offered.UTC()
		if closed != nil {
			o.Closed = closed.UTC()
		}
		at[o.OrderID].Offers = append(at[o.OrderID].Offers, o)
		return nil
	}, `SELECT order_id, id, recipient, wave, version, open, expires, reason, offered_at, closed_at
	    FROM offer WHERE order_id = ANY ($1) ORDER BY order_id, recipient`, ids)
	if err != nil {
		return err
	}
	err = eachRow(ctx, tx, func(rows pgx.Rows) error {
		var of, recipient string
		if err := rows.Scan(&of, &recipient); err != nil {
			return err
		}
		at[of].Told = append(at[of].Told, recipient)
		return nil
	}, `SELECT DISTINCT i.aggregate_id, i.recipient FROM event e
	    JOIN inbox i USING (kind, aggregate_id, version, ordinal)
	    WHERE e.kind = 'order' AND e.aggregate_id = ANY ($1) AND e.type = 'offer_closed'
	    ORDER BY i.aggregate_id, i.recipient`, ids)
	if err != nil {
		return err
	}
	return eachRow(ctx, tx, func(rows pgx.Rows) error {
		var of string
		var n int
		if err := rows.Scan(&of, &n); err != nil {
			return err
		}
		at[of].Letters = n
		return nil
	}, `SELECT substr(recipient, 7), count(*) FROM outbox
	    WHERE channel = 'actor' AND recipient IN (SELECT 'order/' || id FROM unnest($1::text[]) AS id) GROUP BY recipient`, ids)
}
