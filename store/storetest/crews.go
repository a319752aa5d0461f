package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
)

// Crews is the conformance suite of fleet.Crews. open gives one over an empty store, and a way to put
// a user there as login would.
func Crews(t *testing.T, open func(t *testing.T) (fleet.Crews, func(u fleet.User))) {
	t.Helper()
	at := time.Date(2026, 11, 24, 10, 0, 0, 123_000, time.UTC)
	transporter := func(n int) fleet.User {
		return fleet.User{ID: fleet.UserID(fmt.Sprint("t", n)), Phone: fmt.Sprintf("+9198765432%02d", n), Role: fleet.Transporter, CreatedAt: at, UpdatedAt: at}
	}
	invitation := func(owner fleet.UserID) fleet.Invitation {
		return fleet.Invitation{Transporter: owner, Phone: "+919123456789", Name: "Ravi", LicenseNumber: "KA0120210001234", Email: "ravi@example.in", At: at}
	}

	t.Run("an invitation stands for a day, the newest of each fleet", func(t *testing.T) {
		t.Parallel()
		s, _ := open(t)
		first, other := invitation("t1"), invitation("t2")
		must(t, s.Invite(t.Context(), first))
		other.Name = "Ravi Kumar"
		must(t, s.Invite(t.Context(), other))
		again := first
		again.Name, again.At = "Ravi K", at.Add(time.Hour)
		must(t, s.Invite(t.Context(), again))
		for _, want := range []fleet.Invitation{again, other} {
			got, err := s.Invitation(t.Context(), want.Transporter, want.Phone, at.Add(2*time.Hour))
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("invitation (-want +got):\n%s", diff)
			}
		}
		for what, ask := range map[string]func() (fleet.Invitation, error){
			"over": func() (fleet.Invitation, error) {
				return s.Invitation(t.Context(), "t1", first.Phone, again.At.Add(fleet.InvitationLife))
			},
			"of another":     func() (fleet.Invitation, error) { return s.Invitation(t.Context(), "t3", first.Phone, at) },
			"of another man": func() (fleet.Invitation, error) { return s.Invitation(t.Context(), "t1", "+919123456780", at) },
		} {
			if _, err := ask(); !errors.Is(err, fleet.ErrNoInvitation) {
				t.Errorf("%s: %v, want ErrNoInvitation", what, err)
			}
		}
	})

	t.Run("a new driver joins, and joining again changes nothing", func(t *testing.T) {
		t.Parallel()
		s, put := open(t)
		put(transporter(1))
		i := invitation("t1")
		must(t, s.Invite(t.Context(), i))
		want := fleet.User{ID: "d1", Phone: i.Phone, Role: fleet.Driver, Name: i.Name, Email: i.Email, TransporterID: "t1", MembershipVersion: 1,
			LicenseNumber: i.LicenseNumber, KYC: fleet.KYCNotStarted, CreatedAt: at, UpdatedAt: at}
		for n, id := range []fleet.UserID{"d1", "d2"} {
			got, err := s.Join(t.Context(), i, id, at.Add(time.Duration(n)*time.Hour))
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("driver (-want +got):\n%s", diff)
			}
		}
		if _, err := s.Invitation(t.Context(), "t1", i.Phone, at); !errors.Is(err, fleet.ErrNoInvitation) {
			t.Errorf("answered, and still there: %v", err)
		}
	})

	t.Run("one without a fleet joins with his next membership version, one with a fleet does not", func(t *testing.T) {
		t.Parallel()
		s, put := open(t)
		put(transporter(1))
		put(transporter(2))
		free := fleet.User{ID: "d7", Phone: "+919123456789", Role: fleet.Driver, Name: "R", MembershipVersion: 4, Available: true, CreatedAt: at, UpdatedAt: at}
		put(free)
		later := at.Add(time.Hour)
		got, err := s.Join(t.Context(), invitation("t1"), "d9", later)
		must(t, err)
		want := free
		want.Name, want.Email, want.TransporterID, want.MembershipVersion, want.LicenseNumber = "Ravi", "ravi@example.in", "t1", 5, "KA0120210001234"
		want.Available, want.UpdatedAt, want.KYC = false, later, fleet.KYCNotStarted
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("driver (-want +got):\n%s", diff)
		}
		if _, err := s.Join(t.Context(), invitation("t2"), "d10", later); !errors.Is(err, fleet.ErrInFleet) {
			t.Errorf("%v, want ErrInFleet", err)
		}
		if again, err := s.Join(t.Context(), invitation("t1"), "d11", later.Add(time.Hour)); err != nil || cmp.Diff(want, again) != "" {
			t.Errorf("after the refusal: %+v, %v", again, err)
		}
	})

	t.Run("of many fleets at once one gets the driver", func(t *testing.T) {
		t.Parallel()
		s, put := open(t)
		const fleets = 6
		for n := range fleets {
			put(transporter(n))
		}
		var wg sync.WaitGroup
		won := make([]bool, fleets)
		for n := range fleets {
			wg.Go(func() {
				u, err := s.Join(t.Context(), invitation(fleet.UserID(fmt.Sprint("t", n))), fleet.UserID(fmt.Sprint("d", n)), at)
				if err != nil && !errors.Is(err, fleet.ErrInFleet) {
					t.Error(err)
				}
				won[n] = err == nil && u.MembershipVersion == 1
			})
		}
		wg.Wait()
		winners := 0
		for _, w := range won {
			if w {
				winners++
			}
		}
		if winners != 1 {
			t.Errorf("%d fleets have him, want 1", winners)
		}
	})
}
