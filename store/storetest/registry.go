package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weelo/internal/fleet"
	"weelo/internal/session"
)

// Registry is the conformance suite of fleet.Registry. open gives one over an empty store, and a way to put
// a user there as login would.
func Registry(t *testing.T, open func(t *testing.T) (fleet.Registry, func(u fleet.User))) {
	t.Helper()
	registryFinds(t, open)
	registryChanges(t, open)
}

// idsOf are the ids of people in their order.
func idsOf(people []fleet.User) []fleet.UserID {
	var ids []fleet.UserID
	for _, u := range people {
		ids = append(ids, u.ID)
	}
	return ids
}

func registryFinds(t *testing.T, open func(t *testing.T) (fleet.Registry, func(u fleet.User))) {
	t.Helper()
	at := func(id fleet.UserID, n int, role fleet.Role, seconds int) fleet.User {
		u := person(n, role)
		u.ID, u.CreatedAt = id, noon.Add(time.Duration(seconds)*time.Second)
		return u
	}

	t.Run("people are found by phone, by role, by both and without either, the newest first", func(t *testing.T) {
		t.Parallel()
		s, put := open(t)
		sameAge := []fleet.User{at("b", 2, fleet.Customer, 1), at("B", 3, fleet.Customer, 1), at("a", 4, fleet.Customer, 1)}
		both := at("both", 1, fleet.Transporter, 0)
		both.Suspended = true
		for _, u := range append(sameAge, both, at("new", 1, fleet.Customer, 5)) {
			put(u)
		}
		first := person(1, "").Phone
		for name, c := range map[string]struct {
			phone string
			role  fleet.Role
			limit int
			want  []fleet.UserID
		}{
			"all, those of one moment by id":     {"", "", 10, []fleet.UserID{"new", "B", "a", "b", "both"}},
			"the first of them":                  {"", "", 3, []fleet.UserID{"new", "B", "a"}},
			"a role":                             {"", fleet.Customer, 10, []fleet.UserID{"new", "B", "a", "b"}},
			"a phone, suspended ones too":        {first, "", 10, []fleet.UserID{"new", "both"}},
			"a phone and a role":                 {first, fleet.Transporter, 10, []fleet.UserID{"both"}},
			"a phone that nobody has":            {"+919999999999", "", 10, nil},
			"a role that nobody has":             {"", fleet.Ops, 10, nil},
			"no phone but a piece of SQL":        {"' OR ''='", "", 10, nil},
			"none are asked for":                 {"", "", 0, nil},
			"less than none":                     {"", "", -1, nil},
			"a pattern is no phone":              {"%", "", 10, nil},
			"a role as nobody writes it is none": {"", "Customer", 10, nil},
		} {
			people, err := s.Find(t.Context(), c.phone, c.role, c.limit)
			if diff := cmp.Diff(c.want, idsOf(people)); diff != "" || err != nil {
				t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
			}
		}
		found, err := s.Find(t.Context(), first, fleet.Transporter, 1)
		must(t, err)
		read, err := s.User(t.Context(), "both")
		must(t, err)
		if diff := cmp.Diff([]fleet.User{both, both}, append(found, read)); diff != "" {
			t.Errorf("found and read (-want +got):\n%s", diff)
		}
		if _, err := s.User(t.Context(), "nobody"); !errors.Is(err, fleet.ErrNoUser) {
			t.Errorf("an unknown id: %v", err)
		}
	})

	t.Run("a crew has its suspended drivers too, and nobody else's", func(t *testing.T) {
		t.Parallel()
		s, put := open(t)
		for n, id := range []fleet.UserID{"t1", "t2"} {
			put(at(id, n, fleet.Transporter, 0))
		}
		for n, d := range []struct {
			id        fleet.UserID
			of        fleet.UserID
			suspended bool
		}{{"d2", "t1", false}, {"d1", "t1", true}, {"D3", "t1", false}, {"d4", "t2", false}, {"d5", "", false}} {
			u := at(d.id, 10+n, fleet.Driver, n)
			u.TransporterID, u.Suspended = d.of, d.suspended
			put(u)
		}
		for boss, want := range map[fleet.UserID][]fleet.UserID{"t1": {"D3", "d1", "d2"}, "t2": {"d4"}, "nobody": nil, "": nil} {
			ids, err := s.Crew(t.Context(), boss)
			slices.Sort(ids)
			if diff := cmp.Diff(want, ids, cmpopts.EquateEmpty()); diff != "" || err != nil {
				t.Errorf("of %q: %v (-want +got):\n%s", boss, err, diff)
			}
		}
	})
}

func registryChanges(t *testing.T, open func(t *testing.T) (fleet.Registry, func(u fleet.User))) {
	t.Helper()
	later := noon.Add(time.Hour)

	t.Run("who is suspended is given as stored, and the same again changes nothing", func(t *testing.T) {
		t.Parallel()
		s, put := open(t)
		want, other := person(1, fleet.Driver), person(2, fleet.Customer)
		put(want)
		put(other)
		for _, step := range []struct {
			suspended bool
			at        time.Time
			updated   time.Time
		}{
			{false, later, noon}, // he was not
			{true, later, later},
			{true, later.Add(time.Hour), later},
			{false, later.Add(2 * time.Hour), later.Add(2 * time.Hour)},
		} {
			got, err := s.SetSuspended(t.Context(), want.ID, step.suspended, step.at)
			must(t, err)
			want.Suspended, want.UpdatedAt = step.suspended, step.updated
			read, err := s.User(t.Context(), want.ID)
			must(t, err)
			if diff := cmp.Diff([]fleet.User{want, want}, []fleet.User{got, read}); diff != "" {
				t.Errorf("suspended %v at %v: given and read (-want +got):\n%s", step.suspended, step.at, diff)
			}
		}
		if _, err := s.SetSuspended(t.Context(), "nobody", true, later); !errors.Is(err, fleet.ErrNoUser) {
			t.Errorf("an unknown id: %v", err)
		}
		left, err := s.User(t.Context(), other.ID)
		must(t, err)
		if diff := cmp.Diff(other, left); diff != "" {
			t.Errorf("somebody else (-want +got):\n%s", diff)
		}
	})

	t.Run("papers are a transporter's, in the states there are", func(t *testing.T) {
		t.Parallel()
		s, put := open(t)
		want := person(1, fleet.Transporter)
		put(want)
		for n, state := range append(fleet.KYCStates(), fleet.KYCVerified) {
			at := later.Add(time.Duration(n) * time.Second)
			if state != want.KYC {
				want.KYC, want.UpdatedAt = state, at
			}
			for _, again := range []time.Duration{0, time.Hour} {
				got, err := s.SetKYC(t.Context(), want.ID, state, at.Add(again))
				must(t, err)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", state, diff)
				}
			}
		}
		if _, err := s.SetKYC(t.Context(), want.ID, "PERHAPS", later); err == nil || errors.Is(err, fleet.ErrNoUser) {
			t.Errorf("a state that there is not: %v", err)
		}
		if read, err := s.User(t.Context(), want.ID); err != nil || read.KYC != fleet.KYCVerified {
			t.Errorf("after that: %v, %v", read.KYC, err)
		}
		for n, role := range []fleet.Role{fleet.Customer, fleet.Driver, fleet.Ops} {
			u := person(10+n, role)
			put(u)
			if _, err := s.SetKYC(t.Context(), u.ID, fleet.KYCVerified, later); !errors.Is(err, fleet.ErrNoUser) {
				t.Errorf("of a %s: %v", role, err)
			}
			read, err := s.User(t.Context(), u.ID)
			must(t, err)
			if diff := cmp.Diff(u, read); diff != "" {
				t.Errorf("a %s afterwards (-want +got):\n%s", role, diff)
			}
		}
		if _, err := s.SetKYC(t.Context(), "nobody", fleet.KYCVerified, later); !errors.Is(err, fleet.ErrNoUser) {
			t.Errorf("an unknown id: %v", err)
		}
	})

	t.Run("of many at once one is the change, and all are given the same", func(t *testing.T) {
		t.Parallel()
		s, put := open(t)
		u := person(1, fleet.Customer)
		put(u)
		var asking sync.WaitGroup
		given := make([]time.Time, 8)
		for i := range given {
			asking.Go(func() {
				got, err := s.SetSuspended(t.Context(), u.ID, true, later.Add(time.Duration(i)*time.Minute))
				if err != nil || !got.Suspended {
					t.Errorf("%+v, %v", got, err)
				}
				given[i] = got.UpdatedAt
			})
		}
		asking.Wait()
		for _, at := range given {
			if !at.Equal(given[0]) || at.Before(later) {
				t.Fatalf("changed at %v", given)
			}
		}
	})
}

// Lister is the conformance suite of session.Lister. open gives one, with the sessions and users of its
// database, both empty.
func Lister(t *testing.T, open func(t *testing.T) (session.Lister, session.Store, session.Users)) {
	t.Helper()

	t.Run("somebody's families, live or not, the newest first", func(t *testing.T) {
		t.Parallel()
		s, families, users := open(t)
		boss := person(2, fleet.Transporter)
		for _, u := range []fleet.User{person(1, fleet.Driver), boss} {
			must(t, second2(users.Enrol(t.Context(), u)))
		}
		var want []session.Family
		for n := range 4 {
			f := family(n)
			f.CreatedAt = noon.Add(-time.Duration(n/2) * time.Hour) // two of one moment, two of an hour before
			f.UsedAt = f.CreatedAt.Add(time.Minute)
			f.Role, f.Transporter, f.Membership, f.Device = fleet.Driver, boss.ID, 3, "phone of "+f.ID
			if n%2 == 1 {
				f.Transporter, f.Membership = "", 0
			}
			must(t, second(families.Open(t.Context(), f)))
			f.Membership = 0
			want = append(want, f)
		}
		foreign := family(9)
		foreign.User = boss.ID
		must(t, second(families.Open(t.Context(), foreign)))

		ended := noon.Add(2 * time.Hour)
		must(t, second(families.Revoke(t.Context(), want[1].ID, "logout", ended)))
		want[1].RevokedAt, want[1].RevokedWhy = ended, "logout"
		must(t, second(families.Present(t.Context(), want[2].ID, 1, ended)))
		want[2].UsedAt = ended

		got, err := s.OfUser(t.Context(), want[0].User, 100)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("all (-want +got):\n%s", diff)
		}
		for limit, n := range map[int]int{3: 3, 1: 1, 0: 0, -1: 0} {
			got, err := s.OfUser(t.Context(), want[0].User, limit)
			if err != nil || len(got) != n || n > 0 && !cmp.Equal(want[:n], got) {
				t.Errorf("at most %d: %v, %v", limit, got, err)
			}
		}
		for _, nobody := range []fleet.UserID{"", "nobody", "' OR ''='"} {
			if got, err := s.OfUser(t.Context(), nobody, 10); err != nil || len(got) != 0 {
				t.Errorf("of %q: %v, %v", nobody, got, err)
			}
		}
	})

	t.Run("ids that differ in case only have an order of their own", func(t *testing.T) {
		t.Parallel()
		s, families, users := open(t)
		must(t, second2(users.Enrol(t.Context(), person(1, fleet.Customer))))
		for _, id := range []string{"b", "A", "a", "B"} {
			f := family(1)
			f.ID = id
			must(t, second(families.Open(t.Context(), f)))
		}
		got, err := s.OfUser(t.Context(), person(1, "").ID, 10)
		must(t, err)
		var order []string
		for _, f := range got {
			order = append(order, f.ID)
		}
		if diff := cmp.Diff([]string{"A", "B", "a", "b"}, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

func second2[A, B any](_ A, _ B, err error) error { return err }
