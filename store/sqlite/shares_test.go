package sqlite_test

import (
	"testing"

	"weelo/internal/share"
	"weelo/store/sqlite"
	"weelo/store/storetest"
)

func TestShares(t *testing.T) {
	t.Parallel()
	storetest.Shares(t, func(t *testing.T) share.Store { return sqlite.NewShares(freshDB(t)) })
}
