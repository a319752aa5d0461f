package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/ledger"
)

// Claimer loads aggregates and fences their older activations.
type Claimer struct{ db *DB }

var _ ledger.Claimer = Claimer{}

// NewClaimer makes a Claimer.
func NewClaimer(db *DB) Claimer { return Claimer{db} }

// The row is locked first, in a CTE of its own, as every lane does.
var claim = onEach(`
	WITH locked AS MATERIALIZED (SELECT id FROM TABLE WHERE id = $1 FOR UPDATE)
	UPDATE TABLE r SET owner_epoch = r.owner_epoch + 1, owner_node = $2
	FROM locked WHERE r.id = locked.id
	RETURNING r.version, r.owner_epoch, r.state`)

const timersOf = `SELECT name, due, number FROM timer WHERE kind = $1 AND aggregate_id = $2 ORDER BY due, name`

// Claim implements ledger.Claimer. Row and timers are of one moment: both statements are one
// transaction, and the row stays locked between them.
func (c Claimer) Claim(ctx context.Context, ref ledger.Ref, node string) (ledger.Claimed, error) {
	var claimed ledger.Claimed
	missing := false
	batch := &pgx.Batch{}
	batch.Queue(claim[ref.Kind], ref.ID, node).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&claimed.Version, &claimed.Epoch, &claimed.State)
		if errors.Is(err, pgx.ErrNoRows) {
			missing, err = true, nil
		}
		return err
	})
	batch.Queue(timersOf, string(ref.Kind), ref.ID).Query(func(rows pgx.Rows) error {
		t := ledger.Timer{Ref: ref}
		_, err := pgx.ForEachRow(rows, []any{&t.Name, &t.Due, &t.Number}, func() error {
			t.Due = t.Due.UTC()
			claimed.Timers = append(claimed.Timers, t)
			return nil
		})
		return err
	})
	if err := c.db.Claims.SendBatch(ctx, batch).Close(); err != nil {
		return ledger.Claimed{}, fmt.Errorf("postgres: claim %s %s: %w", ref.Kind, ref.ID, err)
	}
	if missing {
		return ledger.Claimed{}, fmt.Errorf("claim %s %s: %w", ref.Kind, ref.ID, ledger.ErrMissing)
	}
	return claimed, nil
}

// Timers finds overdue timers.
type Timers struct{ db *DB }

var _ ledger.Timers = Timers{}

// NewTimers makes a Timers.
func NewTimers(db *DB) Timers { return Timers{db} }

// Overdue implements ledger.Timers.
func (s Timers) Overdue(ctx context.Context, before time.Time, after ledger.Timer, limit int) ([]ledger.Timer, error) {
	rows, err := s.db.Claims.Query(ctx, `
		SELECT kind, aggregate_id, name, due, number FROM timer
		WHERE due <= $1 AND (due, kind, aggregate_id, name) > ($3, $4, $5, $6)
		ORDER BY due, kind, aggregate_id, name LIMIT $2`,
		before, limit, after.Due, string(after.Ref.Kind), after.Ref.ID, after.Name)
	if err != nil {
		return nil, fmt.Errorf("postgres: overdue timers: %w", err)
	}
	timers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ledger.Timer, error) {
		var t ledger.Timer
		err := row.Scan(&t.Ref.Kind, &t.Ref.ID, &t.Name, &t.Due, &t.Number)
		t.Due = t.Due.UTC()
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: overdue timers: %w", err)
	}
	return timers, nil
}
