package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/ledger"
)

// Outbox hands out durable messages.
type Outbox struct{ db *DB }

var _ ledger.Outbox = Outbox{}

// NewOutbox makes an Outbox.
func NewOutbox(db *DB) Outbox { return Outbox{db} }

// Messages past their deadline are removed in passing, a bounded number each time: they are never
// sent late.
const dropExpired = `
	DELETE FROM outbox WHERE id IN (
		SELECT id FROM outbox WHERE channel = ANY ($1::text[]) AND due <= $2 AND deadline <= $2
		ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED)`

const takeMessages = `
	WITH locked AS MATERIALIZED (
		SELECT id FROM outbox
		WHERE channel = ANY ($1::text[]) AND due <= $2 AND (deadline IS NULL OR deadline > $2)
		ORDER BY due, id LIMIT $3 FOR UPDATE SKIP LOCKED
	), taken AS (
		UPDATE outbox o SET due = $4, attempts = o.attempts + 1
		FROM locked WHERE o.id = locked.id
		RETURNING o.id, o.channel, o.recipient, o.type, o.body, o.deadline, o.attempts - 1 AS before, o.version, o.aggregate_id
	)
	SELECT id, channel, recipient, type, body, deadline, before FROM taken ORDER BY aggregate_id, version, id`

// Take implements ledger.Outbox. The order within one answer is that of each sender's versions.
func (o Outbox) Take(ctx context.Context, channels []string, now time.Time, lease time.Duration, limit int) ([]ledger.Pending, error) {
	var taken []ledger.Pending
	batch := &pgx.Batch{}
	batch.Queue(dropExpired, channels, now)
	batch.Queue(takeMessages, channels, now, limit, now.Add(lease)).Query(func(rows pgx.Rows) (err error) {
		taken, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (ledger.Pending, error) {
			var p ledger.Pending
			var deadline *time.Time
			err := row.Scan(&p.ID, &p.Channel, &p.To, &p.Type, &p.Body, &deadline, &p.Attempts)
			if deadline != nil {
				p.Deadline = deadline.UTC()
			}
			return p, err
		})
		return err
	})
	if err := o.db.Claims.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("postgres: take from outbox: %w", err)
	}
	return taken, nil
}

// Done implements ledger.Outbox.
func (o Outbox) Done(ctx context.Context, id string) error {
	if _, err := o.db.Claims.Exec(ctx, `DELETE FROM outbox WHERE id = $1`, id); err != nil {
		return fmt.Errorf("postgres: outbox message %s done: %w", id, err)
	}
	return nil
}

// Later implements ledger.Outbox.
func (o Outbox) Later(ctx context.Context, id string, at time.Time) error {
	if _, err := o.db.Claims.Exec(ctx, `UPDATE outbox SET due = $2 WHERE id = $1`, id, at); err != nil {
		return fmt.Errorf("postgres: outbox message %s later: %w", id, err)
	}
	return nil
}
