package postgres_test

import (
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/ledger"
	"weelo/internal/servertest"
	"weelo/internal/trip"
	"weelo/store/postgres"
	"weelo/store/storetest"
)

// freshDB opens a migrated database of this test alone.
func freshDB(t *testing.T) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: servertest.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func TestFixes(t *testing.T) {
	t.Parallel()
	storetest.Fixes(t, func(t *testing.T) history.Store { return postgres.NewFixes(freshDB(t)) })
}

func TestVehicles(t *testing.T) {
	t.Parallel()
	storetest.Vehicles(t, func(t *testing.T) fleet.Vehicles { return postgres.NewVehicles(freshDB(t)) })
}

func TestTripReads(t *testing.T) {
	t.Parallel()
	storetest.TripReads(t, func(t *testing.T) (storetest.TripReader, func(trip.State, int64)) {
		db := freshDB(t)
		return postgres.NewTripReads(db), putTrip(t, db)
	})
}

// putTrip puts a row there as the ledger's writer would.
func putTrip(t *testing.T, db *postgres.DB) func(trip.State, int64) {
	return func(s trip.State, version int64) {
		t.Helper()
		snapshot, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.General.Exec(t.Context(), `INSERT INTO trip (id, version, state, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)`,
			s.ID, version, snapshot, time.UnixMilli(s.AssignedMS)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPeople(t *testing.T) {
	t.Parallel()
	storetest.People(t, func(t *testing.T) (fleet.People, func(fleet.User)) {
		db := freshDB(t)
		return postgres.NewPeople(db), putUser(t, db)
	})
}

// putUser puts a user there as login would.
func putUser(t *testing.T, db *postgres.DB) func(fleet.User) {
	return func(u fleet.User) {
		t.Helper()
		if _, err := db.General.Exec(t.Context(), `INSERT INTO app_user (id, phone, role, name, email, suspended, transporter_id,
			membership_version, license_number, available, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, nullif($7, ''), $8, $9, $10, $11, $12)`,
			string(u.ID), u.Phone, string(u.Role), u.Name, u.Email, u.Suspended, string(u.TransporterID), u.MembershipVersion,
			u.LicenseNumber, u.Available, u.CreatedAt, u.UpdatedAt); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSupply(t *testing.T) {
	t.Parallel()
	storetest.Supply(t, func(t *testing.T) storetest.SupplyWorld {
		db := freshDB(t)
		return storetest.SupplyWorld{Supply: postgres.NewSupply(db), Vehicles: postgres.NewVehicles(db), Crews: postgres.NewCrews(db), PutUser: putUser(t, db), PutTrip: putTrip(t, db)}
	})
}

func TestCrews(t *testing.T) {
	t.Parallel()
	storetest.Crews(t, func(t *testing.T) (fleet.Crews, func(fleet.User)) {
		db := freshDB(t)
		return postgres.NewCrews(db), putUser(t, db)
	})
}

func TestLeaving(t *testing.T) {
	t.Parallel()
	storetest.Leaving(t, func(t *testing.T) (fleet.Crews, func(fleet.User), ledger.Writer, ledger.Inbox) {
		db := freshDB(t)
		return postgres.NewCrews(db), putUser(t, db), postgres.NewWriter(db, postgres.Options{}), postgres.NewInbox(db)
	})
}
