package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"weelo/internal/fleet"
)

// People reads users of every role and keeps their intent. Login writes users through its own port.
type People struct{ db *DB }

var _ fleet.People = (*People)(nil)

// NewPeople makes one.
func NewPeople(db *DB) *People { return &People{db: db} }

// User gives one user.
func (s *People) User(ctx context.Context, id fleet.UserID) (fleet.User, error) {
	return onePerson(s.db.Read.QueryRowContext(ctx, `SELECT `+personColumns+` FROM app_user WHERE id = ?`, string(id)), id)
}

// Users gives those of the ids that exist.
func (s *People) Users(ctx context.Context, ids []fleet.UserID) ([]fleet.User, error) {
	names, err := json.Marshal(append([]fleet.UserID{}, ids...))
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	return s.list(ctx, `SELECT `+personColumns+` FROM app_user WHERE id IN (SELECT value FROM json_each(?)) LIMIT ?`,
		string(names), fleet.MaxFleet)
}

// Drivers gives the active drivers of a transporter.
func (s *People) Drivers(ctx context.Context, transporter fleet.UserID) ([]fleet.User, error) {
	return s.list(ctx, `SELECT `+personColumns+` FROM app_user WHERE transporter_id = ? AND role = 'driver' AND NOT suspended
		ORDER BY name, id LIMIT ?`, string(transporter), fleet.MaxFleet)
}

// SetAvailable stores an intent. The same again changes nothing.
func (s *People) SetAvailable(ctx context.Context, id fleet.UserID, available bool, at time.Time) (fleet.User, error) {
	return onePerson(s.db.Write.QueryRowContext(ctx, `
		UPDATE app_user SET available = ?2, updated_at = CASE WHEN available = ?2 THEN updated_at ELSE ?3 END
		WHERE id = ?1 RETURNING `+personColumns, string(id), available, micros(at)), id)
}

func (s *People) list(ctx context.Context, query string, args ...any) ([]fleet.User, error) {
	rows, err := s.db.Read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	defer rows.Close()
	var people []fleet.User
	for rows.Next() {
		u, err := scanPerson(rows)
		if err != nil {
			return nil, fmt.Errorf("read people: %w", err)
		}
		people = append(people, u)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	return people, nil
}

func onePerson(row scanner, id fleet.UserID) (fleet.User, error) {
	u, err := scanPerson(row)
	if err != nil {
		return fleet.User{}, fmt.Errorf("user %s: %w", id, err)
	}
	return u, nil
}
