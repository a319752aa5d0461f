package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"weelo/internal/ledger"
)

// Outbox hands out durable messages.
type Outbox struct{ db *DB }

var _ ledger.Outbox = Outbox{}

// NewOutbox makes an Outbox.
func NewOutbox(db *DB) Outbox { return Outbox{db} }

// Take implements ledger.Outbox. The order within one answer is that of each sender's versions.
func (o Outbox) Take(ctx context.Context, channels []string, now time.Time, lease time.Duration, limit int) ([]ledger.Pending, error) {
	if len(channels) == 0 {
		return nil, nil
	}
	if due, err := o.due(ctx, now); err != nil || !due {
		return nil, err
	}
	taken, err := o.take(ctx, channels, now, lease, limit)
	if err != nil {
		return nil, fmt.Errorf("sqlite: take from outbox: %w", err)
	}
	return taken, nil
}

// anyDue is asked each second and nearly always says no, without the lock that writers need.
const anyDue = `SELECT EXISTS (SELECT 1 FROM outbox WHERE due <= ?)`

func (o Outbox) due(ctx context.Context, now time.Time) (due bool, err error) {
	stmt, err := o.db.reading(ctx, anyDue)
	if err == nil {
		err = stmt.QueryRowContext(ctx, micros(now)).Scan(&due)
	}
	if err != nil {
		return false, fmt.Errorf("sqlite: look at outbox: %w", err)
	}
	return due, nil
}

func (o Outbox) take(ctx context.Context, channels []string, now time.Time, lease time.Duration, limit int) ([]ledger.Pending, error) {
	tx, err := o.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	in := "channel IN (?" + strings.Repeat(", ?", len(channels)-1) + ")"
	args := make([]any, 0, len(channels)+2)
	for _, c := range channels {
		args = append(args, c)
	}
	args = append(args, micros(now), micros(now))
	// Messages past their deadline are never sent late.
	if _, err := tx.ExecContext(ctx, `DELETE FROM outbox WHERE id IN (SELECT id FROM outbox
		WHERE `+in+` AND due <= ? AND deadline <= ? LIMIT 1000)`, args...); err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT id, channel, recipient, type, body, deadline, attempts FROM (
		SELECT * FROM outbox WHERE `+in+` AND due <= ? AND (deadline IS NULL OR deadline > ?) ORDER BY due, id LIMIT ?
	) ORDER BY aggregate_id, version, id`, append(args, limit)...)
	if err != nil {
		return nil, err
	}
	taken, err := scanPending(rows)
	if err != nil {
		return nil, err
	}
	for _, p := range taken {
		if _, err := tx.ExecContext(ctx, `UPDATE outbox SET due = ?, attempts = attempts + 1 WHERE id = ?`, micros(now.Add(lease)), p.ID); err != nil {
			return nil, err
		}
	}
	return taken, tx.Commit()
}

func scanPending(rows *sql.Rows) ([]ledger.Pending, error) {
	defer rows.Close()
	var taken []ledger.Pending
	for rows.Next() {
		var p ledger.Pending
		var body []byte
		var deadline sql.NullInt64
		if err := rows.Scan(&p.ID, &p.Channel, &p.To, &p.Type, &body, &deadline, &p.Attempts); err != nil {
			return nil, err
		}
		p.Body = body
		if deadline.Valid {
			p.Deadline = instant(deadline.Int64)
		}
		taken = append(taken, p)
	}
	return taken, rows.Err()
}

// Done implements ledger.Outbox.
func (o Outbox) Done(ctx context.Context, id string) error {
	if _, err := o.db.Write.ExecContext(ctx, `DELETE FROM outbox WHERE id = ?`, id); err != nil {
		return fmt.Errorf("sqlite: outbox message %s done: %w", id, err)
	}
	return nil
}

// Later implements ledger.Outbox.
func (o Outbox) Later(ctx context.Context, id string, at time.Time) error {
	if _, err := o.db.Write.ExecContext(ctx, `UPDATE outbox SET due = ? WHERE id = ?`, micros(at), id); err != nil {
		return fmt.Errorf("sqlite: outbox message %s later: %w", id, err)
	}
	return nil
}
