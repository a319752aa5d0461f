package postgres_test

import (
	"testing"

	"weelo/internal/share"
	"weelo/store/postgres"
	"weelo/store/storetest"
)

func TestShares(t *testing.T) {
	t.Parallel()
	storetest.Shares(t, func(t *testing.T) share.Store { return postgres.NewShares(freshDB(t)) })
}
