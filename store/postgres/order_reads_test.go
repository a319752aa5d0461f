package postgres_test

import (
	"testing"
	"time"

	"weelo/store/postgres"
	"weelo/store/storetest"
)

func TestOrderReads(t *testing.T) {
	t.Parallel()
	storetest.OrderReads(t, func(t *testing.T) storetest.OrderReadsBackend {
		db := freshDB(t)
		return storetest.OrderReadsBackend{
			Writer:  postgres.NewWriter(db, postgres.Options{Timeout: time.Minute, MaxWait: time.Minute}),
			Claimer: postgres.NewClaimer(db),
			Reads:   postgres.NewOrderReads(db),
			Trips:   postgres.NewOrderReads(db),
		}
	})
}
