package postgres_test

import (
	"testing"

	"weelo/store/postgres"
	"weelo/store/storetest"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	storetest.Audit(t, func(t *testing.T) storetest.AuditBackend {
		db := freshDB(t)
		return storetest.AuditBackend{Writer: postgres.NewWriter(db, postgres.Options{}), Rows: postgres.NewAudit(db)}
	})
}
