package postgres_test

import (
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/history"
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
		return postgres.NewTripReads(db), func(s trip.State, version int64) {
			snapshot, err := s.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			at := time.UnixMilli(s.AssignedMS)
			if _, err := db.General.Exec(t.Context(), `INSERT INTO trip (id, version, state, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)`,
				s.ID, version, snapshot, at); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestPeople(t *testing.T) {
	t.Parallel()
	storetest.People(t, func(t *testing.T) (fleet.People, func(fleet.User)) {
		db := freshDB(t)
		return postgres.NewPeople(db), func(u fleet.User) {
			if _, err := db.General.Exec(t.Context(), `INSERT INTO app_user (id, phone, role, name, email, suspended, transporter_id,
				membership_version, license_number, available, created_at, updated_at)
				VALUES ($1, $2, $3, $4, $5, $6, nullif($7, ''), $8, $9, $10, $11, $12)`,
				string(u.ID), u.Phone, string(u.Role), u.Name, u.Email, u.Suspended, string(u.TransporterID), u.MembershipVersion,
				u.LicenseNumber, u.Available, u.CreatedAt, u.UpdatedAt); err != nil {
				t.Fatal(err)
			}
		}
	})
}
