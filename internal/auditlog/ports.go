package auditlog

import "context"

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

// Extent is where a log begins and ends.
type Extent struct {
	Base Head // the last row that was removed; the zero Head: none was
	End  Head // the last row
}

// Reader reads the chain.
type Reader interface {
	// Chain gives the rows after a number, the oldest first, at most limit.
	Chain(ctx context.Context, after int64, limit int) ([]Row, error)
	// Extent gives both ends of the chain as of one moment.
	Extent(ctx context.Context) (Extent, error)
}

// Store keeps the log.
type Store interface {
	Reader
	// Append writes entries behind the chain's end, all or none, in their order. Of many at once, on
	// however many tasks, one goes after the other.
	Append(ctx context.Context, entries []Entry) error
	// Rows gives what a query chooses, the newest first.
	Rows(ctx context.Context, q Query) ([]Row, error)
	// Trim removes what the cut allows of the oldest rows, moves the base to the last of them and appends
	// the cut's Entry, all or none. It gives how many went; of many at once one goes after the other. A
	// *BrokenError, and nothing done, when those rows do not hold. The database refuses by itself, whatever
	// is asked of it, to remove a row that is not a year old.
	Trim(ctx context.Context, c Cut) (removed int, err error)
}
