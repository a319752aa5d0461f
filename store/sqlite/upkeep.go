package sqlite

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
