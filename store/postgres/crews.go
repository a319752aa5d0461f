package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/fleet"
)

// Crews keeps who drives for whom.
type Crews struct{ db *DB }

var _ fleet.Crews = (*Crews)(nil)

// NewCrews makes one.
func NewCrews(db *DB) *Crews { return &Crews{db: db} }

// Invite stores an invitation and forgets the transporter's old ones.
func (s *Crews) Invite(ctx context.Context, i fleet.Invitation) error {
	_, err := s.db.General.Exec(ctx, `
		WITH old AS (DELETE FROM fleet_invitation WHERE transporter_id = $1 AND phone <> $2 AND at <= $7)
		INSERT INTO fleet_invitation (transporter_id, phone, name, license_number, email, at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (transporter_id, phone) DO UPDATE
		SET name = excluded.name, license_number = excluded.license_number, email = excluded.email, at = excluded.at`,
		string(i.Transporter), i.Phone, i.Name, i.LicenseNumber, i.Email, i.At, i.At.Add(-fleet.InvitationLife))
	if err != nil {
		return fmt.Errorf("invite a driver: %w", err)
	}
	return nil
}

// Invitation gives an invitation that is not over.
func (s *Crews) Invitation(ctx context.Context, transporter fleet.UserID, phone string, now time.Time) (fleet.Invitation, error) {
	i := fleet.Invitation{Transporter: transporter, Phone: phone}
	err := s.db.General.QueryRow(ctx, `SELECT name, license_number, email, at FROM fleet_invitation
		WHERE transporter_id = $1 AND phone = $2 AND at > $3`, string(transporter), phone, now.Add(-fleet.InvitationLife)).
		Scan(&i.Name, &i.LicenseNumber, &i.Email, &i.At)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.Invitation{}, fleet.ErrNoInvitation
	}
	if err != nil {
		return fleet.Invitation{}, fmt.Errorf("read an invitation: %w", err)
	}
	i.At = i.At.UTC()
	return i, nil
}

// Join takes a driver into a fleet. The unique phone and the condition on the row decide between
// transporters who do it at once.
func (s *Crews) Join(ctx context.Context, i fleet.Invitation, id fleet.UserID, at time.Time) (fleet.User, error) {
	u, err := scanPerson(s.db.General.QueryRow(ctx, `
		WITH answered AS (DELETE FROM fleet_invitation WHERE transporter_id = $5 AND phone = $2)
		INSERT INTO app_user AS u (id, phone, role, name, email, transporter_id, membership_version, license_number, created_at, updated_at)
		VALUES ($1, $2, 'driver', $3, $4, $5, 1, $6, $7, $7)
		ON CONFLICT ON CONSTRAINT one_user_per_phone_and_role DO UPDATE
		SET name = excluded.name, email = coalesce(nullif(excluded.email, ''), u.email), transporter_id = excluded.transporter_id,
		    membership_version = u.membership_version + 1, license_number = excluded.license_number, available = false, updated_at = excluded.updated_at
		WHERE u.transporter_id IS NULL
		RETURNING `+personColumns, string(id), i.Phone, i.Name, i.Email, string(i.Transporter), i.LicenseNumber, at))
	if err == nil {
		return u, nil
	}
	if !errors.Is(err, fleet.ErrNoUser) { // no row: he is in a fleet
		return fleet.User{}, fmt.Errorf("join a fleet: %w", err)
	}
	u, err = scanPerson(s.db.General.QueryRow(ctx, `SELECT `+personColumns+` FROM app_user WHERE phone = $1 AND role = 'driver'`, i.Phone))
	switch {
	case err != nil:
		return fleet.User{}, fmt.Errorf("join a fleet: %w", err)
	case u.TransporterID != i.Transporter:
		return fleet.User{}, fleet.ErrInFleet
	}
	return u, nil
}

// Leave takes a driver who is on no live trip out of the fleet.
func (s *Crews) Leave(ctx context.Context, transporter, driver fleet.UserID, at time.Time) error {
	var left bool
	err := s.db.General.QueryRow(ctx, `
		WITH gone AS (
			UPDATE app_user SET transporter_id = NULL, membership_version = membership_version + 1, available = false, updated_at = $3
			WHERE id = $1 AND transporter_id = $2 AND NOT EXISTS (SELECT 1 FROM trip t WHERE t.driver_id = $1 AND t.live)
			RETURNING id
		), told AS (DELETE FROM inbox USING gone WHERE recipient = gone.id)
		SELECT EXISTS (SELECT 1 FROM gone)`,
		string(driver), string(transporter), at).Scan(&left)
	if err != nil {
		return fmt.Errorf("leave a fleet: %w", err)
	}
	if left {
		return nil
	}
	var known bool
	err = s.db.General.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM app_user WHERE id = $1 AND transporter_id = $2)`,
		string(driver), string(transporter)).Scan(&known)
	switch {
	case err != nil:
		return fmt.Errorf("leave a fleet: %w", err)
	case known:
		return fleet.ErrDriverBusy
	}
	return fleet.ErrNoUser
}
