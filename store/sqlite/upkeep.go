package sqlite

import (
	"context"
	"fmt"
	"time"

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
	err := q.db.Write.QueryRowContext(ctx, `INSERT INTO quarantine (kind, aggregate_id, command_id, strikes, reason, first_at, last_at)
		VALUES (?1, ?2, ?3, 1, ?4, ?5, ?5)
		ON CONFLICT (kind, aggregate_id, command_id)
		DO UPDATE SET strikes = strikes + 1, reason = excluded.reason, last_at = excluded.last_at
		RETURNING strikes`, string(ref.Kind), ref.ID, commandID, reason, micros(at)).Scan(&strikes)
	if err != nil {
		return 0, fmt.Errorf("sqlite: strike against %s %s: %w", ref.Kind, ref.ID, err)
	}
	return strikes, nil
}

// Strikes implements ledger.Quarantine.
func (q Quarantine) Strikes(ctx context.Context, ref ledger.Ref) ([]ledger.Struck, error) {
	wrap := func(err error) error { return fmt.Errorf("sqlite: strikes against %s %s: %w", ref.Kind, ref.ID, err) }
	rows, err := q.db.Read.QueryContext(ctx, `SELECT command_id, strikes, last_at FROM quarantine
		WHERE kind = ? AND aggregate_id = ? ORDER BY last_at DESC, command_id LIMIT ?`, string(ref.Kind), ref.ID, ledger.MaxStruck)
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close()
	var struck []ledger.Struck
	for rows.Next() {
		var s ledger.Struck
		var last int64
		if err := rows.Scan(&s.CommandID, &s.Strikes, &last); err != nil {
			return nil, wrap(err)
		}
		s.Last = instant(last)
		struck = append(struck, s)
	}
	if err := rows.Err(); err != nil {
		return nil, wrap(err)
	}
	return struck, nil
}

// Pruner removes what retention lets go.
type Pruner struct{ db *DB }

var _ ledger.Pruner = Pruner{}

// NewPruner makes a Pruner.
func NewPruner(db *DB) Pruner { return Pruner{db} }

// pruneBatch bounds how many rows one statement removes, and so how long commits wait for it.
const pruneBatch = 5000

// Prune implements ledger.Pruner.
func (p Pruner) Prune(ctx context.Context, now time.Time, r ledger.Retention) (ledger.Pruned, error) {
	r = r.WithDefaults()
	var done ledger.Pruned
	inbox, err := p.prune(ctx, `DELETE FROM inbox WHERE (recipient, seq) IN (SELECT recipient, seq FROM inbox WHERE at < ? ORDER BY at LIMIT ?)`, now.Add(-r.Inbox))
	done.Inbox = inbox
	if err != nil {
		return done, fmt.Errorf("sqlite: prune inbox: %w", err)
	}
	done.Idem, err = p.prune(ctx, `DELETE FROM idem WHERE (scope, key) IN (SELECT scope, key FROM idem WHERE at < ? ORDER BY at LIMIT ?)`, now.Add(-r.Idem))
	if err != nil {
		return done, fmt.Errorf("sqlite: prune idempotency records: %w", err)
	}
	done.Offer, err = p.prune(ctx, `DELETE FROM offer WHERE id IN (SELECT id FROM offer WHERE NOT open AND closed_at < ? ORDER BY closed_at LIMIT ?)`, now.Add(-r.Offer))
	if err != nil {
		return done, fmt.Errorf("sqlite: prune offers: %w", err)
	}
	return done, nil
}

func (p Pruner) prune(ctx context.Context, text string, before time.Time) (total int64, err error) {
	for {
		result, err := p.db.Write.ExecContext(ctx, text, micros(before), pruneBatch)
		if err != nil {
			return total, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return total, err
		}
		total += n
		if n < pruneBatch {
			return total, nil
		}
	}
}
