package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/ledger"
)

// Quarantine counts panics by command.
type Quarantine struct{ db *DB }

var _ ledger.Quarantine = Quarantine{}

// NewQuarantine makes a Quarantine.
func NewQuarantine(db *DB) Quarantine { return Quarantine{db} }

// Strike implements ledger.Quarantine.
func (q Quarantine) Strike(ctx context.Context, ref ledger.Ref, commandID, reason string, at time.Time) (int, error) {
	var strikes int
	err := q.db.General.QueryRow(ctx, `
		INSERT INTO quarantine AS q (kind, aggregate_id, command_id, strikes, reason, first_at, last_at)
		VALUES ($1, $2, $3, 1, $4, $5, $5)
		ON CONFLICT (kind, aggregate_id, command_id)
		DO UPDATE SET strikes = q.strikes + 1, reason = excluded.reason, last_at = excluded.last_at
		RETURNING strikes`, string(ref.Kind), ref.ID, commandID, reason, at).Scan(&strikes)
	if err != nil {
		return 0, fmt.Errorf("postgres: strike against %s %s: %w", ref.Kind, ref.ID, err)
	}
	return strikes, nil
}

// Strikes implements ledger.Quarantine.
func (q Quarantine) Strikes(ctx context.Context, ref ledger.Ref) ([]ledger.Struck, error) {
	rows, err := q.db.General.Query(ctx, `SELECT command_id, strikes, last_at FROM quarantine
		WHERE kind = $1 AND aggregate_id = $2 ORDER BY last_at DESC, command_id LIMIT $3`, string(ref.Kind), ref.ID, ledger.MaxStruck)
	if err != nil {
		return nil, fmt.Errorf("postgres: strikes against %s %s: %w", ref.Kind, ref.ID, err)
	}
	struck, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ledger.Struck, error) {
		var s ledger.Struck
		err := row.Scan(&s.CommandID, &s.Strikes, &s.Last)
		s.Last = s.Last.UTC()
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: strikes against %s %s: %w", ref.Kind, ref.ID, err)
	}
	return struck, nil
}

// Pruner removes what retention lets go.
type Pruner struct{ db *DB }

var _ ledger.Pruner = Pruner{}

// NewPruner makes a Pruner.
func NewPruner(db *DB) Pruner { return Pruner{db} }

// pruneBatch bounds how many rows one statement removes, and so how long it holds them.
const pruneBatch = 5000

// Prune implements ledger.Pruner.
func (p Pruner) Prune(ctx context.Context, now time.Time, r ledger.Retention) (ledger.Pruned, error) {
	r = r.WithDefaults()
	var done ledger.Pruned
	inbox, err := p.prune(ctx, `DELETE FROM inbox WHERE ctid = ANY (ARRAY (SELECT ctid FROM inbox WHERE at < $1 ORDER BY at LIMIT $2))`, now.Add(-r.Inbox))
	done.Inbox = inbox
	if err != nil {
		return done, fmt.Errorf("postgres: prune inbox: %w", err)
	}
	done.Idem, err = p.prune(ctx, `DELETE FROM idem WHERE ctid = ANY (ARRAY (SELECT ctid FROM idem WHERE at < $1 ORDER BY at LIMIT $2))`, now.Add(-r.Idem))
	if err != nil {
		return done, fmt.Errorf("postgres: prune idempotency records: %w", err)
	}
	done.Offer, err = p.prune(ctx, `DELETE FROM offer WHERE ctid = ANY (ARRAY (
		SELECT ctid FROM offer WHERE NOT open AND closed_at < $1 ORDER BY closed_at LIMIT $2 FOR UPDATE SKIP LOCKED))`, now.Add(-r.Offer))
	if err != nil {
		return done, fmt.Errorf("postgres: prune offers: %w", err)
	}
	return done, nil
}

func (p Pruner) prune(ctx context.Context, sql string, before time.Time) (total int64, err error) {
	for {
		tag, err := p.db.General.Exec(ctx, sql, before, pruneBatch)
		if err != nil {
			return total, err
		}
		total += tag.RowsAffected()
		if tag.RowsAffected() < pruneBatch {
			return total, nil
		}
	}
}
