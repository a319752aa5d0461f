package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

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
func scanPerson(row interface{ Scan(...any) error }, after ...any) (fleet.User, error) {
	var u fleet.User
	var created, updated int64
	err := row.Scan(append([]any{&u.ID, &u.Phone, &u.Role, &u.Name, &u.Email, &u.Suspended, &u.TransporterID, &u.MembershipVersion,
		&u.LicenseNumber, &u.Available, &u.KYC, &created, &updated}, after...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.User{}, fleet.ErrNoUser
	}
	u.CreatedAt, u.UpdatedAt = instant(created), instant(updated)
	return u, err
}

// User gives one user by id.
func (s *Users) User(ctx context.Context, id fleet.UserID) (fleet.User, error) {
	u, err := scanPerson(s.db.Read.QueryRowContext(ctx, `SELECT `+personColumns+` FROM app_user WHERE id = ?`, string(id)))
	if err != nil {
		return fleet.User{}, fmt.Errorf("read user %s: %w", id, err)
	}
	return u, nil
}

// ByPhone gives the user with that number and role.
func (s *Users) ByPhone(ctx context.Context, phone string, role fleet.Role) (fleet.User, error) {
	u, err := scanPerson(s.db.Read.QueryRowContext(ctx, `SELECT `+personColumns+` FROM app_user WHERE phone = ? AND role = ?`, phone, string(role)))
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
	res, err := s.db.Write.ExecContext(ctx, `
		INSERT INTO app_user (id, phone, role, name, email, suspended, transporter_id, membership_version, license_number, available, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (phone, role) DO NOTHING`,
		string(u.ID), u.Phone, string(u.Role), u.Name, u.Email, u.Suspended, transporter, u.MembershipVersion,
		u.LicenseNumber, u.Available, micros(u.CreatedAt), micros(u.UpdatedAt))
	if err != nil {
		return fleet.User{}, false, fmt.Errorf("enrol a %s: %w", u.Role, err)
	}
	added, err := res.RowsAffected()
	if err != nil {
		return fleet.User{}, false, fmt.Errorf("enrol a %s: %w", u.Role, err)
	}
	stored, err := s.ByPhone(ctx, u.Phone, u.Role)
	return stored, err == nil && added == 1, err
}

// CountDrivers gives how many drivers a transporter has.
func (s *Users) CountDrivers(ctx context.Context, transporter fleet.UserID) (int, error) {
	var n int
	if err := s.db.Read.QueryRowContext(ctx, `SELECT count(*) FROM app_user WHERE transporter_id = ?`, string(transporter)).Scan(&n); err != nil {
		return 0, fmt.Errorf("count drivers of %s: %w", transporter, err)
	}
	return n, nil
}
