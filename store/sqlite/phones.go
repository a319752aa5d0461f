package sqlite

import (
	"context"
	"fmt"
	"time"

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
	err := s.register(ctx, p)
	if err != nil {
		return fmt.Errorf("register a phone of %s: %w", p.User, err)
	}
	return nil
}

func (s *Phones) register(ctx context.Context, p push.Phone) error {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO push_token (token, user_id, session_id, device, updated_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (token) DO UPDATE SET user_id = excluded.user_id, session_id = excluded.session_id, device = excluded.device, updated_at = excluded.updated_at`,
		p.Token, string(p.User), p.Session, p.Device, micros(p.At)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		DELETE FROM push_token WHERE token IN (
			SELECT token FROM push_token WHERE user_id = ? ORDER BY updated_at DESC, token LIMIT -1 OFFSET ?)`, string(p.User), push.MaxTokens); err != nil {
		return err
	}
	return tx.Commit()
}

// Unregister implements push.Phones.
func (s *Phones) Unregister(ctx context.Context, user fleet.UserID, token string) error {
	if _, err := s.db.Write.ExecContext(ctx, `DELETE FROM push_token WHERE token = ? AND user_id = ?`, token, string(user)); err != nil {
		return fmt.Errorf("unregister a phone of %s: %w", user, err)
	}
	return nil
}

// Tokens implements push.Phones.
func (s *Phones) Tokens(ctx context.Context, user fleet.UserID, now time.Time) ([]string, error) {
	rows, err := s.db.Read.QueryContext(ctx, `
		SELECT p.token FROM push_token p JOIN session_family f ON f.id = p.session_id
		WHERE p.user_id = ?1 AND f.user_id = ?1 AND f.revoked_at IS NULL AND f.ends_at > ?2 ORDER BY p.updated_at DESC, p.token`, string(user), micros(now))
	if err != nil {
		return nil, fmt.Errorf("read phones of %s: %w", user, err)
	}
	defer rows.Close()
	var tokens []string
	for rows.Next() {
		var token string
		if err := rows.Scan(&token); err != nil {
			return nil, fmt.Errorf("read phones of %s: %w", user, err)
		}
		tokens = append(tokens, token)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read phones of %s: %w", user, err)
	}
	return tokens, nil
}

// Forget implements push.Phones.
func (s *Phones) Forget(ctx context.Context, token string, before time.Time) error {
	if _, err := s.db.Write.ExecContext(ctx, `DELETE FROM push_token WHERE token = ? AND updated_at < ?`, token, micros(before)); err != nil {
		return fmt.Errorf("forget a phone: %w", err)
	}
	return nil
}

// Sweep implements push.Phones.
func (s *Phones) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	res, err := s.db.Write.ExecContext(ctx, `
		DELETE FROM push_token WHERE token IN (
			SELECT p.token FROM push_token p JOIN session_family f ON f.id = p.session_id
			WHERE f.revoked_at IS NOT NULL OR f.ends_at <= ? LIMIT ?)`, micros(now), limit)
	if err != nil {
		return 0, fmt.Errorf("sweep phones: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("sweep phones: %w", err)
	}
	return int(n), nil
}
