package sqlite_test

import (
	"path/filepath"
	"testing"

	"weelo/store/sqlite"
	"weelo/store/storetest"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	for _, path := range []string{sqlite.Memory, "file"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			storetest.Audit(t, func(t *testing.T) storetest.AuditBackend {
				at := path
				if at != sqlite.Memory {
					at = filepath.Join(t.TempDir(), "weelo.db")
				}
				db, backend := openLedger(t, at)
				return storetest.AuditBackend{Writer: backend.Writer, Rows: sqlite.NewAudit(db)}
			})
		})
	}
}
