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

func TestAuditLogIsPruned(t *testing.T) {
	t.Parallel()
	storetest.AuditPruning(t, func(t *testing.T) (auditlog.Store, storetest.AuditHand) {
		db := freshDB(t)
		do := func(statement string) error {
			_, err := db.Write.ExecContext(t.Context(), statement)
			return err
		}
		return sqlite.NewAuditLog(db), storetest.AuditHand{Do: do, Unguard: func() {
			for _, guard := range []string{"audit_log_keeps_rows", "audit_log_changes_none", "audit_log_replaces_none", "audit_base_rises", "audit_base_stays", "audit_base_is_one"} {
				if err := do(`DROP TRIGGER ` + guard); err != nil {
					t.Fatal(err)
				}
			}
		}}
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
