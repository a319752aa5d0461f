package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
)

// People is the conformance suite of fleet.People. open gives a reader over an empty store, and a way
// to put a user there as login would.
func People(t *testing.T, open func(t *testing.T) (fleet.People, func(u fleet.User))) {
	t.Helper()
	at := time.Date(2026, 11, 24, 10, 0, 0, 123_000, time.UTC)
	owner := fleet.User{ID: "t1", Phone: "+919876543210", Role: fleet.Transporter, KYC: fleet.KYCNotStarted, Name: "Asha Fleet", Email: "asha@example.in", CreatedAt: at, UpdatedAt: at}
	driver := func(id fleet.UserID, phone, name string) fleet.User {
		return fleet.User{ID: id, Phone: phone, Role: fleet.Driver, KYC: fleet.KYCNotStarted, Name: name, TransporterID: "t1", MembershipVersion: 2,
			LicenseNumber: "KA0120210001234", CreatedAt: at, UpdatedAt: at}
	}

	t.Run("a user comes back as stored", func(t *testing.T) {
		t.Parallel()
		s, put := open(t)
		put(owner)
		d := driver("d1", "+919123456789", "Ravi")
		put(d)
		for _, want := range []fleet.User{owner, d} {
			got, err := s.User(t.Context(), want.ID)
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("user (-want +got):\n%s", diff)
			}
		}
		if _, err := s.User(t.Context(), "nobody"); !errors.Is(err, fleet.ErrNoUser) {
			t.Errorf("an unknown id: %v, want ErrNoUser", err)
		}
		some, err := s.Users(t.Context(), []fleet.UserID{"d1", "nobody"})
		must(t, err)
		if diff := cmp.Diff([]fleet.User{d}, some); diff != "" {
			t.Errorf("users (-want +got):\n%s", diff)
		}
		none, err := s.Users(t.Context(), nil)
		must(t, err)
		if len(none) != 0 {
			t.Errorf("nobody asked for, got %v", none)
		}
	})

	t.Run("a fleet's drivers by name, the suspended and those of others left out", func(t *testing.T) {
		t.Parallel()
		s, put := open(t)
		put(owner)
		other := owner
		other.ID, other.Phone = "t2", "+919876543211"
		put(other)
		put(driver("d2", "+919123456782", "Zubin"))
		put(driver("d1", "+919123456781", "Anil"))
		foreign := driver("d3", "+919123456783", "Bala")
		foreign.TransporterID = "t2"
		put(foreign)
		suspended := driver("d4", "+919123456784", "Chetan")
		suspended.Suspended = true
		put(suspended)
		left := driver("d5", "+919123456785", "Deva")
		left.TransporterID = ""
		put(left)
		got, err := s.Drivers(t.Context(), "t1")
		must(t, err)
		if diff := cmp.Diff([]fleet.User{driver("d1", "+919123456781", "Anil"), driver("d2", "+919123456782", "Zubin")}, got); diff != "" {
			t.Errorf("drivers (-want +got):\n%s", diff)
		}
	})

	t.Run("an intent is stored, and the same again changes nothing", func(t *testing.T) {
		t.Parallel()
		s, put := open(t)
		put(owner)
		later := at.Add(time.Hour)
		want := owner
		want.Available, want.UpdatedAt = true, later
		for range 2 {
			got, err := s.SetAvailable(t.Context(), "t1", true, later)
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("user (-want +got):\n%s", diff)
			}
			later = later.Add(time.Hour)
		}
		got, err := s.User(t.Context(), "t1")
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
		if _, err := s.SetAvailable(t.Context(), "nobody", true, later); !errors.Is(err, fleet.ErrNoUser) {
			t.Errorf("an unknown id: %v, want ErrNoUser", err)
		}
	})
}
