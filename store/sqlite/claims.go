package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"weelo/internal/ledger"
)

// Claimer loads aggregates and fences their older activations.
type Claimer struct{ db *DB }

var _ ledger.Claimer = Claimer{}

// NewClaimer makes a Claimer.
func NewClaimer(db *DB) Claimer { return Claimer{db} }

var claim = onEach(`UPDATE TABLE SET owner_epoch = owner_epoch + 1, owner_node = ? WHERE id = ? RETURNING version, owner_epoch, state`)

// Claim implements ledger.Claimer. Row and timers are of one moment: one transaction reads both.
func (c Claimer) Claim(ctx context.Context, ref ledger.Ref, node string) (ledger.Claimed, error) {
	wrap := func(err error) error {
		return fmt.Errorf("sqlite: claim %s %s: %w", ref.Kind, ref.ID, err)
	}
	ctx, end := span(ctx, "sqlite.claim")
	defer end()
	tx, err := c.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return ledger.Claimed{}, wrap(err)
	}
	defer func() { _ = tx.Rollback() }()
	var claimed ledger.Claimed
	var state []byte
	err = tx.QueryRowContext(ctx, claim[ref.Kind], node, ref.ID).Scan(&claimed.Version, &claimed.Epoch, &state)
	if errors.Is(err, sql.ErrNoRows) {
		err = ledger.ErrMissing
	}
	if err != nil {
		return ledger.Claimed{}, wrap(err)
	}
	claimed.State = state
	rows, err := tx.QueryContext(ctx, `SELECT kind, aggregate_id, name, due, number FROM timer
		WHERE kind = ? AND aggregate_id = ? ORDER BY due, name`, string(ref.Kind), ref.ID)
	if err != nil {
		return ledger.Claimed{}, wrap(err)
	}
	if claimed.Timers, err = scanTimers(rows); err != nil {
		return ledger.Claimed{}, wrap(err)
	}
	if err := tx.Commit(); err != nil {
		return ledger.Claimed{}, wrap(err)
	}
	return claimed, nil
}

func scanTimers(rows *sql.Rows) ([]ledger.Timer, error) {
	defer rows.Close()
	var timers []ledger.Timer
	for rows.Next() {
		var t ledger.Timer
		var due int64
		if err := rows.Scan(&t.Ref.Kind, &t.Ref.ID, &t.Name, &due, &t.Number); err != nil {
			return nil, err
		}
		t.Due = instant(due)
		timers = append(timers, t)
	}
	return timers, rows.Err()
}

// Timers finds overdue timers.
type Timers struct{ db *DB }

var _ ledger.Timers = Timers{}

// NewTimers makes a Timers.
func NewTimers(db *DB) Timers { return Timers{db} }

// Overdue implements ledger.Timers.
func (s Timers) Overdue(ctx context.Context, before time.Time, after ledger.Timer, limit int) ([]ledger.Timer, error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT kind, aggregate_id, name, due, number FROM timer
		WHERE due <= ? AND (due, kind, aggregate_id, name) > (?, ?, ?, ?)
		ORDER BY due, kind, aggregate_id, name LIMIT ?`,
		micros(before), micros(after.Due), string(after.Ref.Kind), after.Ref.ID, after.Name, limit)
	if err != nil {
		return nil, fmt.Errorf("sqlite: overdue timers: %w", err)
	}
	timers, err := scanTimers(rows)
	if err != nil {
		return nil, fmt.Errorf("sqlite: overdue timers: %w", err)
	}
	return timers, nil
}
