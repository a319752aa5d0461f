package auditlog

import (
	"context"
	"fmt"
)

// MaxPage bounds what is read at once.
const MaxPage = 500

// Query chooses rows to read. Empty fields choose all.
type Query struct {
	Subject string
	Actor   string
	Action  string
	Before  int64 // rows with a smaller number; 0: from the newest
	Limit   int   // 1..MaxPage
}

// Store keeps the log.
type Store interface {
	// Append writes entries behind the chain's end, all or none, in their order. Of many at once, on
	// however many tasks, one goes after the other.
	Append(ctx context.Context, entries []Entry) error
	// Rows gives what a query chooses, the newest first.
	Rows(ctx context.Context, q Query) ([]Row, error)
	// Chain gives the rows after a number, the oldest first, at most limit.
	Chain(ctx context.Context, after int64, limit int) ([]Row, error)
	// Head gives the chain's end.
	Head(ctx context.Context) (Head, error)
}

// Check reads the whole log and verifies it up to the end that it had at the beginning. The error is a
// *BrokenError, or the store's.
func Check(ctx context.Context, s Store) (Head, error) {
	end, err := s.Head(ctx)
	if err != nil {
		return Head{}, err
	}
	var at Head
	for at.Seq < end.Seq {
		rows, err := s.Chain(ctx, at.Seq, int(min(MaxPage, end.Seq-at.Seq)))
		if err != nil {
			return at, err
		}
		if len(rows) == 0 {
			return at, &BrokenError{at.Seq + 1, fmt.Sprintf("is missing: the log ended at row %d", end.Seq)}
		}
		if at, err = Verify(at, rows); err != nil {
			return at, err
		}
	}
	if at != end {
		return at, &BrokenError{end.Seq, "is not the one that the log ended with"}
	}
	return at, nil
}
