package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"weelo/internal/fleet"
	"weelo/internal/session"
)

// Users finds and enrols people for login.
type Users struct{ db *DB }

var _ session.Users = (*Users)(nil)

// NewUsers makes one.
func NewUsers(db *DB) *Users { return &Users{db: db} }

const personColumns = `id, phone, role, name, email, suspended, coalesce(transporter_id, ''), membership_version,
	license_number, available, kyc_status, created_at, updated_at`

// scanPerson reads personColumns, and any columns after them.
func scanPerson(row pgx.Row, after ...any) (fleet.User, error) {
	var u fleet.User
	err := row.Scan(append([]any{&u.ID, &u.Phone, &u.Role, &u.Name, &u.Email, &u.Suspended, &u.TransporterID, &u.MembershipVersion,
		&u.LicenseNumber, &u.Available, &u.KYC, &u.CreatedAt, &u.UpdatedAt}, after...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.User{}, fleet.ErrNoUser
	}
	u.CreatedAt, u.UpdatedAt = u.CreatedAt.UTC(), u.UpdatedAt.UTC()
	return u, err
}

// User gives one user by id.
func (s *Users) User(ctx context.Context, id fleet.UserID) (fleet.User, error) {
	u, err := scanPerson(s.db.General.QueryRow(ctx, `SELECT `+personColumns+` FROM app_user WHERE id = $1`, string(id)))
	if err != nil {
		return fleet.User{}, fmt.Errorf("read user %s: %w", id, err)
	}
	return u, nil
}

// ByPhone gives the user with that number and role.
func (s *Users) ByPhone(ctx context.Context, phone string, role fleet.Role) (fleet.User, error) {
	u, err := scanPerson(s.db.General.QueryRow(ctx, `SELECT `+personColumns+` FROM app_user WHERE phone = $1 AND role = $2`, phone, string(role)))
	if err != nil {
		return fleet.User{}, fmt.Errorf("read a %s by phone: %w", role, err)
	}
	return u, nil
}

// Enrol stores u unless its phone and role are known. The unique constraint decides between many.
func (s *Users) Enrol(ctx context.Context, u fleet.User) (fleet.User, bool, error) {
	var transporter any
	if u.TransporterID != "" {
		transporter = string(u.TransporterID)
	}
	tag, err := s.db.General.Exec(ctx, `
		INSERT INTO app_user (id, phone, role, name, email, suspended, transporter_id, membership_version, license_number, available, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT ON CONSTRAINT one_user_per_phone_and_role DO NOTHING`,
		string(u.ID), u.Phone, string(u.Role), u.Name, u.Email, u.Suspended, transporter, u.MembershipVersion,
		u.LicenseNumber, u.Available, u.CreatedAt, u.UpdatedAt)
	if err != nil {
		return fleet.User{}, false, fmt.Errorf("enrol a %s: %w", u.Role, err)
	}
	stored, err := s.ByPhone(ctx, u.Phone, u.Role)
	return stored, err == nil && tag.RowsAffected() == 1, err
}

// CountDrivers gives how many drivers a transporter has.
func (s *Users) CountDrivers(ctx context.Context, transporter fleet.UserID) (int, error) {
	var n int
	if err := s.db.General.QueryRow(ctx, `SELECT count(*) FROM app_user WHERE transporter_id = $1`, string(transporter)).Scan(&n); err != nil {
		return 0, fmt.Errorf("count drivers of %s: %w", transporter, err)
	}
	return n, nil
}
