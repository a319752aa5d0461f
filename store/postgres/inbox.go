package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"weelo/internal/ledger"
)

// Inbox reads durable events by recipient.
type Inbox struct{ db *DB }

var _ ledger.Inbox = Inbox{}

// NewInbox makes an Inbox.
func NewInbox(db *DB) Inbox { return Inbox{db} }

// Stream implements ledger.Inbox.
func (i Inbox) Stream(ctx context.Context) (string, error) {
	var stream string
	if err := i.db.General.QueryRow(ctx, `SELECT value FROM meta WHERE name = 'stream'`).Scan(&stream); err != nil {
		return "", fmt.Errorf("postgres: stream: %w", err)
	}
	return stream, nil
}

// NewStream gives the database another stream id, after a restore: clients then resynchronise.
func (i Inbox) NewStream(ctx context.Context) (string, error) {
	stream := uuid.NewString()
	if _, err := i.db.General.Exec(ctx, `UPDATE meta SET value = $1 WHERE name = 'stream'`, stream); err != nil {
		return "", fmt.Errorf("postgres: new stream: %w", err)
	}
	return stream, nil
}

// Head implements ledger.Inbox.
func (i Inbox) Head(ctx context.Context, recipient string) (int64, error) {
	var seq int64
	err := i.db.General.QueryRow(ctx, `SELECT seq FROM inbox_head WHERE recipient = $1`, recipient).Scan(&seq)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("postgres: inbox head: %w", err)
	}
	return seq, nil
}

const eventColumnsRead = `e.id, e.type, e.payload_version, e.at, e.expires, coalesce(e.trip_id, ''), coalesce(e.order_id, ''), e.data`

// Read implements ledger.Inbox. Event.Recipients is the reader alone.
func (i Inbox) Read(ctx context.Context, recipient string, from int64, limit int) ([]ledger.InboxEntry, error) {
	rows, err := i.db.General.Query(ctx, `
		SELECT i.seq, `+eventColumnsRead+`
		FROM inbox i JOIN event e USING (kind, aggregate_id, version, ordinal)
		WHERE i.recipient = $1 AND i.seq >= $2 ORDER BY i.seq LIMIT $3`, recipient, from, limit)
	if err != nil {
		return nil, fmt.Errorf("postgres: read inbox: %w", err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ledger.InboxEntry, error) {
		var entry ledger.InboxEntry
		e, err := scanEvent(row, &entry.Seq)
		e.Recipients = []string{recipient}
		entry.Event = e
		return entry, err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: read inbox: %w", err)
	}
	return entries, nil
}

// scanEvent reads eventColumnsRead after some columns of its caller.
func scanEvent(row pgx.CollectableRow, before ...any) (ledger.Event, error) {
	var e ledger.Event
	var expires *time.Time
	err := row.Scan(append(before, &e.ID, &e.Type, &e.PayloadVersion, &e.At, &expires, &e.TripID, &e.OrderID, &e.Data)...)
	e.At = e.At.UTC()
	if expires != nil {
		e.Expires = expires.UTC()
	}
	return e, err
}

// History reads the events of one aggregate.
type History struct{ db *DB }

var _ ledger.History = History{}

// NewHistory makes a History.
func NewHistory(db *DB) History { return History{db} }

// Events implements ledger.History. Recipients are not part of the history.
func (h History) Events(ctx context.Context, ref ledger.Ref, afterVersion int64, limit int) ([]ledger.Recorded, error) {
	rows, err := h.db.General.Query(ctx, `
		SELECT e.version, e.ordinal, `+eventColumnsRead+`
		FROM event e WHERE e.kind = $1 AND e.aggregate_id = $2 AND e.version > $3
		ORDER BY e.version, e.ordinal LIMIT $4`, string(ref.Kind), ref.ID, afterVersion, limit)
	if err != nil {
		return nil, fmt.Errorf("postgres: events of %s %s: %w", ref.Kind, ref.ID, err)
	}
	recorded, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ledger.Recorded, error) {
		var r ledger.Recorded
		e, err := scanEvent(row, &r.Version, &r.Ordinal)
		r.Event = e
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: events of %s %s: %w", ref.Kind, ref.ID, err)
	}
	return recorded, nil
}
