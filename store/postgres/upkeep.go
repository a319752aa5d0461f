package postgres

import (
	"context"
	"fmt"
	"time"

	"weelo/internal/ledger"
)

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
