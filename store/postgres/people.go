package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/fleet"
)

// People reads users of every role and keeps their intent. Login writes users through its own port.
type People struct{ db *DB }

var _ fleet.People = (*People)(nil)

// NewPeople makes one.
func NewPeople(db *DB) *People { return &People{db: db} }

// User gives one user.
func (s *People) User(ctx context.Context, id fleet.UserID) (fleet.User, error) {
	return onePerson(s.db.General.QueryRow(ctx, `SELECT `+personColumns+` FROM app_user WHERE id = $1`, string(id)), id)
}

// Users gives those of the ids that exist.
func (s *People) Users(ctx context.Context, ids []fleet.UserID) ([]fleet.User, error) {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	return s.list(ctx, `SELECT `+personColumns+` FROM app_user WHERE id = ANY ($1) LIMIT $2`, names, fleet.MaxFleet)
}

// Drivers gives the active drivers of a transporter.
func (s *People) Drivers(ctx context.Context, transporter fleet.UserID) ([]fleet.User, error) {
	return s.list(ctx, `SELECT `+personColumns+` FROM app_user WHERE transporter_id = $1 AND role = 'driver' AND NOT suspended
		ORDER BY name COLLATE "C", id COLLATE "C" LIMIT $2`, string(transporter), fleet.MaxFleet)
}

// SetAvailable stores an intent. The same again changes nothing.
func (s *People) SetAvailable(ctx context.Context, id fleet.UserID, available bool, at time.Time) (fleet.User, error) {
	return onePerson(s.db.General.QueryRow(ctx, `
		UPDATE app_user SET available = $2, updated_at = CASE WHEN available = $2 THEN updated_at ELSE $3 END
		WHERE id = $1 RETURNING `+personColumns, string(id), available, at), id)
}

func (s *People) list(ctx context.Context, query string, args ...any) ([]fleet.User, error) {
	rows, err := s.db.General.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	people, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (fleet.User, error) { return scanPerson(row) })
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	return people, nil
}

func onePerson(row pgx.Row, id fleet.UserID) (fleet.User, error) {
	u, err := scanPerson(row)
	if err != nil {
		return fleet.User{}, fmt.Errorf("user %s: %w", id, err)
	}
	return u, nil
}
