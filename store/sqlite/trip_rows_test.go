package sqlite_test

import (
	"testing"

	"weelo/internal/ledger"
	"weelo/store/sqlite"
	"weelo/store/storetest"
)

func TestTripRows(t *testing.T) {
	t.Parallel()
	storetest.TripRows(t, func(t *testing.T) (storetest.TripRowReader, ledger.Writer, ledger.Claimer) {
		db := freshDB(t)
		return sqlite.NewTripReads(db), sqlite.NewWriter(db, sqlite.Options{}), sqlite.NewClaimer(db)
	})
}
