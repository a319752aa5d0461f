package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"weelo/internal/fleet"
)

// Crews keeps who drives for whom.
type Crews struct{ db *DB }

var _ fleet.Crews = (*Crews)(nil)

// NewCrews makes one.
func NewCrews(db *DB) *Crews { return &Crews{db: db} }

// Invite stores an invitation and forgets the transporter's old ones.
func (s *Crews) Invite(ctx context.Context, i fleet.Invitation) error {
	_, err := s.db.Write.ExecContext(ctx, `
		INSERT INTO fleet_invitation (transporter_id, phone, name, license_number, email, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
		ON CONFLICT (transporter_id, phone) DO UPDATE
		SET name = excluded.name, license_number = excluded.license_number, email = excluded.email, at = excluded.at`,
		string(i.Transporter), i.Phone, i.Name, i.LicenseNumber, i.Email, micros(i.At))
	if err != nil {
		return fmt.Errorf("invite a driver: %w", err)
	}
	_, err = s.db.Write.ExecContext(ctx, `DELETE FROM fleet_invitation WHERE transporter_id = ?1 AND at <= ?2`,
		string(i.Transporter), micros(i.At.Add(-fleet.InvitationLife)))
	if err != nil {
		return fmt.Errorf("forget old invitations: %w", err)
	}
	return nil
}

// Invitation gives an invitation that is not over.
func (s *Crews) Invitation(ctx context.Context, transporter fleet.UserID, phone string, now time.Time) (fleet.Invitation, error) {
	i := fleet.Invitation{Transporter: transporter, Phone: phone}
	var at int64
	err := s.db.Read.QueryRowContext(ctx, `SELECT name, license_number, email, at FROM fleet_invitation
		WHERE transporter_id = ?1 AND phone = ?2 AND at > ?3`, string(transporter), phone, micros(now.Add(-fleet.InvitationLife))).
		Scan(&i.Name, &i.LicenseNumber, &i.Email, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.Invitation{}, fleet.ErrNoInvitation
	}
	if err != nil {
		return fleet.Invitation{}, fmt.Errorf("read an invitation: %w", err)
	}
	i.At = instant(at)
	return i, nil
}

// Join takes a driver into a fleet. The unique phone and the condition on the row decide between
// transporters who do it at once.
func (s *Crews) Join(ctx context.Context, i fleet.Invitation, id fleet.UserID, at time.Time) (fleet.User, error) {
	u, err := scanPerson(s.db.Write.QueryRowContext(ctx, `
		INSERT INTO app_user AS u (id, phone, role, name, email, transporter_id, membership_version, license_number, created_at, updated_at)
		VALUES (?1, ?2, 'driver', ?3, ?4, ?5, 1, ?6, ?7, ?7)
		ON CONFLICT (phone, role) DO UPDATE
		SET name = excluded.name, email = coalesce(nullif(excluded.email, ''), u.email), transporter_id = excluded.transporter_id,
		    membership_version = u.membership_version + 1, license_number = excluded.license_number, available = 0, updated_at = excluded.updated_at
		WHERE u.transporter_id IS NULL
		RETURNING `+personColumns, string(id), i.Phone, i.Name, i.Email, string(i.Transporter), i.LicenseNumber, micros(at)))
	if errors.Is(err, fleet.ErrNoUser) { // no row: he is in a fleet
		u, err = scanPerson(s.db.Write.QueryRowContext(ctx, `SELECT `+personColumns+` FROM app_user WHERE phone = ? AND role = 'driver'`, i.Phone))
		if err == nil && u.TransporterID != i.Transporter {
			return fleet.User{}, fleet.ErrInFleet
		}
	}
	if err != nil {
		return fleet.User{}, fmt.Errorf("join a fleet: %w", err)
	}
	// A crash here leaves an invitation that can only be answered by the driver, to the same end.
	if _, err := s.db.Write.ExecContext(ctx, `DELETE FROM fleet_invitation WHERE transporter_id = ?1 AND phone = ?2`, string(i.Transporter), i.Phone); err != nil {
		return fleet.User{}, fmt.Errorf("join a fleet: %w", err)
	}
	return u, nil
}

// Leave takes a driver who is on no live trip out of the fleet.
func (s *Crews) Leave(ctx context.Context, transporter, driver fleet.UserID, at time.Time) error {
	left, err := s.leave(ctx, transporter, driver, at)
	if err != nil {
		return fmt.Errorf("leave a fleet: %w", err)
	}
	if left {
		return nil
	}
	var known bool
	err = s.db.Write.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM app_user WHERE id = ?1 AND transporter_id = ?2)`,
		string(driver), string(transporter)).Scan(&known)
	switch {
	case err != nil:
		return fmt.Errorf("leave a fleet: %w", err)
	case known:
		return fleet.ErrDriverBusy
	}
	return fleet.ErrNoUser
}

// leave takes him out and empties his inbox, both or neither.
func (s *Crews) leave(ctx context.Context, transporter, driver fleet.UserID, at time.Time) (left bool, err error) {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	done, err := tx.ExecContext(ctx, `
		UPDATE app_user SET transporter_id = NULL, membership_version = membership_version + 1, available = 0, updated_at = ?3
		WHERE id = ?1 AND transporter_id = ?2 AND NOT EXISTS (SELECT 1 FROM trip t WHERE t.driver_id = ?1 AND t.live)`,
		string(driver), string(transporter), micros(at))
	if err != nil {
		return false, err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM inbox WHERE recipient = ?1`, string(driver)); err != nil {
		return false, err
	}
	return true, tx.Commit()
}
