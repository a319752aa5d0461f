package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"weelo/internal/ledger"
)

// Replies reads idempotency records.
type Replies struct{ db *DB }

var _ ledger.Replies = Replies{}

// NewReplies makes a Replies.
func NewReplies(db *DB) Replies { return Replies{db} }

// Used implements ledger.Replies.
func (r Replies) Used(ctx context.Context, scope, key string) (ledger.Idem, bool, error) {
	used := ledger.Idem{Scope: scope, Key: key}
	err := r.db.General.QueryRow(ctx, `SELECT hash, reply FROM idem WHERE scope = $1 AND key = $2`, scope, key).Scan(&used.Hash, &used.Reply)
	if errors.Is(err, pgx.ErrNoRows) {
		return ledger.Idem{}, false, nil
	}
	if err != nil {
		return ledger.Idem{}, false, fmt.Errorf("postgres: idempotency record: %w", err)
	}
	return used, true, nil
}
