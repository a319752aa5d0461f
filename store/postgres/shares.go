package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/fleet"
	"weelo/internal/share"
)

// Shares keeps share links.
type Shares struct{ db *DB }

var _ share.Store = (*Shares)(nil)

// NewShares makes one.
func NewShares(db *DB) *Shares { return &Shares{db: db} }

const shareColumns = `id, trip_id, digest, created_by, created_at, ends_at, revoked_at`

func scanShare(row pgx.CollectableRow) (share.Link, error) {
	var (
		l       share.Link
		digest  []byte
		by      string
		revoked *time.Time
	)
	if err := row.Scan(&l.ID, &l.TripID, &digest, &by, &l.CreatedAt, &l.EndsAt, &revoked); err != nil {
		return share.Link{}, err
	}
	copy(l.Digest[:], digest)
	l.CreatedBy, l.CreatedAt, l.EndsAt = fleet.UserID(by), l.CreatedAt.UTC(), l.EndsAt.UTC()
	if revoked != nil {
		l.RevokedAt = revoked.UTC()
	}
	return l, nil
}

func (s *Shares) list(ctx context.Context, what, where string, args ...any) ([]share.Link, error) {
	rows, err := s.db.General.Query(ctx, `SELECT `+shareColumns+` FROM share_link WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	links, err := pgx.CollectRows(rows, scanShare)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return links, nil
}

// Add implements share.Store. The lock is of the trip, so that two who ask at once count one after the other.
func (s *Shares) Add(ctx context.Context, l share.Link, limit int) error {
	err := pgx.BeginFunc(ctx, s.db.General, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('share ' || $1, 0))`, l.TripID); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			INSERT INTO share_link (id, trip_id, digest, created_by, created_at, ends_at)
			SELECT $1, $2, $3, $4, $5, $6
			WHERE (SELECT count(*) FROM share_link WHERE trip_id = $2 AND revoked_at IS NULL AND ends_at > $5) < $7`,
			l.ID, l.TripID, l.Digest[:], string(l.CreatedBy), l.CreatedAt, l.EndsAt, limit)
		if err == nil && tag.RowsAffected() == 0 {
			return share.ErrTooMany
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("add a share link of trip %s: %w", l.TripID, err)
	}
	return nil
}

// ByDigest implements share.Store.
func (s *Shares) ByDigest(ctx context.Context, d share.Digest) (share.Link, error) {
	links, err := s.list(ctx, "read a share link", `digest = $1`, d[:])
	if err != nil {
		return share.Link{}, err
	}
	if len(links) == 0 {
		return share.Link{}, share.ErrMissing
	}
	return links[0], nil
}

// Links implements share.Store.
func (s *Shares) Links(ctx context.Context, ids []string) ([]share.Link, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return s.list(ctx, "read share links", `id = ANY ($1)`, ids)
}

// OfTrip implements share.Store.
func (s *Shares) OfTrip(ctx context.Context, tripID string, now time.Time) ([]share.Link, error) {
	return s.list(ctx, "share links of trip "+tripID, `trip_id = $1 AND revoked_at IS NULL AND ends_at > $2 ORDER BY created_at, id`, tripID, now)
}

// Revoke implements share.Store.
func (s *Shares) Revoke(ctx context.Context, tripID, id string, now time.Time) (changed bool, err error) {
	var known bool
	err = s.db.General.QueryRow(ctx, `WITH revoked AS (UPDATE share_link SET revoked_at = $3 WHERE id = $2 AND trip_id = $1 AND revoked_at IS NULL RETURNING id)
		SELECT EXISTS (SELECT FROM revoked), EXISTS (SELECT FROM share_link WHERE id = $2 AND trip_id = $1)`, tripID, id, now).Scan(&changed, &known)
	if err != nil {
		return false, fmt.Errorf("revoke a share link of trip %s: %w", tripID, err)
	}
	if !known {
		return false, share.ErrMissing
	}
	return changed, nil
}

// Prune implements share.Store.
func (s *Shares) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.db.General.Exec(ctx, `DELETE FROM share_link WHERE id IN (SELECT id FROM share_link WHERE ends_at < $1 LIMIT $2)`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("prune share links: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
