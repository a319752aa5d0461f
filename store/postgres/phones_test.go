package postgres_test

import (
	"testing"

	"weelo/store/postgres"
	"weelo/store/storetest"
)

func TestPhones(t *testing.T) {
	t.Parallel()
	storetest.Phones(t, func(t *testing.T) storetest.PhoneStores {
		db := freshDB(t)
		return storetest.PhoneStores{Phones: postgres.NewPhones(db), Sessions: postgres.NewSessions(db), Users: postgres.NewUsers(db)}
	})
}
