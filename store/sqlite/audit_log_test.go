package sqlite_test

import (
	"testing"

	"weelo/internal/auditlog"
	"weelo/store/sqlite"
	"weelo/store/storetest"
)

func TestAuditLog(t *testing.T) {
	t.Parallel()
	storetest.AuditLog(t, func(t *testing.T) (auditlog.Store, func(string) error) {
		db := freshDB(t)
		return sqlite.NewAuditLog(db), func(statement string) error {
			_, err := db.Write.ExecContext(t.Context(), statement)
			return err
		}
	})
}

// TestAuditLogIsNotReplaced: INSERT OR REPLACE removes a row without asking a trigger for DELETE.
func TestAuditLogIsNotReplaced(t *testing.T) {
	t.Parallel()
	db := freshDB(t)
	s := sqlite.NewAuditLog(db)
	if err := s.Append(t.Context(), []auditlog.Entry{{Action: "a", Details: "{}"}, {Action: "b", Details: "{}"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Write.ExecContext(t.Context(), `INSERT OR REPLACE INTO audit_log SELECT seq, at, actor, role, 'other', subject, reason,
		authorised_by, phone_hmac, network, device_hash, request_id, details, hash FROM audit_log WHERE seq = 1`); err == nil {
		t.Error("REPLACE was allowed")
	}
	if _, err := auditlog.Check(t.Context(), s); err != nil {
		t.Error(err)
	}
}
