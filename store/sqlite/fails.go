package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"weelo/internal/otp"
)

// Fails keeps failed tries.
type Fails struct{ db *DB }

var _ otp.Fails = (*Fails)(nil)

// NewFails makes one.
func NewFails(db *DB) *Fails { return &Fails{db: db} }

// Reserve adds one unless there are most of them. The one writer makes it one step.
func (s *Fails) Reserve(ctx context.Context, phone string, at, since time.Time, most int) (try int64, err error) {
	err = s.db.Write.QueryRowContext(ctx, `
		INSERT INTO otp_fail (phone, failed_at)
		SELECT ?1, ?2 WHERE (SELECT count(*) FROM otp_fail WHERE phone = ?1 AND failed_at > ?3) < ?4
		RETURNING id`, phone, micros(at), micros(since), most).Scan(&try)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reserve a try: %w", err)
	}
	return try, nil
}

// Release takes one back.
func (s *Fails) Release(ctx context.Context, try int64) error {
	if _, err := s.db.Write.ExecContext(ctx, `DELETE FROM otp_fail WHERE id = ?`, try); err != nil {
		return fmt.Errorf("release a try: %w", err)
	}
	return nil
}

// CountFails counts those after since.
func (s *Fails) CountFails(ctx context.Context, phone string, since time.Time) (int, error) {
	var n int
	if err := s.db.Read.QueryRowContext(ctx, `SELECT count(*) FROM otp_fail WHERE phone = ? AND failed_at > ?`, phone, micros(since)).Scan(&n); err != nil {
		return 0, fmt.Errorf("count failed tries: %w", err)
	}
	return n, nil
}

// ClearFails forgets a phone's.
func (s *Fails) ClearFails(ctx context.Context, phone string) error {
	if _, err := s.db.Write.ExecContext(ctx, `DELETE FROM otp_fail WHERE phone = ?`, phone); err != nil {
		return fmt.Errorf("clear failed tries: %w", err)
	}
	return nil
}

// PruneFails removes old ones.
func (s *Fails) PruneFails(ctx context.Context, before time.Time, limit int) (int, error) {
	res, err := s.db.Write.ExecContext(ctx, `
		DELETE FROM otp_fail WHERE id IN (SELECT id FROM otp_fail WHERE failed_at < ? ORDER BY failed_at LIMIT ?)`, micros(before), limit)
	if err != nil {
		return 0, fmt.Errorf("prune failed tries: %w", err)
	}
	n, err := res.RowsAffected()
	return int(n), err
}
