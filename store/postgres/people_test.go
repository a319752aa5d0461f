package postgres_test

import (
	"testing"

	"weelo/internal/fleet"
	"weelo/internal/otp"
	"weelo/internal/session"
	"weelo/store/postgres"
	"weelo/store/storetest"
)

func TestUsers(t *testing.T) {
	t.Parallel()
	storetest.Users(t, func(t *testing.T) session.Users { return postgres.NewUsers(freshDB(t)) })
}

func TestSessions(t *testing.T) {
	t.Parallel()
	storetest.Sessions(t, func(t *testing.T) (session.Store, session.Users) {
		db := freshDB(t)
		return postgres.NewSessions(db), postgres.NewUsers(db)
	})
}

func TestFails(t *testing.T) {
	t.Parallel()
	storetest.Fails(t, func(t *testing.T) otp.Fails { return postgres.NewFails(freshDB(t)) })
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	storetest.Registry(t, func(t *testing.T) (fleet.Registry, func(fleet.User)) {
		db := freshDB(t)
		return postgres.NewRegistry(db), putUser(t, db)
	})
}

func TestLister(t *testing.T) {
	t.Parallel()
	storetest.Lister(t, func(t *testing.T) (session.Lister, session.Store, session.Users) {
		db := freshDB(t)
		return postgres.NewSessions(db), postgres.NewSessions(db), postgres.NewUsers(db)
	})
}
