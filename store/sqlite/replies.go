package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

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
	var reply []byte
	err := r.db.Read.QueryRowContext(ctx, `SELECT hash, reply FROM idem WHERE scope = ? AND key = ?`, scope, key).Scan(&used.Hash, &reply)
	if errors.Is(err, sql.ErrNoRows) {
		return ledger.Idem{}, false, nil
	}
	if err != nil {
		return ledger.Idem{}, false, fmt.Errorf("sqlite: idempotency record: %w", err)
	}
	used.Reply = reply
	return used, true, nil
}
