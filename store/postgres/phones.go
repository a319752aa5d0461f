package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/fleet"
	"weelo/internal/push"
)

// Phones keeps the tokens of push messages.
type Phones struct{ db *DB }

var _ push.Phones = (*Phones)(nil)

// NewPhones makes one.
func NewPhones(db *DB) *Phones { return &Phones{db: db} }

// Register implements push.Phones.
func (s *Phones) Register(ctx context.Context, p push.Phone) error {
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO push_token (token, user_id, session_id, device, updated_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (token) DO UPDATE SET user_id = excluded.user_id, session_id = excluded.session_id, device = excluded.device, updated_at = excluded.updated_at`,
		p.Token, string(p.User), p.Session, p.Device, p.At)
	batch.Queue(`
		DELETE FROM push_token WHERE token IN (
			SELECT token FROM push_token WHERE user_id = $1 ORDER BY updated_at DESC, token OFFSET $2)`, string(p.User), push.MaxTokens)
	if err := s.db.General.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("register a phone of %s: %w", p.User, err)
	}
	return nil
}

// Unregister implements push.Phones.
func (s *Phones) Unregister(ctx context.Context, user fleet.UserID, token string) error {
	if _, err := s.db.General.Exec(ctx, `DELETE FROM push_token WHERE token = $1 AND user_id = $2`, token, string(user)); err != nil {
		return fmt.Errorf("unregister a phone of %s: %w", user, err)
	}
	return nil
}

// Tokens implements push.Phones.
func (s *Phones) Tokens(ctx context.Context, user fleet.UserID, now time.Time) ([]string, error) {
	rows, err := s.db.General.Query(ctx, `
		SELECT p.token FROM push_token p JOIN session_family f ON f.id = p.session_id
		WHERE p.user_id = $1 AND f.user_id = $1 AND f.revoked_at IS NULL AND f.ends_at > $2 ORDER BY p.updated_at DESC, p.token`, string(user), now)
	if err != nil {
		return nil, fmt.Errorf("read phones of %s: %w", user, err)
	}
	tokens, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read phones of %s: %w", user, err)
	}
	return tokens, nil
}

// Forget implements push.Phones.
func (s *Phones) Forget(ctx context.Context, token string, before time.Time) error {
	if _, err := s.db.General.Exec(ctx, `DELETE FROM push_token WHERE token = $1 AND updated_at < $2`, token, before); err != nil {
		return fmt.Errorf("forget a phone: %w", err)
	}
	return nil
}

// Sweep implements push.Phones.
func (s *Phones) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	tag, err := s.db.General.Exec(ctx, `
		DELETE FROM push_token WHERE token IN (
			SELECT p.token FROM push_token p JOIN session_family f ON f.id = p.session_id
			WHERE f.revoked_at IS NOT NULL OR f.ends_at <= $1 LIMIT $2)`, now, limit)
	if err != nil {
		return 0, fmt.Errorf("sweep phones: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
