package postgres_test

import (
	"testing"

	"weelo/internal/auditlog"
	"weelo/store/postgres"
	"weelo/store/storetest"
)

func TestAuditLog(t *testing.T) {
	t.Parallel()
	storetest.AuditLog(t, func(t *testing.T) (auditlog.Store, func(string) error) {
		db := freshDB(t)
		return postgres.NewAuditLog(db), func(statement string) error {
			_, err := db.General.Exec(t.Context(), statement)
			return err
		}
	})
}

// TestAuditLogIsNotTruncated: the statement that no row trigger hears of is refused too.
func TestAuditLogIsNotTruncated(t *testing.T) {
	t.Parallel()
	db := freshDB(t)
	if _, err := db.General.Exec(t.Context(), `TRUNCATE audit_log`); err == nil {
		t.Error("TRUNCATE was allowed")
	}
}
