package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"weelo/internal/ledger"
)

// Quarantine counts panics by command and keeps what operators decided about them.
type Quarantine struct{ db *DB }

var (
	_ ledger.Quarantine     = Quarantine{}
	_ ledger.QuarantineDesk = Quarantine{}
)

// NewQuarantine makes a Quarantine.
func NewQuarantine(db *DB) Quarantine { return Quarantine{db} }

// Strike implements ledger.Quarantine.
func (q Quarantine) Strike(ctx context.Context, h ledger.Harm) (ledger.Struck, error) {
	h = h.Storable()
	s := ledger.Struck{CommandID: h.CommandID}
	var last int64
	err := q.db.Write.QueryRowContext(ctx, `INSERT INTO quarantine (kind, aggregate_id, command_id, message, strikes, reason, first_at, last_at)
		VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?6)
		ON CONFLICT (kind, aggregate_id, command_id)
		DO UPDATE SET strikes = strikes + 1, message = excluded.message, reason = excluded.reason, last_at = excluded.last_at
		RETURNING strikes, releases, last_at`, string(h.Ref.Kind), h.Ref.ID, h.CommandID, h.Message, h.Reason, micros(h.At)).Scan(&s.Strikes, &s.Releases, &last)
	if err != nil {
		return ledger.Struck{}, fmt.Errorf("sqlite: strike against %s %s: %w", h.Ref.Kind, h.Ref.ID, err)
	}
	s.Last = instant(last)
	return s, nil
}

// Strikes implements ledger.Quarantine.
func (q Quarantine) Strikes(ctx context.Context, ref ledger.Ref) ([]ledger.Struck, error) {
	struck, err := list(ctx, q.db.Read, func(rows *sql.Rows) (s ledger.Struck, err error) {
		var last int64
		err = rows.Scan(&s.CommandID, &s.Strikes, &s.Releases, &last)
		s.Last = instant(last)
		return s, err
	}, `SELECT command_id, strikes, releases, last_at FROM quarantine
		WHERE kind = ? AND aggregate_id = ? ORDER BY last_at DESC, command_id LIMIT ?`, string(ref.Kind), ref.ID, ledger.MaxStruck)
	if err != nil {
		return nil, fmt.Errorf("sqlite: strikes against %s %s: %w", ref.Kind, ref.ID, err)
	}
	return struck, nil
}

// Released implements ledger.Quarantine.
func (q Quarantine) Released(ctx context.Context, since time.Time) ([]ledger.Release, error) {
	releases, err := list(ctx, q.db.Read, func(rows *sql.Rows) (r ledger.Release, err error) {
		var at int64
		err = rows.Scan(&r.Ref.Kind, &r.Ref.ID, &r.CommandID, &r.Releases, &at)
		r.At = instant(at)
		return r, err
	}, `SELECT kind, aggregate_id, command_id, releases, released_at FROM quarantine
		WHERE released_at >= ? ORDER BY released_at, id LIMIT ?`, micros(since), ledger.MaxReleases)
	if err != nil {
		return nil, fmt.Errorf("sqlite: releases from quarantine: %w", err)
	}
	return releases, nil
}

// quarantined reads commands with their carrier.
const quarantined = `SELECT id, kind, aggregate_id, command_id, message, strikes, reason, first_at, last_at, releases, released_at, discarded_at,
	CASE WHEN q.command_id = '' THEN 'actor'
	     WHEN EXISTS (SELECT 1 FROM outbox o WHERE o.id = q.command_id) THEN 'outbox'
	     WHEN EXISTS (SELECT 1 FROM timer t WHERE t.kind = q.kind AND t.aggregate_id = q.aggregate_id AND 'timer:' || t.name || ':' || t.number = q.command_id) THEN 'timer'
	     ELSE 'client' END AS carrier FROM quarantine q`

func scanQuarantined(rows *sql.Rows) (ledger.Quarantined, error) {
	var c ledger.Quarantined
	var first, last int64
	var released, discarded sql.NullInt64
	err := rows.Scan(&c.ID, &c.Ref.Kind, &c.Ref.ID, &c.CommandID, &c.Message, &c.Strikes, &c.Reason, &first, &last, &c.Releases, &released, &discarded, &c.Carrier)
	c.First, c.At = instant(first), instant(last)
	if released.Valid {
		c.Released = instant(released.Int64)
	}
	if discarded.Valid {
		c.Discarded = instant(discarded.Int64)
	}
	return c, err
}

// standings are the conditions of ledger.Quarantined.Standing.
var standings = map[ledger.Standing]string{
	"":                       `true`,
	ledger.StandsStruck:      `discarded_at IS NULL AND command_id <> '' AND strikes < 3 AND (strikes > 0 OR releases = 0)`,
	ledger.StandsQuarantined: `discarded_at IS NULL AND (strikes >= 3 OR command_id = '' AND strikes > 0)`,
	ledger.StandsReleased:    `discarded_at IS NULL AND strikes = 0 AND releases > 0`,
	ledger.StandsDiscarded:   `discarded_at IS NOT NULL`,
}

// List implements ledger.QuarantineDesk.
func (q Quarantine) List(ctx context.Context, which ledger.QuarantineQuery) ([]ledger.Quarantined, error) {
	where, known := standings[which.Standing]
	if !known {
		return nil, fmt.Errorf("sqlite: nothing in quarantine stands %q", which.Standing)
	}
	found, err := list(ctx, q.db.Read, scanQuarantined, quarantined+` WHERE `+where+` AND (?1 = 0 OR id < ?1) ORDER BY id DESC LIMIT ?2`,
		which.Before, min(which.Limit, ledger.MaxStruck))
	if err != nil {
		return nil, fmt.Errorf("sqlite: read quarantine: %w", err)
	}
	return found, nil
}

// Release implements ledger.QuarantineDesk.
func (q Quarantine) Release(ctx context.Context, id int64, at time.Time) (ledger.Quarantined, error) {
	return q.settle(ctx, id, func(c ledger.Quarantined) (ledger.Quarantined, error) { return c.Release(at) },
		`UPDATE outbox SET due = ?2 WHERE id = ?1 AND due > ?2`, micros(at.Add(ledger.ReleaseLag)))
}

// Discard implements ledger.QuarantineDesk.
func (q Quarantine) Discard(ctx context.Context, id int64, at time.Time) (ledger.Quarantined, error) {
	return q.settle(ctx, id, func(c ledger.Quarantined) (ledger.Quarantined, error) { return c.Discard(at) }, `DELETE FROM outbox WHERE id = ?1`)
}

// settle decides about a command and does to its letter what follows. There is one connection that
// writes.
func (q Quarantine) settle(ctx context.Context, id int64, decide func(ledger.Quarantined) (ledger.Quarantined, error), letter string, args ...any) (after ledger.Quarantined, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("sqlite: settle command %d in quarantine: %w", id, err)
		}
	}()
	tx, err := q.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return after, err
	}
	defer func() { _ = tx.Rollback() }() // after the commit it does nothing
	found, err := list(ctx, tx, scanQuarantined, quarantined+` WHERE id = ?`, id)
	if err != nil {
		return after, err
	}
	if len(found) == 0 {
		return after, ledger.ErrNoCommand
	}
	if after, err = decide(found[0]); err != nil || after == found[0] {
		return after, err
	}
	if _, err = tx.ExecContext(ctx, `UPDATE quarantine SET strikes = ?, releases = ?, released_at = ?, discarded_at = ? WHERE id = ?`,
		after.Strikes, after.Releases, microsOrNull(after.Released), microsOrNull(after.Discarded), id); err != nil {
		return after, err
	}
	if _, err = tx.ExecContext(ctx, letter, append([]any{after.CommandID}, args...)...); err != nil {
		return after, err
	}
	return after, tx.Commit()
}

func microsOrNull(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

// querier is the database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// list reads every row of a query.
func list[T any](ctx context.Context, db querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		all = append(all, one)
	}
	return all, errors.Join(rows.Err(), rows.Close())
}

// Prune implements ledger.QuarantineDesk.
func (q Quarantine) Prune(ctx context.Context, before time.Time, most, limit int) (int, error) {
	result, err := q.db.Write.ExecContext(ctx, `DELETE FROM quarantine WHERE id IN (
		SELECT id FROM (`+quarantined+`) WHERE (carrier = 'client' OR carrier = 'actor' AND strikes = 0)
		  AND (max(last_at, coalesce(released_at, 0), coalesce(discarded_at, 0)) < ?1 OR id <= (SELECT id FROM quarantine ORDER BY id DESC LIMIT 1 OFFSET ?2))
		ORDER BY id LIMIT ?3)`, micros(before), most, limit)
	if err != nil {
		return 0, fmt.Errorf("sqlite: prune quarantine: %w", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("sqlite: prune quarantine: %w", err)
	}
	return int(n), nil
}
