package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/share"
)

// Shares keeps share links.
type Shares struct{ db *DB }

var _ share.Store = (*Shares)(nil)

// NewShares makes one.
func NewShares(db *DB) *Shares { return &Shares{db: db} }

func (s *Shares) list(ctx context.Context, what, where string, args ...any) ([]share.Link, error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT id, trip_id, digest, created_by, created_at, ends_at, revoked_at FROM share_link WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer rows.Close()
	var links []share.Link
	for rows.Next() {
		var (
			l             share.Link
			digest        []byte
			by            string
			created, ends int64
			revoked       sql.NullInt64
		)
		if err := rows.Scan(&l.ID, &l.TripID, &digest, &by, &created, &ends, &revoked); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		copy(l.Digest[:], digest)
		l.CreatedBy, l.CreatedAt, l.EndsAt = fleet.UserID(by), time.UnixMicro(created).UTC(), time.UnixMicro(ends).UTC()
		if revoked.Valid {
			l.RevokedAt = time.UnixMicro(revoked.Int64).UTC()
		}
		links = append(links, l)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return links, nil
}

// Add implements share.Store. Writes of SQLite come one after the other, so that the count is exact.
func (s *Shares) Add(ctx context.Context, l share.Link, limit int) error {
	res, err := s.db.Write.ExecContext(ctx, `
		INSERT INTO share_link (id, trip_id, digest, created_by, created_at, ends_at)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6
		WHERE (SELECT count(*) FROM share_link WHERE trip_id = ?2 AND revoked_at IS NULL AND ends_at > ?5) < ?7`,
		l.ID, l.TripID, l.Digest[:], string(l.CreatedBy), micros(l.CreatedAt), micros(l.EndsAt), limit)
	if err != nil {
		return fmt.Errorf("add a share link of trip %s: %w", l.TripID, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return share.ErrTooMany
	}
	return nil
}

// ByDigest implements share.Store.
func (s *Shares) ByDigest(ctx context.Context, d share.Digest) (share.Link, error) {
	links, err := s.list(ctx, "read a share link", `digest = ?`, d[:])
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
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, fmt.Errorf("read share links: %w", err)
	}
	return s.list(ctx, "read share links", `id IN (SELECT value FROM json_each(?))`, string(list))
}

// OfTrip implements share.Store.
func (s *Shares) OfTrip(ctx context.Context, tripID string, now time.Time) ([]share.Link, error) {
	return s.list(ctx, "share links of trip "+tripID, `trip_id = ? AND revoked_at IS NULL AND ends_at > ? ORDER BY created_at, id`, tripID, micros(now))
}

// Revoke implements share.Store.
func (s *Shares) Revoke(ctx context.Context, tripID, id string, now time.Time) (changed bool, err error) {
	res, err := s.db.Write.ExecContext(ctx, `UPDATE share_link SET revoked_at = ? WHERE id = ? AND trip_id = ? AND revoked_at IS NULL`, micros(now), id, tripID)
	if err != nil {
		return false, fmt.Errorf("revoke a share link of trip %s: %w", tripID, err)
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return n > 0, err
	}
	var known bool
	if err := s.db.Read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM share_link WHERE id = ? AND trip_id = ?)`, id, tripID).Scan(&known); err != nil {
		return false, fmt.Errorf("revoke a share link of trip %s: %w", tripID, err)
	}
	if !known {
		return false, share.ErrMissing
	}
	return false, nil
}

// Prune implements share.Store.
func (s *Shares) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	res, err := s.db.Write.ExecContext(ctx, `DELETE FROM share_link WHERE id IN (SELECT id FROM share_link WHERE ends_at < ? LIMIT ?)`, micros(before), limit)
	if err != nil {
		return 0, fmt.Errorf("prune share links: %w", err)
	}
	n, err := res.RowsAffected()
	return int(n), err
}
