package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"weelo/internal/auditlog"
)

// AuditLog keeps who did what to whose account.
type AuditLog struct{ db *DB }

var _ auditlog.Store = (*AuditLog)(nil)

// NewAuditLog makes one.
func NewAuditLog(db *DB) *AuditLog { return &AuditLog{db: db} }

const auditColumns = `seq, at, actor, role, action, subject, reason, authorised_by, phone_hmac, network, device_hash, request_id, details, hash`

var auditNames = []string{"seq", "at", "actor", "role", "action", "subject", "reason", "authorised_by", "phone_hmac", "network", "device_hash", "request_id", "details", "hash"}

// Append implements auditlog.Store. The row of the head is the lock.
func (s *AuditLog) Append(ctx context.Context, entries []auditlog.Entry) error {
	err := pgx.BeginFunc(ctx, s.db.General, func(tx pgx.Tx) error {
		head, err := auditHead(tx.QueryRow(ctx, `SELECT seq, hash FROM audit_head WHERE one FOR UPDATE`))
		if err != nil {
			return err
		}
		return appendAudit(ctx, tx, head, entries)
	})
	if err != nil {
		return fmt.Errorf("postgres: append to the audit log: %w", err)
	}
	return nil
}

// appendAudit writes entries behind the head, whose row the transaction holds.
func appendAudit(ctx context.Context, tx pgx.Tx, head auditlog.Head, entries []auditlog.Entry) error {
	rows := auditlog.Seal(head, entries)
	if len(rows) == 0 {
		return nil
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"audit_log"}, auditNames, pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
		r := rows[i]
		return []any{r.Seq, r.At, r.Actor, r.Role, r.Action, r.Subject, r.Reason, r.AuthorisedBy, r.PhoneHMAC, r.Network, r.DeviceHash, r.RequestID, r.Details, r.Hash[:]}, nil
	})); err != nil {
		return err
	}
	end := rows[len(rows)-1].Head()
	_, err := tx.Exec(ctx, `UPDATE audit_head SET seq = $1, hash = $2 WHERE one`, end.Seq, end.Hash[:])
	return err
}

// Rows implements auditlog.Store.
func (s *AuditLog) Rows(ctx context.Context, q auditlog.Query) ([]auditlog.Row, error) {
	var where strings.Builder
	var args []any
	add := func(condition string, value any) {
		args = append(args, value)
		fmt.Fprintf(&where, " AND "+condition, len(args))
	}
	if q.Subject != "" {
		add("subject = $%d", q.Subject)
	}
	if q.Actor != "" {
		add("actor = $%d", q.Actor)
	}
	if q.Action != "" {
		add("action = $%d", q.Action)
	}
	if q.Before != 0 {
		add("seq < $%d", q.Before)
	}
	limit := min(q.Limit, auditlog.MaxPage)
	return s.list(ctx, `SELECT `+auditColumns+` FROM audit_log WHERE true`+where.String()+fmt.Sprintf(` ORDER BY seq DESC LIMIT %d`, limit), args...)
}

// Chain implements auditlog.Store.
func (s *AuditLog) Chain(ctx context.Context, after int64, limit int) ([]auditlog.Row, error) {
	return s.list(ctx, auditChain, after, min(limit, auditlog.MaxPage))
}

const auditChain = `SELECT ` + auditColumns + ` FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT $2`

// Extent implements auditlog.Store.
func (s *AuditLog) Extent(ctx context.Context) (auditlog.Extent, error) {
	var e auditlog.Extent
	var base, end []byte
	err := s.db.General.QueryRow(ctx, `SELECT b.seq, b.hash, h.seq, h.hash FROM audit_base b, audit_head h`).Scan(&e.Base.Seq, &base, &e.End.Seq, &end)
	if err != nil {
		return e, fmt.Errorf("postgres: read the audit log's ends: %w", err)
	}
	copy(e.Base.Hash[:], base)
	copy(e.End.Hash[:], end)
	return e, nil
}

// Trim implements auditlog.Store. The row of the base is the lock of those who remove; appenders wait only
// while something goes.
func (s *AuditLog) Trim(ctx context.Context, c auditlog.Cut) (removed int, err error) {
	err = pgx.BeginFunc(ctx, s.db.General, func(tx pgx.Tx) error {
		base, err := auditHead(tx.QueryRow(ctx, `SELECT seq, hash FROM audit_base WHERE one FOR UPDATE`))
		if err != nil {
			return err
		}
		oldest, err := auditRows(tx.Query(ctx, auditChain, base.Seq, min(c.Most, auditlog.MaxCut)))
		if err != nil {
			return err
		}
		to, ok, err := c.Removable(base, oldest)
		if err != nil || !ok {
			return err
		}
		head, err := auditHead(tx.QueryRow(ctx, `SELECT seq, hash FROM audit_head WHERE one FOR UPDATE`))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE audit_base SET seq = $1, hash = $2 WHERE one`, to.Seq, to.Hash[:]); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM audit_log WHERE seq <= $1`, to.Seq); err != nil {
			return err
		}
		removed = int(to.Seq - base.Seq)
		return appendAudit(ctx, tx, head, []auditlog.Entry{c.Entry(base, to)})
	})
	if err != nil {
		return 0, fmt.Errorf("postgres: prune the audit log: %w", err)
	}
	return removed, nil
}

func auditHead(row pgx.Row) (auditlog.Head, error) {
	var head auditlog.Head
	var hash []byte
	err := row.Scan(&head.Seq, &hash)
	copy(head.Hash[:], hash)
	return head, err
}

func (s *AuditLog) list(ctx context.Context, query string, args ...any) ([]auditlog.Row, error) {
	list, err := auditRows(s.db.General.Query(ctx, query, args...))
	if err != nil {
		return nil, fmt.Errorf("postgres: read the audit log: %w", err)
	}
	return list, nil
}

func auditRows(rows pgx.Rows, err error) ([]auditlog.Row, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (auditlog.Row, error) {
		var r auditlog.Row
		var hash []byte
		err := row.Scan(&r.Seq, &r.At, &r.Actor, &r.Role, &r.Action, &r.Subject, &r.Reason, &r.AuthorisedBy, &r.PhoneHMAC, &r.Network,
			&r.DeviceHash, &r.RequestID, &r.Details, &hash)
		r.At = r.At.UTC()
		copy(r.Hash[:], hash)
		return r, err
	})
}
