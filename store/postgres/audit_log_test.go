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
	for _, table := range []string{"audit_log", "audit_base"} {
		if _, err := db.General.Exec(t.Context(), `TRUNCATE `+table); err == nil {
			t.Errorf("TRUNCATE of %s was allowed", table)
		}
	}
}

func TestAuditLogIsPruned(t *testing.T) {
	t.Parallel()
	storetest.AuditPruning(t, func(t *testing.T) (auditlog.Store, storetest.AuditHand) {
		db := freshDB(t)
		do := func(statement string) error {
			_, err := db.General.Exec(t.Context(), statement)
			return err
		}
		return postgres.NewAuditLog(db), storetest.AuditHand{Do: do, Unguard: func() {
			for _, table := range []string{"audit_log", "audit_base"} {
				if err := do(`ALTER TABLE ` + table + ` DISABLE TRIGGER ALL`); err != nil {
					t.Fatal(err)
				}
			}
		}}
	})
}
