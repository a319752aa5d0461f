package sqlite_test

import (
	"path/filepath"
	"testing"

	"weelo/store/sqlite"
	"weelo/store/storetest"
)

func TestDisputes(t *testing.T) {
	t.Parallel()
	storetest.Disputes(t, func(t *testing.T) storetest.DisputesBackend {
		db, b := openLedger(t, filepath.Join(t.TempDir(), "weelo.db"))
		return storetest.DisputesBackend{Writer: b.Writer, Reads: sqlite.NewOrderReads(db)}
	})
}
