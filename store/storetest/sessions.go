package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weelo/internal/fleet"
	"weelo/internal/session"
)

// noon is the time of the people's suites: a store keeps microseconds.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 123_456_000, time.UTC)

func person(n int, role fleet.Role) fleet.User {
	return fleet.User{
		ID: fleet.UserID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)), Phone: fmt.Sprintf("+91900000%04d", n), Role: role, KYC: fleet.KYCNotStarted,
		Name: fmt.Sprint("Person ", n), Email: "p@weelo.example", CreatedAt: noon, UpdatedAt: noon,
	}
}

// Users is the conformance suite of session.Users. open gives an empty store.
func Users(t *testing.T, open func(t *testing.T) session.Users) {
	t.Helper()

	t.Run("who is enrolled is found by id and by phone and role, whole", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		boss, driver := person(1, fleet.Transporter), person(2, fleet.Driver)
		boss.Available, boss.Suspended = true, true
		driver.TransporterID, driver.MembershipVersion, driver.LicenseNumber = boss.ID, 3, "KA01"
		for _, u := range []fleet.User{boss, driver} {
			stored, isNew, err := s.Enrol(t.Context(), u)
			must(t, err)
			if diff := cmp.Diff(u, stored); diff != "" || !isNew {
				t.Errorf("enrolled, new %v (-want +got):\n%s", isNew, diff)
			}
			byID, err := s.User(t.Context(), u.ID)
			must(t, err)
			byPhone, err := s.ByPhone(t.Context(), u.Phone, u.Role)
			must(t, err)
			if diff := cmp.Diff([]fleet.User{u, u}, []fleet.User{byID, byPhone}); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
		}
	})

	t.Run("nobody is nobody", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		_, _, err := s.Enrol(t.Context(), person(1, fleet.Customer))
		must(t, err)
		for _, err := range []error{
			second(s.User(t.Context(), "00000000-0000-4000-8000-000000000099")), second(s.User(t.Context(), "")),
			second(s.ByPhone(t.Context(), person(1, "").Phone, fleet.Driver)), second(s.ByPhone(t.Context(), person(2, "").Phone, fleet.Customer)),
		} {
			if !errors.Is(err, fleet.ErrNoUser) {
				t.Errorf("%v, want ErrNoUser", err)
			}
		}
	})

	t.Run("a phone has one user per role, and the first stays as it is", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		first := person(1, fleet.Customer)
		_, _, err := s.Enrol(t.Context(), first)
		must(t, err)
		again := person(1, fleet.Customer)
		again.ID, again.Name = person(7, "").ID, "Somebody else"
		stored, isNew, err := s.Enrol(t.Context(), again)
		must(t, err)
		if diff := cmp.Diff(first, stored); diff != "" || isNew {
			t.Errorf("again, new %v (-want +got):\n%s", isNew, diff)
		}
		other := person(1, fleet.Transporter)
		other.ID = person(8, "").ID
		if _, isNew, err := s.Enrol(t.Context(), other); err != nil || !isNew {
			t.Errorf("another role: new %v, %v", isNew, err)
		}
	})

	t.Run("of many who enrol one phone at once, one is created and all get it", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		var wg sync.WaitGroup
		var mu sync.Mutex
		created, got := 0, map[fleet.UserID]bool{}
		for i := range 12 {
			wg.Go(func() {
				u := person(1, fleet.Customer)
				u.ID = person(10+i, "").ID
				stored, isNew, err := s.Enrol(t.Context(), u)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if isNew {
					created++
				}
				got[stored.ID] = true
			})
		}
		wg.Wait()
		if created != 1 || len(got) != 1 {
			t.Errorf("%d created, %d different", created, len(got))
		}
	})

	t.Run("drivers are counted by transporter", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for n := range 5 {
			role := fleet.Driver
			if n < 2 {
				role = fleet.Transporter
			}
			u := person(n, role)
			if n >= 2 {
				u.TransporterID = person(n%2, "").ID
			}
			_, _, err := s.Enrol(t.Context(), u)
			must(t, err)
		}
		for boss, want := range map[int]int{0: 2, 1: 1, 9: 0} {
			if n, err := s.CountDrivers(t.Context(), person(boss, "").ID); n != want || err != nil {
				t.Errorf("transporter %d has %d, %v; want %d", boss, n, err, want)
			}
		}
	})
}

func second[A any](_ A, err error) error { return err }

func family(n int) session.Family {
	return session.Family{
		ID: fmt.Sprintf("10000000-0000-4000-8000-%012d", n), User: person(1, "").ID, Role: fleet.Customer,
		Device: "phone", CreatedAt: noon, UsedAt: noon, EndsAt: noon.Add(90 * 24 * time.Hour),
	}
}

// Sessions is the conformance suite of session.Store. open gives a store with no families and the
// users of its database.
func Sessions(t *testing.T, open func(t *testing.T) (session.Store, session.Users)) {
	t.Helper()
	fresh := func(t *testing.T) session.Store {
		t.Helper()
		s, users := open(t)
		for n, role := range map[int]fleet.Role{1: fleet.Customer, 2: fleet.Transporter} {
			_, _, err := users.Enrol(t.Context(), person(n, role))
			must(t, err)
		}
		return s
	}
	opened := func(t *testing.T, s session.Store, f session.Family) {
		t.Helper()
		stored, err := s.Open(t.Context(), f)
		must(t, err)
		if diff := cmp.Diff(f, stored); diff != "" {
			t.Fatalf("opened (-want +got):\n%s", diff)
		}
	}

	t.Run("a family is opened once and kept whole", func(t *testing.T) {
		t.Parallel()
		s := fresh(t)
		f := family(1)
		f.Role, f.Transporter, f.Membership = fleet.Driver, person(2, "").ID, 4
		opened(t, s, f)
		later := f
		later.CreatedAt, later.UsedAt, later.Device = noon.Add(time.Hour), noon.Add(time.Hour), "other"
		again, err := s.Open(t.Context(), later)
		must(t, err)
		read, err := s.Family(t.Context(), f.ID)
		must(t, err)
		if diff := cmp.Diff([]session.Family{f, f}, []session.Family{again, read}); diff != "" {
			t.Errorf("again and read (-want +got):\n%s", diff)
		}
		if _, err := s.Family(t.Context(), family(9).ID); !errors.Is(err, session.ErrNoFamily) {
			t.Errorf("unknown: %v", err)
		}
	})

	t.Run("the generation rises by one, or is touched, and never otherwise", func(t *testing.T) {
		t.Parallel()
		s := fresh(t)
		opened(t, s, family(1))
		for _, step := range []struct {
			gen       int64
			after     time.Duration
			ok        bool
			presented int64
			used      time.Duration
		}{
			{2, time.Minute, false, 0, 0},
			{1, 2 * time.Minute, true, 1, 2 * time.Minute},
			{1, 5 * time.Minute, true, 1, 5 * time.Minute},
			{1, 3 * time.Minute, true, 1, 5 * time.Minute}, // a slower task's clock
			{3, 6 * time.Minute, false, 1, 5 * time.Minute},
			{2, 6 * time.Minute, true, 2, 6 * time.Minute},
			{1, 7 * time.Minute, false, 2, 6 * time.Minute},
		} {
			ok, err := s.Present(t.Context(), family(1).ID, step.gen, noon.Add(step.after))
			must(t, err)
			f, err := s.Family(t.Context(), family(1).ID)
			must(t, err)
			if ok != step.ok || f.Presented != step.presented || !f.UsedAt.Equal(noon.Add(step.used)) {
				t.Errorf("%+v: %v, presented %d, used %v after", step, ok, f.Presented, f.UsedAt.Sub(noon))
			}
		}
	})

	t.Run("many at once are one step", func(t *testing.T) {
		t.Parallel()
		s := fresh(t)
		opened(t, s, family(1))
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				if ok, err := s.Present(t.Context(), family(1).ID, 1, noon.Add(time.Second)); !ok || err != nil {
					t.Errorf("%v, %v", ok, err)
				}
			})
		}
		wg.Wait()
		if f, err := s.Family(t.Context(), family(1).ID); err != nil || f.Presented != 1 {
			t.Errorf("presented %d, %v", f.Presented, err)
		}
	})

	t.Run("a revoked family stays revoked, and is told in order", func(t *testing.T) {
		t.Parallel()
		s := fresh(t)
		for n := 1; n <= 4; n++ {
			f := family(n)
			if n == 4 {
				f.User = person(2, "").ID
			}
			opened(t, s, f)
		}
		ended, err := s.Revoke(t.Context(), family(1).ID, session.Reuse, noon.Add(time.Minute))
		must(t, err)
		again, err := s.Revoke(t.Context(), family(1).ID, session.Logout, noon.Add(time.Hour))
		must(t, err)
		unknown, err := s.Revoke(t.Context(), family(9).ID, session.Logout, noon)
		must(t, err)
		if !ended || again || unknown {
			t.Errorf("revoked %v, again %v, unknown %v", ended, again, unknown)
		}
		if ok, err := s.Present(t.Context(), family(1).ID, 1, noon.Add(time.Hour)); ok || err != nil {
			t.Errorf("a revoked family was refreshed: %v", err)
		}
		ids, err := s.RevokeUser(t.Context(), person(1, "").ID, session.LogoutAll, noon.Add(2*time.Minute))
		must(t, err)
		slices.Sort(ids)
		if diff := cmp.Diff([]string{family(2).ID, family(3).ID}, ids); diff != "" {
			t.Errorf("the user's live families (-want +got):\n%s", diff)
		}
		told, err := s.RevokedSince(t.Context(), noon.Add(time.Minute), 2)
		must(t, err)
		want := []session.Revocation{
			{Family: family(1).ID, User: person(1, "").ID, At: noon.Add(time.Minute), Why: session.Reuse},
			{Family: family(2).ID, User: person(1, "").ID, At: noon.Add(2 * time.Minute), Why: session.LogoutAll},
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if told, err := s.RevokedSince(t.Context(), noon.Add(time.Minute+time.Microsecond), 10); err != nil || len(told) != 2 {
			t.Errorf("after the first: %v, %v", told, err)
		}
		f, err := s.Family(t.Context(), family(1).ID)
		must(t, err)
		if !f.RevokedAt.Equal(noon.Add(time.Minute)) || f.RevokedWhy != session.Reuse {
			t.Errorf("%+v", f)
		}
	})

	t.Run("many families are read at once, whole, and those that are not there are left out", func(t *testing.T) {
		t.Parallel()
		s := fresh(t)
		for n := 1; n <= 3; n++ {
			opened(t, s, family(n))
		}
		_, err := s.Revoke(t.Context(), family(2).ID, session.Reuse, noon.Add(time.Minute))
		must(t, err)
		revoked := family(2)
		revoked.RevokedAt, revoked.RevokedWhy = noon.Add(time.Minute), session.Reuse
		for name, c := range map[string]struct {
			ids  []string
			want []session.Family
		}{
			"some":          {[]string{family(2).ID, family(9).ID, family(1).ID}, []session.Family{family(1), revoked}},
			"one twice":     {[]string{family(3).ID, family(3).ID}, []session.Family{family(3)}},
			"nobody":        {[]string{family(9).ID, "", "'; DROP TABLE session_family; --"}, nil},
			"nobody at all": {nil, nil},
		} {
			got, err := s.Families(t.Context(), c.ids)
			must(t, err)
			slices.SortFunc(got, func(a, b session.Family) int { return strings.Compare(a.ID, b.ID) })
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})

	t.Run("a device is known once it was used, whatever became of the session", func(t *testing.T) {
		t.Parallel()
		s := fresh(t)
		opened(t, s, family(1))
		_, err := s.Revoke(t.Context(), family(1).ID, session.Logout, noon)
		must(t, err)
		for _, c := range []struct {
			user   int
			device string
			since  time.Time
			want   bool
		}{
			{1, "phone", time.Time{}, true}, {1, "phone", family(1).CreatedAt, true}, {1, "phone", family(1).CreatedAt.Add(time.Microsecond), false},
			{1, "other", time.Time{}, false}, {2, "phone", time.Time{}, false}, {1, "", time.Time{}, false},
		} {
			if known, err := s.KnownDevice(t.Context(), person(c.user, "").ID, c.device, c.since); known != c.want || err != nil {
				t.Errorf("%+v: %v, %v", c, known, err)
			}
		}
	})

	t.Run("ended families are pruned, at most so many at once", func(t *testing.T) {
		t.Parallel()
		s := fresh(t)
		for n := 1; n <= 3; n++ {
			f := family(n)
			f.EndsAt = noon.Add(time.Duration(n) * time.Hour)
			opened(t, s, f)
		}
		for _, step := range []struct {
			before      time.Time
			limit, want int
		}{{noon.Add(time.Hour), 10, 0}, {noon.Add(3 * time.Hour), 1, 1}, {noon.Add(3 * time.Hour), 10, 1}} {
			if n, err := s.Prune(t.Context(), step.before, step.limit); n != step.want || err != nil {
				t.Errorf("%+v: %d, %v", step, n, err)
			}
		}
		if _, err := s.Family(t.Context(), family(3).ID); err != nil {
			t.Errorf("a live one was pruned: %v", err)
		}
	})
}

// Tickets is the conformance suite of session.TicketStore. open gives an empty store.
func Tickets(t *testing.T, open func(t *testing.T) Clocked[session.TicketStore]) {
	t.Helper()
	take := func(t *testing.T, s session.TicketStore, digest string) string {
		t.Helper()
		value, ok, err := s.TakeTicket(t.Context(), digest)
		must(t, err)
		if !ok {
			return "none"
		}
		return string(value)
	}

	t.Run("a ticket is taken once", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		must(t, c.Store.PutTicket(t.Context(), "a", []byte("for a"), time.Minute))
		if got := []string{take(t, c.Store, "b"), take(t, c.Store, "a"), take(t, c.Store, "a")}; !slices.Equal(got, []string{"none", "for a", "none"}) {
			t.Errorf("%q", got)
		}
	})

	t.Run("of many who take it one gets it", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		must(t, c.Store.PutTicket(t.Context(), "a", []byte("x"), time.Minute))
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := 0
		for range 20 {
			wg.Go(func() {
				_, ok, err := c.Store.TakeTicket(t.Context(), "a")
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if ok {
					got++
				}
			})
		}
		wg.Wait()
		if got != 1 {
			t.Errorf("%d got it", got)
		}
	})

	t.Run("it is over at its very instant", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		must(t, c.Store.PutTicket(t.Context(), "a", []byte("x"), 200*time.Millisecond))
		must(t, c.Store.PutTicket(t.Context(), "b", []byte("x"), 200*time.Millisecond))
		if !c.Real {
			c.Advance(199 * time.Millisecond)
			if take(t, c.Store, "a") != "x" {
				t.Error("a millisecond before")
			}
			c.Advance(time.Millisecond)
		} else {
			c.Advance(200 * time.Millisecond)
		}
		if take(t, c.Store, "b") != "none" {
			t.Error("at the instant")
		}
	})
}
