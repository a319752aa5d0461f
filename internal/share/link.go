// Package share lets somebody without a login follow one trip: links, how long they are good for, and
// the short tokens that they are exchanged for.
//
// Invariants:
//   - A link shows exactly one trip, to nobody after it was revoked, never later than Policy.Life after
//     its creation, and never later than Policy.Grace after the trip's end. The end is judged anew at every
//     question, because the trip may end later than anybody thought.
//   - The secret of a link is known to whom it was handed. What is kept is its SHA-256.
//   - A trip has at most Policy.MaxLive links that are good, whoever asks at once.
package share

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
)

// The refusals. An unknown secret, a foreign one and one that has ended are the same answer.
var (
	ErrNotFound  = fault.New(fault.NotFound, "SHARE_NOT_FOUND", "This link does not work (any more).")
	ErrTooMany   = fault.New(fault.Conflict, "SHARE_LIMIT", "This trip has as many links as it may have. Please end one of them first.")
	ErrTripEnded = fault.New(fault.Conflict, "TRIP_ENDED", "This trip has ended.")
)

// Policy is the numbers of security.md §2.13.
type Policy struct {
	Life    time.Duration // of a link, from its creation
	Grace   time.Duration // after the trip's end
	View    time.Duration // of a viewer's token
	MaxLive int           // links of one trip that are good
}

// DefaultPolicy is the product's.
func DefaultPolicy() Policy {
	return Policy{Life: 24 * time.Hour, Grace: 30 * time.Minute, View: 10 * time.Minute, MaxLive: 5}
}

// Scaled divides the waits by a test scale.
func (p Policy) Scaled(scale float64) Policy {
	for _, d := range []*time.Duration{&p.Life, &p.Grace, &p.View} {
		*d = time.Duration(float64(*d) / scale)
	}
	return p
}

// Digest is what is kept of a secret.
type Digest [sha256.Size]byte

// Link is one link as stored.
type Link struct {
	ID        string
	TripID    string
	Digest    Digest
	CreatedBy fleet.UserID
	CreatedAt time.Time
	EndsAt    time.Time // at the latest; the trip may end it before
	RevokedAt time.Time // zero: it was not
}

// Ends is when the link ends, as far as is known: tripEndedMS is the trip's end in Unix ms, 0 while it lives.
func (p Policy) Ends(l Link, tripEndedMS int64) time.Time {
	if tripEndedMS == 0 {
		return l.EndsAt
	}
	if end := time.UnixMilli(tripEndedMS).Add(p.Grace); end.Before(l.EndsAt) {
		return end
	}
	return l.EndsAt
}

// Good tells whether the link shows its trip at a moment.
func (p Policy) Good(l Link, tripEndedMS int64, now time.Time) bool {
	return l.RevokedAt.IsZero() && now.Before(p.Ends(l, tripEndedMS))
}

// secretBytes is the size of a secret: 128 bits cannot be guessed at any rate.
const secretBytes = 16

var spelling = base64.RawURLEncoding.Strict()

// NewSecret makes the secret of a link and what is kept of it.
func NewSecret(random io.Reader) (secret string, d Digest, err error) {
	var b [secretBytes]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", Digest{}, fmt.Errorf("share: secret: %w", err)
	}
	return spelling.EncodeToString(b[:]), sha256.Sum256(b[:]), nil
}

// DigestOf reads a secret; ErrNotFound for what cannot be one.
func DigestOf(secret string) (Digest, error) {
	if len(secret) != spelling.EncodedLen(secretBytes) { // the decoder passes over line breaks
		return Digest{}, ErrNotFound
	}
	b, err := spelling.DecodeString(secret)
	if err != nil || len(b) != secretBytes {
		return Digest{}, ErrNotFound
	}
	return sha256.Sum256(b), nil
}
