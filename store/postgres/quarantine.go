package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

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
	err := q.db.General.QueryRow(ctx, `
		INSERT INTO quarantine AS q (kind, aggregate_id, command_id, message, strikes, reason, first_at, last_at)
		VALUES ($1, $2, $3, $4, 1, $5, $6, $6)
		ON CONFLICT (kind, aggregate_id, command_id)
		DO UPDATE SET strikes = q.strikes + 1, message = excluded.message, reason = excluded.reason, last_at = excluded.last_at
		RETURNING strikes, releases, last_at`, string(h.Ref.Kind), h.Ref.ID, h.CommandID, h.Message, h.Reason, h.At).Scan(&s.Strikes, &s.Releases, &s.Last)
	if err != nil {
		return ledger.Struck{}, fmt.Errorf("postgres: strike against %s %s: %w", h.Ref.Kind, h.Ref.ID, err)
	}
	s.Last = s.Last.UTC()
	return s, nil
}

// Strikes implements ledger.Quarantine.
func (q Quarantine) Strikes(ctx context.Context, ref ledger.Ref) ([]ledger.Struck, error) {
	rows, err := q.db.General.Query(ctx, `SELECT command_id, strikes, releases, last_at FROM quarantine
		WHERE kind = $1 AND aggregate_id = $2 ORDER BY last_at DESC, command_id LIMIT $3`, string(ref.Kind), ref.ID, ledger.MaxStruck)
	if err != nil {
		return nil, fmt.Errorf("postgres: strikes against %s %s: %w", ref.Kind, ref.ID, err)
	}
	struck, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ledger.Struck, error) {
		var s ledger.Struck
		err := row.Scan(&s.CommandID, &s.Strikes, &s.Releases, &s.Last)
		s.Last = s.Last.UTC()
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: strikes against %s %s: %w", ref.Kind, ref.ID, err)
	}
	return struck, nil
}

// Released implements ledger.Quarantine.
func (q Quarantine) Released(ctx context.Context, since time.Time) ([]ledger.Release, error) {
	rows, err := q.db.General.Query(ctx, `SELECT kind, aggregate_id, command_id, releases, released_at FROM quarantine
		WHERE released_at >= $1 ORDER BY released_at, id LIMIT $2`, since, ledger.MaxReleases)
	if err != nil {
		return nil, fmt.Errorf("postgres: releases from quarantine: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ledger.Release, error) {
		var r ledger.Release
		err := row.Scan(&r.Ref.Kind, &r.Ref.ID, &r.CommandID, &r.Releases, &r.At)
		r.At = r.At.UTC()
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: releases from quarantine: %w", err)
	}
	return list, nil
}

// quarantined reads commands with their carrier. The tables order their keys as bytes.
const quarantined = `SELECT id, kind, aggregate_id, command_id, message, strikes, reason, first_at, last_at, releases, released_at, discarded_at,
	CASE WHEN q.command_id = '' THEN 'actor'
	     WHEN EXISTS (SELECT 1 FROM outbox o WHERE o.id = q.command_id COLLATE "C") THEN 'outbox'
	     WHEN EXISTS (SELECT 1 FROM timer t WHERE t.kind = q.kind COLLATE "C" AND t.aggregate_id = q.aggregate_id COLLATE "C"
	                  AND 'timer:' || t.name || ':' || t.number = q.command_id COLLATE "C") THEN 'timer'
	     ELSE 'client' END FROM quarantine q`

func scanQuarantined(row pgx.CollectableRow) (ledger.Quarantined, error) {
	var c ledger.Quarantined
	var released, discarded *time.Time
	err := row.Scan(&c.ID, &c.Ref.Kind, &c.Ref.ID, &c.CommandID, &c.Message, &c.Strikes, &c.Reason, &c.First, &c.At, &c.Releases, &released, &discarded, &c.Carrier)
	c.First, c.At = c.First.UTC(), c.At.UTC()
	if released != nil {
		c.Released = released.UTC()
	}
	if discarded != nil {
		c.Discarded = discarded.UTC()
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
		return nil, fmt.Errorf("postgres: nothing in quarantine stands %q", which.Standing)
	}
	rows, err := q.db.General.Query(ctx, quarantined+` WHERE `+where+` AND ($1::bigint = 0 OR id < $1) ORDER BY id DESC LIMIT $2`, which.Before, min(which.Limit, ledger.MaxStruck))
	if err != nil {
		return nil, fmt.Errorf("postgres: read quarantine: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanQuarantined)
	if err != nil {
		return nil, fmt.Errorf("postgres: read quarantine: %w", err)
	}
	return list, nil
}

// Release implements ledger.QuarantineDesk.
func (q Quarantine) Release(ctx context.Context, id int64, at time.Time) (ledger.Quarantined, error) {
	return q.settle(ctx, id, func(c ledger.Quarantined) (ledger.Quarantined, error) { return c.Release(at) },
		`UPDATE outbox SET due = $2 WHERE id = $1 AND due > $2`, at.Add(ledger.ReleaseLag))
}

// Discard implements ledger.QuarantineDesk.
func (q Quarantine) Discard(ctx context.Context, id int64, at time.Time) (ledger.Quarantined, error) {
	return q.settle(ctx, id, func(c ledger.Quarantined) (ledger.Quarantined, error) { return c.Discard(at) }, `DELETE FROM outbox WHERE id = $1`)
}

// settle decides about a command while its row is held, and does to its letter what follows.
func (q Quarantine) settle(ctx context.Context, id int64, decide func(ledger.Quarantined) (ledger.Quarantined, error), letter string, args ...any) (after ledger.Quarantined, err error) {
	err = pgx.BeginFunc(ctx, q.db.General, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, quarantined+` WHERE id = $1 FOR UPDATE OF q`, id)
		if err != nil {
			return err
		}
		before, err := pgx.CollectExactlyOneRow(rows, scanQuarantined)
		if errors.Is(err, pgx.ErrNoRows) {
			return ledger.ErrNoCommand
		}
		if err != nil {
			return err
		}
		if after, err = decide(before); err != nil || after == before {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE quarantine SET strikes = $2, releases = $3, released_at = $4, discarded_at = $5 WHERE id = $1`,
			id, after.Strikes, after.Releases, instantOrNull(after.Released), instantOrNull(after.Discarded)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, letter, append([]any{after.CommandID}, args...)...)
		return err
	})
	if err != nil {
		return after, fmt.Errorf("postgres: settle command %d in quarantine: %w", id, err)
	}
	return after, nil
}

func instantOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Prune implements ledger.QuarantineDesk.
func (q Quarantine) Prune(ctx context.Context, before time.Time, most, limit int) (int, error) {
	tag, err := q.db.General.Exec(ctx, `DELETE FROM quarantine WHERE id IN (
		SELECT id FROM (`+quarantined+`) AS c (id, kind, aggregate_id, command_id, message, strikes, reason, first_at, last_at, releases, released_at, discarded_at, carrier)
		WHERE (carrier = 'client' OR carrier = 'actor' AND strikes = 0)
		  AND (greatest(last_at, released_at, discarded_at) < $1 OR id <= (SELECT id FROM quarantine ORDER BY id DESC OFFSET $2 LIMIT 1))
		ORDER BY id LIMIT $3)`, before, most, limit)
	if err != nil {
		return 0, fmt.Errorf("postgres: prune quarantine: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
