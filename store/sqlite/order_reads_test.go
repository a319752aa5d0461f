package sqlite_test

import (
	"path/filepath"
	"testing"

	"weelo/store/sqlite"
	"weelo/store/storetest"
)

func TestOrderReads(t *testing.T) {
	t.Parallel()
	storetest.OrderReads(t, func(t *testing.T) storetest.OrderReadsBackend {
		db, b := openLedger(t, filepath.Join(t.TempDir(), "weelo.db"))
		return storetest.OrderReadsBackend{Writer: b.Writer, Claimer: b.Claimer, Reads: sqlite.NewOrderReads(db), Trips: sqlite.NewOrderReads(db)}
	})
}
