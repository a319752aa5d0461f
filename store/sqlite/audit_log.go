package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"weelo/internal/auditlog"
)

// AuditLog keeps who did what to whose account.
type AuditLog struct{ db *DB }

var _ auditlog.Store = (*AuditLog)(nil)

// NewAuditLog makes one.
func NewAuditLog(db *DB) *AuditLog { return &AuditLog{db: db} }

// NewFileAuditLog reads the log of a database that was opened elsewhere, read only.
func NewFileAuditLog(db *sql.DB) auditlog.Reader { return &AuditLog{&DB{Read: db}} }

const auditColumns = `seq, at, actor, role, action, subject, reason, authorised_by, phone_hmac, network, device_hash, request_id, details, hash`

// Append implements auditlog.Store. There is one connection that writes.
func (s *AuditLog) Append(ctx context.Context, entries []auditlog.Entry) error {
	if err := s.append(ctx, entries); err != nil {
		return fmt.Errorf("sqlite: append to the audit log: %w", err)
	}
	return nil
}

func (s *AuditLog) append(ctx context.Context, entries []auditlog.Entry) error {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after the commit it does nothing
	if err := appendAudit(ctx, tx, entries); err != nil {
		return err
	}
	return tx.Commit()
}

func appendAudit(ctx context.Context, tx *sql.Tx, entries []auditlog.Entry) error {
	head, err := auditHead(tx.QueryRowContext(ctx, `SELECT seq, hash FROM audit_head`))
	if err != nil {
		return err
	}
	rows := auditlog.Seal(head, entries)
	if len(rows) == 0 {
		return nil
	}
	for _, r := range rows {
		if _, err := tx.ExecContext(ctx, `INSERT INTO audit_log (`+auditColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			r.Seq, micros(r.At), r.Actor, r.Role, r.Action, r.Subject, r.Reason, r.AuthorisedBy, r.PhoneHMAC, r.Network,
			r.DeviceHash, r.RequestID, r.Details, r.Hash[:]); err != nil {
			return err
		}
	}
	end := rows[len(rows)-1].Head()
	_, err = tx.ExecContext(ctx, `UPDATE audit_head SET seq = ?, hash = ?`, end.Seq, end.Hash[:])
	return err
}

// Rows implements auditlog.Store.
func (s *AuditLog) Rows(ctx context.Context, q auditlog.Query) ([]auditlog.Row, error) {
	var where strings.Builder
	var args []any
	add := func(condition string, value any) {
		where.WriteString(" AND " + condition)
		args = append(args, value)
	}
	if q.Subject != "" {
		add("subject = ?", q.Subject)
	}
	if q.Actor != "" {
		add("actor = ?", q.Actor)
	}
	if q.Action != "" {
		add("action = ?", q.Action)
	}
	if q.Before != 0 {
		add("seq < ?", q.Before)
	}
	args = append(args, min(q.Limit, auditlog.MaxPage))
	return s.list(ctx, `SELECT `+auditColumns+` FROM audit_log WHERE true`+where.String()+` ORDER BY seq DESC LIMIT ?`, args...)
}

// Chain implements auditlog.Store.
func (s *AuditLog) Chain(ctx context.Context, after int64, limit int) ([]auditlog.Row, error) {
	return s.list(ctx, auditChain, after, min(limit, auditlog.MaxPage))
}

const auditChain = `SELECT ` + auditColumns + ` FROM audit_log WHERE seq > ? ORDER BY seq LIMIT ?`

// Extent implements auditlog.Store.
func (s *AuditLog) Extent(ctx context.Context) (auditlog.Extent, error) {
	var e auditlog.Extent
	var base, end []byte
	err := s.db.Read.QueryRowContext(ctx, `SELECT b.seq, b.hash, h.seq, h.hash FROM audit_base b, audit_head h`).Scan(&e.Base.Seq, &base, &e.End.Seq, &end)
	if err != nil {
		return e, fmt.Errorf("sqlite: read the audit log's ends: %w", err)
	}
	copy(e.Base.Hash[:], base)
	copy(e.End.Hash[:], end)
	return e, nil
}

// Trim implements auditlog.Store.
func (s *AuditLog) Trim(ctx context.Context, c auditlog.Cut) (int, error) {
	removed, err := s.trim(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("sqlite: prune the audit log: %w", err)
	}
	return removed, nil
}

func (s *AuditLog) trim(ctx context.Context, c auditlog.Cut) (int, error) {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // after the commit it does nothing
	base, err := auditHead(tx.QueryRowContext(ctx, `SELECT seq, hash FROM audit_base`))
	if err != nil {
		return 0, err
	}
	oldest, err := auditRows(tx.QueryContext(ctx, auditChain, base.Seq, min(c.Most, auditlog.MaxCut)))
	if err != nil {
		return 0, err
	}
	to, ok, err := c.Removable(base, oldest)
	if err != nil || !ok {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE audit_base SET seq = ?, hash = ?`, to.Seq, to.Hash[:]); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM audit_log WHERE seq <= ?`, to.Seq); err != nil {
		return 0, err
	}
	if err := appendAudit(ctx, tx, []auditlog.Entry{c.Entry(base, to)}); err != nil {
		return 0, err
	}
	return int(to.Seq - base.Seq), tx.Commit()
}

func auditHead(row *sql.Row) (auditlog.Head, error) {
	var head auditlog.Head
	var hash []byte
	err := row.Scan(&head.Seq, &hash)
	copy(head.Hash[:], hash)
	return head, err
}

func (s *AuditLog) list(ctx context.Context, query string, args ...any) ([]auditlog.Row, error) {
	list, err := auditRows(s.db.Read.QueryContext(ctx, query, args...))
	if err != nil {
		return nil, fmt.Errorf("sqlite: read the audit log: %w", err)
	}
	return list, nil
}

func auditRows(rows *sql.Rows, err error) ([]auditlog.Row, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []auditlog.Row
	for rows.Next() {
		var r auditlog.Row
		var at int64
		var hash []byte
		if err := rows.Scan(&r.Seq, &at, &r.Actor, &r.Role, &r.Action, &r.Subject, &r.Reason, &r.AuthorisedBy, &r.PhoneHMAC, &r.Network,
			&r.DeviceHash, &r.RequestID, &r.Details, &hash); err != nil {
			return nil, err
		}
		r.At = instant(at)
		copy(r.Hash[:], hash)
		list = append(list, r)
	}
	return list, rows.Err()
}
