package postgres_test

import (
	"testing"
	"time"

	"weelo/store/postgres"
	"weelo/store/storetest"
)

func TestDisputes(t *testing.T) {
	t.Parallel()
	storetest.Disputes(t, func(t *testing.T) storetest.DisputesBackend {
		db := freshDB(t)
		return storetest.DisputesBackend{
			Writer: postgres.NewWriter(db, postgres.Options{Timeout: time.Minute, MaxWait: time.Minute}),
			Reads:  postgres.NewOrderReads(db),
		}
	})
}
