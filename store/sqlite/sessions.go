package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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
	_, err := s.db.Write.ExecContext(ctx, `
		INSERT INTO session_family (id, user_id, role, transporter_id, membership_version, device, presented, created_at, used_at, ends_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO NOTHING`,
		f.ID, string(f.User), string(f.Role), transporter, f.Membership, f.Device, f.Presented,
		micros(f.CreatedAt), micros(f.UsedAt), micros(f.EndsAt))
	if err != nil {
		return session.Family{}, fmt.Errorf("open session: %w", err)
	}
	return s.Family(ctx, f.ID)
}

// Family gives one family.
func (s *Sessions) Family(ctx context.Context, id string) (session.Family, error) {
	f, err := scanFamily(s.db.Read.QueryRowContext(ctx, selectFamily+`WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return session.Family{}, session.ErrNoFamily
	}
	if err != nil {
		return session.Family{}, fmt.Errorf("read session %s: %w", id, err)
	}
	return f, nil
}

// Families gives those that there are.
func (s *Sessions) Families(ctx context.Context, ids []string) ([]session.Family, error) {
	asked, err := json.Marshal(append([]string{}, ids...))
	if err != nil {
		return nil, fmt.Errorf("read %d sessions: %w", len(ids), err)
	}
	rows, err := s.db.Read.QueryContext(ctx, selectFamily+`WHERE id IN (SELECT value FROM json_each(?))`, string(asked))
	if err != nil {
		return nil, fmt.Errorf("read %d sessions: %w", len(ids), err)
	}
	defer rows.Close()
	var list []session.Family
	for rows.Next() {
		f, err := scanFamily(rows)
		if err != nil {
			return nil, fmt.Errorf("read %d sessions: %w", len(ids), err)
		}
		list = append(list, f)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read %d sessions: %w", len(ids), err)
	}
	return list, nil
}

const selectFamily = `
	SELECT id, user_id, role, coalesce(transporter_id, ''), membership_version, device, presented,
	       created_at, used_at, ends_at, revoked_at, revoked_why
	FROM session_family `

// scanFamily reads a row of selectFamily: *sql.Row or *sql.Rows.
func scanFamily(row interface{ Scan(into ...any) error }) (session.Family, error) {
	var f session.Family
	var created, used, ends int64
	var revoked sql.NullInt64
	err := row.Scan(&f.ID, &f.User, &f.Role, &f.Transporter, &f.Membership, &f.Device, &f.Presented,
		&created, &used, &ends, &revoked, &f.RevokedWhy)
	f.CreatedAt, f.UsedAt, f.EndsAt = instant(created), instant(used), instant(ends)
	if revoked.Valid {
		f.RevokedAt = instant(revoked.Int64)
	}
	return f, err
}

// Present raises the generation by one, or touches it.
func (s *Sessions) Present(ctx context.Context, id string, gen int64, at time.Time) (bool, error) {
	return s.changed(ctx, "refresh session", `
		UPDATE session_family SET presented = ?2, used_at = max(used_at, ?3)
		WHERE id = ?1 AND presented IN (?2 - 1, ?2) AND revoked_at IS NULL`, id, gen, micros(at))
}

// Revoke ends a live family.
func (s *Sessions) Revoke(ctx context.Context, id, why string, at time.Time) (bool, error) {
	return s.changed(ctx, "revoke session", `
		UPDATE session_family SET revoked_at = ?2, revoked_why = ?3 WHERE id = ?1 AND revoked_at IS NULL`, id, micros(at), why)
}

func (s *Sessions) changed(ctx context.Context, what, statement string, args ...any) (bool, error) {
	res, err := s.db.Write.ExecContext(ctx, statement, args...)
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	return n == 1, nil
}

// RevokeUser ends every live family of a user.
func (s *Sessions) RevokeUser(ctx context.Context, user fleet.UserID, why string, at time.Time) ([]string, error) {
	rows, err := s.db.Write.QueryContext(ctx, `
		UPDATE session_family SET revoked_at = ?2, revoked_why = ?3 WHERE user_id = ?1 AND revoked_at IS NULL RETURNING id`,
		string(user), micros(at), why)
	if err != nil {
		return nil, fmt.Errorf("revoke sessions of %s: %w", user, err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("revoke sessions of %s: %w", user, err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("revoke sessions of %s: %w", user, err)
	}
	return ids, nil
}

const revokedSince = `
SELECT id, user_id, revoked_at, revoked_why FROM session_family
WHERE revoked_at >= ? ORDER BY revoked_at, id LIMIT ?`

// RevokedSince gives revocations, oldest first.
func (s *Sessions) RevokedSince(ctx context.Context, since time.Time, limit int) ([]session.Revocation, error) {
	stmt, err := s.db.reading(ctx, revokedSince) // asked each second
	if err != nil {
		return nil, fmt.Errorf("read revocations: %w", err)
	}
	rows, err := stmt.QueryContext(ctx, micros(since), limit)
	if err != nil {
		return nil, fmt.Errorf("read revocations: %w", err)
	}
	defer rows.Close()
	var list []session.Revocation
	for rows.Next() {
		var r session.Revocation
		var at int64
		if err := rows.Scan(&r.Family, &r.User, &at, &r.Why); err != nil {
			return nil, fmt.Errorf("read revocations: %w", err)
		}
		r.At = instant(at)
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read revocations: %w", err)
	}
	return list, nil
}

// KnownDevice tells whether the user has opened a family on that device since then.
func (s *Sessions) KnownDevice(ctx context.Context, user fleet.UserID, device string, since time.Time) (bool, error) {
	var known bool
	if err := s.db.Read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM session_family WHERE user_id = ? AND device = ? AND created_at >= ?)`,
		string(user), device, micros(since)).Scan(&known); err != nil {
		return false, fmt.Errorf("look for a device of %s: %w", user, err)
	}
	return known, nil
}

// Prune removes ended families.
func (s *Sessions) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	res, err := s.db.Write.ExecContext(ctx, `
		DELETE FROM session_family WHERE id IN (SELECT id FROM session_family WHERE ends_at < ? ORDER BY ends_at LIMIT ?)`, micros(before), limit)
	if err != nil {
		return 0, fmt.Errorf("prune sessions: %w", err)
	}
	n, err := res.RowsAffected()
	return int(n), err
}
