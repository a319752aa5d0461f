package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/fleet"
	"weelo/internal/session"
)

// Registry is what operators do with accounts.
type Registry struct {
	*People
}

var _ fleet.Registry = Registry{}

// NewRegistry makes one.
func NewRegistry(db *DB) Registry { return Registry{NewPeople(db)} }

// Find implements fleet.Registry.
func (s Registry) Find(ctx context.Context, phone string, role fleet.Role, limit int) ([]fleet.User, error) {
	return s.list(ctx, `SELECT `+personColumns+` FROM app_user WHERE ($1 = '' OR phone = $1) AND ($2 = '' OR role = $2)
		ORDER BY created_at DESC, id COLLATE "C" LIMIT $3`, phone, string(role), max(limit, 0))
}

// Crew implements fleet.Registry.
func (s Registry) Crew(ctx context.Context, transporter fleet.UserID) ([]fleet.UserID, error) {
	rows, err := s.db.General.Query(ctx, `SELECT id FROM app_user WHERE transporter_id = $1 ORDER BY id COLLATE "C" LIMIT $2`, string(transporter), fleet.MaxFleet)
	if err != nil {
		return nil, fmt.Errorf("drivers of %s: %w", transporter, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[fleet.UserID])
	if err != nil {
		return nil, fmt.Errorf("drivers of %s: %w", transporter, err)
	}
	return ids, nil
}

// SetSuspended implements fleet.Registry.
func (s Registry) SetSuspended(ctx context.Context, id fleet.UserID, suspended bool, at time.Time) (fleet.User, error) {
	return onePerson(s.db.General.QueryRow(ctx, `
		UPDATE app_user SET suspended = $2, updated_at = CASE WHEN suspended = $2 THEN updated_at ELSE $3 END
		WHERE id = $1 RETURNING `+personColumns, string(id), suspended, at), id)
}

// SetKYC implements fleet.Registry.
func (s Registry) SetKYC(ctx context.Context, id fleet.UserID, state fleet.KYC, at time.Time) (fleet.User, error) {
	return onePerson(s.db.General.QueryRow(ctx, `
		UPDATE app_user SET kyc_status = $2, updated_at = CASE WHEN kyc_status = $2 THEN updated_at ELSE $3 END
		WHERE id = $1 AND role = 'transporter' RETURNING `+personColumns, string(id), string(state), at), id)
}

var _ session.Lister = (*Sessions)(nil)

// OfUser implements session.Lister.
func (s *Sessions) OfUser(ctx context.Context, user fleet.UserID, limit int) ([]session.Family, error) {
	rows, err := s.db.General.Query(ctx, `
		SELECT id, user_id, role, coalesce(transporter_id, ''), device, created_at, used_at, ends_at, revoked_at, revoked_why
		FROM session_family WHERE user_id = $1 ORDER BY created_at DESC, id COLLATE "C" LIMIT $2`, string(user), max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("sessions of %s: %w", user, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (session.Family, error) {
		var f session.Family
		var revoked *time.Time
		err := row.Scan(&f.ID, &f.User, &f.Role, &f.Transporter, &f.Device, &f.CreatedAt, &f.UsedAt, &f.EndsAt, &revoked, &f.RevokedWhy)
		f.CreatedAt, f.UsedAt, f.EndsAt = f.CreatedAt.UTC(), f.UsedAt.UTC(), f.EndsAt.UTC()
		if revoked != nil {
			f.RevokedAt = revoked.UTC()
		}
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("sessions of %s: %w", user, err)
	}
	return list, nil
}
