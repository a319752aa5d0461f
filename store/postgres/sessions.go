package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/fleet"
	"weelo/internal/session"
)

// Sessions keeps refresh families.
type Sessions struct{ db *DB }

var _ session.Store = (*Sessions)(nil)

// NewSessions makes one.
func NewSessions(db *DB) *Sessions { return &Sessions{db: db} }

// Open stores a family unless its id is known, and gives what is stored.
func (s *Sessions) Open(ctx context.Context, f session.Family) (session.Family, error) {
	var transporter any
	if f.Transporter != "" {
		transporter = string(f.Transporter)
	}
	_, err := s.db.General.Exec(ctx, `
		INSERT INTO session_family (id, user_id, role, transporter_id, membership_version, device, presented, created_at, used_at, ends_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (id) DO NOTHING`,
		f.ID, string(f.User), string(f.Role), transporter, f.Membership, f.Device, f.Presented, f.CreatedAt, f.UsedAt, f.EndsAt)
	if err != nil {
		return session.Family{}, fmt.Errorf("open session: %w", err)
	}
	return s.Family(ctx, f.ID)
}

// Family gives one family.
func (s *Sessions) Family(ctx context.Context, id string) (session.Family, error) {
	f, err := scanFamily(s.db.General.QueryRow(ctx, selectFamily+`WHERE id = $1`, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return session.Family{}, session.ErrNoFamily
	}
	if err != nil {
		return session.Family{}, fmt.Errorf("read session %s: %w", id, err)
	}
	return f, nil
}

// Families gives those that there are.
func (s *Sessions) Families(ctx context.Context, ids []string) ([]session.Family, error) {
	rows, err := s.db.General.Query(ctx, selectFamily+`WHERE id = ANY($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("read %d sessions: %w", len(ids), err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (session.Family, error) { return scanFamily(row) })
	if err != nil {
		return nil, fmt.Errorf("read %d sessions: %w", len(ids), err)
	}
	return list, nil
}

const selectFamily = `
	SELECT id, user_id, role, coalesce(transporter_id, ''), membership_version, device, presented,
	       created_at, used_at, ends_at, revoked_at, revoked_why
	FROM session_family `

func scanFamily(row pgx.Row) (session.Family, error) {
	var f session.Family
	var revoked *time.Time
	err := row.Scan(&f.ID, &f.User, &f.Role, &f.Transporter, &f.Membership, &f.Device, &f.Presented,
		&f.CreatedAt, &f.UsedAt, &f.EndsAt, &revoked, &f.RevokedWhy)
	f.CreatedAt, f.UsedAt, f.EndsAt = f.CreatedAt.UTC(), f.UsedAt.UTC(), f.EndsAt.UTC()
	if revoked != nil {
		f.RevokedAt = revoked.UTC()
	}
	return f, err
}

// Present raises the generation by one, or touches it.
func (s *Sessions) Present(ctx context.Context, id string, gen int64, at time.Time) (bool, error) {
	tag, err := s.db.General.Exec(ctx, `
		UPDATE session_family SET presented = $2, used_at = greatest(used_at, $3)
		WHERE id = $1 AND presented IN ($2 - 1, $2) AND revoked_at IS NULL`, id, gen, at)
	if err != nil {
		return false, fmt.Errorf("refresh session %s: %w", id, err)
	}
	return tag.RowsAffected() == 1, nil
}

// Revoke ends a live family.
func (s *Sessions) Revoke(ctx context.Context, id, why string, at time.Time) (bool, error) {
	tag, err := s.db.General.Exec(ctx, `
		UPDATE session_family SET revoked_at = $2, revoked_why = $3 WHERE id = $1 AND revoked_at IS NULL`, id, at, why)
	if err != nil {
		return false, fmt.Errorf("revoke session %s: %w", id, err)
	}
	return tag.RowsAffected() == 1, nil
}

// RevokeUser ends every live family of a user.
func (s *Sessions) RevokeUser(ctx context.Context, user fleet.UserID, why string, at time.Time) ([]string, error) {
	rows, err := s.db.General.Query(ctx, `
		UPDATE session_family SET revoked_at = $2, revoked_why = $3 WHERE user_id = $1 AND revoked_at IS NULL RETURNING id`,
		string(user), at, why)
	if err != nil {
		return nil, fmt.Errorf("revoke sessions of %s: %w", user, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("revoke sessions of %s: %w", user, err)
	}
	return ids, nil
}

// RevokedSince gives revocations, oldest first.
func (s *Sessions) RevokedSince(ctx context.Context, since time.Time, limit int) ([]session.Revocation, error) {
	rows, err := s.db.General.Query(ctx, `
		SELECT id, user_id, revoked_at, revoked_why FROM session_family
		WHERE revoked_at >= $1 ORDER BY revoked_at, id LIMIT $2`, since, limit)
	if err != nil {
		return nil, fmt.Errorf("read revocations: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (session.Revocation, error) {
		var r session.Revocation
		err := row.Scan(&r.Family, &r.User, &r.At, &r.Why)
		r.At = r.At.UTC()
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("read revocations: %w", err)
	}
	return list, nil
}

// KnownDevice tells whether the user has opened a family on that device since then.
func (s *Sessions) KnownDevice(ctx context.Context, user fleet.UserID, device string, since time.Time) (bool, error) {
	var known bool
	if err := s.db.General.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM session_family WHERE user_id = $1 AND device = $2 AND created_at >= $3)`,
		string(user), device, since).Scan(&known); err != nil {
		return false, fmt.Errorf("look for a device of %s: %w", user, err)
	}
	return known, nil
}

// Prune removes ended families.
func (s *Sessions) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.db.General.Exec(ctx, `
		DELETE FROM session_family WHERE id IN (SELECT id FROM session_family WHERE ends_at < $1 ORDER BY ends_at LIMIT $2)`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("prune sessions: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
