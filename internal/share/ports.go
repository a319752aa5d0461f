package share

import (
	"context"
	"errors"
	"time"
)

// ErrMissing: there is no such link.
var ErrMissing = errors.New("share: no such link")

// Store keeps links.
type Store interface {
	// Add keeps a link unless its trip has limit links that are neither revoked nor past EndsAt at
	// l.CreatedAt; then ErrTooMany, exact however many ask at once.
	Add(ctx context.Context, l Link, limit int) error
	// ByDigest gives one link, ErrMissing when there is none.
	ByDigest(ctx context.Context, d Digest) (Link, error)
	// Links gives those of the links that there are, in no order.
	Links(ctx context.Context, ids []string) ([]Link, error)
	// OfTrip gives the links of a trip that are neither revoked nor past EndsAt, oldest first.
	OfTrip(ctx context.Context, tripID string, now time.Time) ([]Link, error)
	// Revoke ends a link of a trip; ErrMissing when the trip has no such link. Again changes nothing, and
	// says so.
	Revoke(ctx context.Context, tripID, id string, now time.Time) (changed bool, err error)
	// Prune removes links that ended before, at most limit, and gives how many.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

// Trips tells when trips ended.
type Trips interface {
	// Ended gives the trips' ends in Unix ms, 0 for one that lives; a trip that there is not is left out.
	Ended(ctx context.Context, ids []string) (map[string]int64, error)
}
