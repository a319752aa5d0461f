package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

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
	if err := i.db.Read.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'stream'`).Scan(&stream); err != nil {
		return "", fmt.Errorf("sqlite: stream: %w", err)
	}
	return stream, nil
}

// NewStream gives the database another stream id, after a restore: clients then resynchronise.
func (i Inbox) NewStream(ctx context.Context) (string, error) {
	stream := uuid.NewString()
	if _, err := i.db.Write.ExecContext(ctx, `UPDATE meta SET value = ? WHERE name = 'stream'`, stream); err != nil {
		return "", fmt.Errorf("sqlite: new stream: %w", err)
	}
	return stream, nil
}

// Head implements ledger.Inbox.
func (i Inbox) Head(ctx context.Context, recipient string) (int64, error) {
	var seq int64
	err := i.db.Read.QueryRowContext(ctx, `SELECT seq FROM inbox_head WHERE recipient = ?`, recipient).Scan(&seq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("sqlite: inbox head: %w", err)
	}
	return seq, nil
}

const eventColumnsRead = `e.id, e.type, e.payload_version, e.at, e.expires, coalesce(e.trip_id, ''), coalesce(e.order_id, ''), e.data`

// Read implements ledger.Inbox. Event.Recipients is the reader alone.
func (i Inbox) Read(ctx context.Context, recipient string, from int64, limit int) ([]ledger.InboxEntry, error) {
	rows, err := i.db.Read.QueryContext(ctx, `SELECT i.seq, `+eventColumnsRead+`
		FROM inbox i JOIN event e USING (kind, aggregate_id, version, ordinal)
		WHERE i.recipient = ? AND i.seq >= ? ORDER BY i.seq LIMIT ?`, recipient, from, limit)
	if err != nil {
		return nil, fmt.Errorf("sqlite: read inbox: %w", err)
	}
	defer rows.Close()
	var entries []ledger.InboxEntry
	for rows.Next() {
		var entry ledger.InboxEntry
		if entry.Event, err = scanEvent(rows, &entry.Seq); err != nil {
			return nil, fmt.Errorf("sqlite: read inbox: %w", err)
		}
		entry.Event.Recipients = []string{recipient}
		entries = append(entries, entry)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sqlite: read inbox: %w", err)
	}
	return entries, nil
}

// scanEvent reads eventColumnsRead after some columns of its caller.
func scanEvent(rows *sql.Rows, before ...any) (ledger.Event, error) {
	var e ledger.Event
	var at int64
	var expires sql.NullInt64
	var data []byte
	err := rows.Scan(append(before, &e.ID, &e.Type, &e.PayloadVersion, &at, &expires, &e.TripID, &e.OrderID, &data)...)
	e.At, e.Data = instant(at), data
	if expires.Valid {
		e.Expires = instant(expires.Int64)
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
	wrap := func(err error) error { return fmt.Errorf("sqlite: events of %s %s: %w", ref.Kind, ref.ID, err) }
	rows, err := h.db.Read.QueryContext(ctx, `SELECT e.version, e.ordinal, `+eventColumnsRead+`
		FROM event e WHERE e.kind = ? AND e.aggregate_id = ? AND e.version > ?
		ORDER BY e.version, e.ordinal LIMIT ?`, string(ref.Kind), ref.ID, afterVersion, limit)
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close()
	var recorded []ledger.Recorded
	for rows.Next() {
		var r ledger.Recorded
		if r.Event, err = scanEvent(rows, &r.Version, &r.Ordinal); err != nil {
			return nil, wrap(err)
		}
		recorded = append(recorded, r)
	}
	if err := rows.Err(); err != nil {
		return nil, wrap(err)
	}
	return recorded, nil
}
