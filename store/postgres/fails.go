package postgres

import (
	"context"
	"fmt"
	"time"

	"weelo/internal/otp"
)

// Fails keeps failed tries.
type Fails struct{ db *DB }

var _ otp.Fails = (*Fails)(nil)

// NewFails makes one.
func NewFails(db *DB) *Fails { return &Fails{db: db} }

// Fail adds one.
func (s *Fails) Fail(ctx context.Context, phone string, at time.Time) error {
	if _, err := s.db.General.Exec(ctx, `INSERT INTO otp_fail (phone, failed_at) VALUES ($1, $2)`, phone, at); err != nil {
		return fmt.Errorf("record a failed try: %w", err)
	}
	return nil
}

// CountFails counts those after since.
func (s *Fails) CountFails(ctx context.Context, phone string, since time.Time) (int, error) {
	var n int
	if err := s.db.General.QueryRow(ctx, `SELECT count(*) FROM otp_fail WHERE phone = $1 AND failed_at > $2`, phone, since).Scan(&n); err != nil {
		return 0, fmt.Errorf("count failed tries: %w", err)
	}
	return n, nil
}

// ClearFails forgets a phone's.
func (s *Fails) ClearFails(ctx context.Context, phone string) error {
	if _, err := s.db.General.Exec(ctx, `DELETE FROM otp_fail WHERE phone = $1`, phone); err != nil {
		return fmt.Errorf("clear failed tries: %w", err)
	}
	return nil
}

// PruneFails removes old ones.
func (s *Fails) PruneFails(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.db.General.Exec(ctx, `
		DELETE FROM otp_fail WHERE id IN (SELECT id FROM otp_fail WHERE failed_at < $1 ORDER BY failed_at LIMIT $2)`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("prune failed tries: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
