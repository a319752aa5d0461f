package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"weelo/internal/audit"
	"weelo/internal/ledger"
)

// Audit reads everything for package audit. It never writes.
type Audit struct{ db *DB }

var _ audit.Rows = Audit{}

// NewAudit makes an Audit.
func NewAudit(db *DB) Audit { return Audit{db} }

// NewFileAudit makes an Audit of a database that was opened elsewhere, read only.
func NewFileAudit(db *sql.DB) Audit { return Audit{&DB{Read: db}} }

// snapshot runs reads that see one state of the database.
func (a Audit) snapshot(ctx context.Context, read func(tx *sql.Tx) error) error {
	tx, err := a.db.Read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("sqlite: audit: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := read(tx); err != nil {
		return fmt.Errorf("sqlite: audit: %w", err)
	}
	return nil
}

// Orders implements audit.Rows.
func (a Audit) Orders(ctx context.Context, after string, limit int) (orders []audit.Order, err error) {
	err = a.snapshot(ctx, func(tx *sql.Tx) error {
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
	err = a.snapshot(ctx, func(tx *sql.Tx) error {
		trips, _, err = auditAggregates(ctx, tx, ledger.Trip, `trip`, after, limit)
		return err
	})
	return trips, err
}

// Letters implements audit.Rows.
func (a Audit) Letters(ctx context.Context, limit int) (letters []audit.Letter, err error) {
	rows, err := a.db.Read.QueryContext(ctx, `SELECT id, recipient, type, due, attempts FROM outbox WHERE channel = 'actor' ORDER BY due, id LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("sqlite: audit: %w", err)
	}
	err = eachRow(rows, func() error {
		var l audit.Letter
		var due int64
		if err := rows.Scan(&l.ID, &l.To, &l.Type, &due, &l.Attempts); err != nil {
			return err
		}
		l.Due = instant(due)
		letters = append(letters, l)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: audit: %w", err)
	}
	return letters, nil
}

func eachRow(rows *sql.Rows, scan func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// auditAggregates reads a page of rows with their history and timers. ids is their list as JSON.
func auditAggregates(ctx context.Context, tx *sql.Tx, kind ledger.Kind, table, after string, limit int) (page []audit.Aggregate, ids string, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, version, owner_epoch, state FROM `+table+` WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
	if err != nil {
		return nil, "", err
	}
	list := []string{}
	if err := eachRow(rows, func() error {
		a := audit.Aggregate{Ref: ledger.Ref{Kind: kind}}
		var state []byte
		if err := rows.Scan(&a.Ref.ID, &a.Version, &a.Epoch, &state); err != nil {
			return err
		}
		a.State = state
		page, list = append(page, a), append(list, a.Ref.ID)
		return nil
	}); err != nil {
		return nil, "", err
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, "", err
	}
	ids = string(text)
	at := make(map[string]*audit.Aggregate, len(page))
	for i := range page {
		at[page[i].Ref.ID] = &page[i]
	}
	return page, ids, auditHistory(ctx, tx, kind, at, ids)
}

func auditHistory(ctx context.Context, tx *sql.Tx, kind ledger.Kind, at map[string]*audit.Aggregate, ids string) error {
	rows, err := tx.QueryContext(ctx, `
		SELECT aggregate_id, version, ordinal, epoch, type, at,
		       CASE WHEN type IN ('order_status', 'trip_status') THEN coalesce(data ->> 'status', '') ELSE '' END
		FROM event WHERE kind = ?1 AND aggregate_id IN (SELECT value FROM json_each(?2))
		ORDER BY aggregate_id, version, ordinal`, string(kind), ids)
	if err != nil {
		return err
	}
	if err := eachRow(rows, func() error {
		var id string
		var l audit.Line
		var when int64
		if err := rows.Scan(&id, &l.Version, &l.Ordinal, &l.Epoch, &l.Type, &when, &l.Status); err != nil {
			return err
		}
		l.At = instant(when)
		at[id].History = append(at[id].History, l)
		return nil
	}); err != nil {
		return err
	}
	rows, err = tx.QueryContext(ctx, `SELECT aggregate_id, name, due, number FROM timer
		WHERE kind = ?1 AND aggregate_id IN (SELECT value FROM json_each(?2)) ORDER BY aggregate_id, name`, string(kind), ids)
	if err != nil {
		return err
	}
	return eachRow(rows, func() error {
		t := ledger.Timer{Ref: ledger.Ref{Kind: kind}}
		var due int64
		if err := rows.Scan(&t.Ref.ID, &t.Name, &due, &t.Number); err != nil {
			return err
		}
		t.Due = instant(due)
		at[t.Ref.ID].Timers = append(at[t.Ref.ID].Timers, t)
		return nil
	})
}

// auditBelongings reads the trips, offers, closings and letters of a page of orders.
func auditBelongings(ctx context.Context, tx *sql.Tx, at map[string]*audit.Order, ids string) error {
	rows, err := tx.QueryContext(ctx, `SELECT order_id, id, version, owner_epoch, state FROM trip
		WHERE order_id IN (SELECT value FROM json_each(?)) ORDER BY order_id, id`, ids)
	if err != nil {
		return err
	}
	if err := eachRow(rows, func() error {
		var of string
		var state []byte
		t := audit.Aggregate{Ref: ledger.Ref{Kind: ledger.Trip}}
		if err := rows.Scan(&of, &t.Ref.ID, &t.Version, &t.Epoch, &state); err != nil {
			return err
		}
		t.State = state
		at[of].Trips = append(at[of].Trips, t)
		return nil
	}); err != nil {
		return err
	}
	rows, err = tx.QueryContext(ctx, `SELECT order_id, id, recipient, wave, version, open, expires, reason, offered_at, closed_at FROM offer
		WHERE order_id IN (SELECT value FROM json_each(?)) ORDER BY order_id, recipient`, ids)
	if err != nil {
		return err
	}
	if err := eachRow(rows, func() error {
		var o ledger.Offer
		var expires, offered int64
		var closed sql.NullInt64
		if err := rows.Scan(&o.OrderID, &o.ID, &o.Recipient, &o.Wave, &o.Version, &o.Open, &expires, &o.Reason, &offered, &closed); err != nil {
			return err
		}
		o.Expires, o.Offered = instant(expires), instant(offered)
		if closed.Valid {
			o.Closed = instant(closed.Int64)
		}
		at[o.OrderID].Offers = append(at[o.OrderID].Offers, o)
		return nil
	}); err != nil {
		return err
	}
	rows, err = tx.QueryContext(ctx, `SELECT DISTINCT i.aggregate_id, i.recipient FROM event e
		JOIN inbox i USING (kind, aggregate_id, version, ordinal)
		WHERE e.kind = 'order' AND e.aggregate_id IN (SELECT value FROM json_each(?)) AND e.type = 'offer_closed'
		ORDER BY i.aggregate_id, i.recipient`, ids)
	if err != nil {
		return err
	}
	if err := eachRow(rows, func() error {
		var of, recipient string
		if err := rows.Scan(&of, &recipient); err != nil {
			return err
		}
		at[of].Told = append(at[of].Told, recipient)
		return nil
	}); err != nil {
		return err
	}
	rows, err = tx.QueryContext(ctx, `SELECT substr(recipient, 7), count(*) FROM outbox
		WHERE channel = 'actor' AND recipient IN (SELECT 'order/' || value FROM json_each(?)) GROUP BY recipient`, ids)
	if err != nil {
		return err
	}
	return eachRow(rows, func() error {
		var of string
		var n int
		if err := rows.Scan(&of, &n); err != nil {
			return err
		}
		at[of].Letters = n
		return nil
	})
}
