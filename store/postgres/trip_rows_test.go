package postgres_test

import (
	"testing"

	"weelo/internal/ledger"
	"weelo/store/postgres"
	"weelo/store/storetest"
)

func TestTripRows(t *testing.T) {
	t.Parallel()
	storetest.TripRows(t, func(t *testing.T) (storetest.TripRowReader, ledger.Writer, ledger.Claimer) {
		db := freshDB(t)
		return postgres.NewTripReads(db), postgres.NewWriter(db, postgres.Options{}), postgres.NewClaimer(db)
	})
}
