package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/otp"
)

// Fails keeps failed tries.
type Fails struct{ db *DB }

var _ otp.Fails = (*Fails)(nil)

// NewFails makes one.
func NewFails(db *DB) *Fails { return &Fails{db: db} }

// Reserve adds one unless there are most of them. Tries of one phone take turns: each counts what those
// before it committed. The batch is one transaction, and the lock ends with it.
func (s *Fails) Reserve(ctx context.Context, phone string, at, since time.Time, most int) (try int64, err error) {
	batch := &pgx.Batch{}
	batch.Queue(`SELECT pg_advisory_xact_lock(hashtextextended('otp_fail:' || $1::text, 0))`, phone)
	batch.Queue(`
		INSERT INTO otp_fail (phone, failed_at)
		SELECT $1::text, $2::timestamptz WHERE (SELECT count(*) FROM otp_fail WHERE phone = $1::text AND failed_at > $3::timestamptz) < $4::bigint
		RETURNING id`, phone, at, since, most).QueryRow(func(row pgx.Row) error {
		if err := row.Scan(&try); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return nil
	})
	if err := s.db.General.SendBatch(ctx, batch).Close(); err != nil {
		return 0, fmt.Errorf("reserve a try: %w", err)
	}
	return try, nil
}

// Release takes one back.
func (s *Fails) Release(ctx context.Context, try int64) error {
	if _, err := s.db.General.Exec(ctx, `DELETE FROM otp_fail WHERE id = $1`, try); err != nil {
		return fmt.Errorf("release a try: %w", err)
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
