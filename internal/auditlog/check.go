package auditlog

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// readLimit bounds one page's time.
	readLimit = 30 * time.Second
	// maxRestarts bounds how often a check begins again because the log was pruned under it.
	maxRestarts = 10
)

// Check reads the whole log from its base and verifies it up to the end that it had at the beginning. The
// base is trusted only if the newest row of LogPruned names it. The error is a *BrokenError, or the
// store's.
func Check(ctx context.Context, s Reader) (Extent, error) {
	for again := 0; ; again++ {
		span, err := extent(ctx, s)
		if err != nil {
			return span, err
		}
		reached, err := follow(ctx, s, span)
		var broken *BrokenError
		if !errors.As(err, &broken) || again == maxRestarts {
			return span, err
		}
		now, failed := extent(ctx, s)
		if failed != nil {
			return span, errors.Join(err, failed)
		}
		if now.Base == span.Base || reached.Seq >= now.Base.Seq {
			return span, err // pruning has not overtaken the check
		}
	}
}

// follow verifies from base to end and gives how far that went.
func follow(ctx context.Context, s Reader, span Extent) (reached Head, err error) {
	at, after, told := span.Base, int64(0), Head{}
	for at.Seq < span.End.Seq {
		rows, err := page(ctx, s, after, int(min(MaxPage, span.End.Seq-at.Seq)))
		if err != nil {
			return at, err
		}
		if len(rows) == 0 {
			return at, &BrokenError{at.Seq + 1, fmt.Sprintf("is missing: the log ended at row %d", span.End.Seq)}
		}
		if at, err = Verify(at, rows); err != nil {
			return at, err
		}
		after = at.Seq
		for _, r := range rows {
			if to, ok := r.prunedTo(); ok {
				told = to
			}
		}
	}
	switch {
	case at != span.End:
		return at, &BrokenError{span.End.Seq, "is not the one that the log ended with"}
	case told != span.Base:
		return at, &BrokenError{span.Base.Seq, fmt.Sprintf("is where the log begins, but the log itself says %d", told.Seq)}
	}
	return at, nil
}

func extent(ctx context.Context, s Reader) (Extent, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	return s.Extent(ctx)
}

func page(ctx context.Context, s Reader, after int64, limit int) ([]Row, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	return s.Chain(ctx, after, limit)
}
