package sqlite_test

import (
	"testing"

	"weelo/store/sqlite"
	"weelo/store/storetest"
)

func TestPhones(t *testing.T) {
	t.Parallel()
	storetest.Phones(t, func(t *testing.T) storetest.PhoneStores {
		db := freshDB(t)
		return storetest.PhoneStores{Phones: sqlite.NewPhones(db), Sessions: sqlite.NewSessions(db), Users: sqlite.NewUsers(db)}
	})
}
