package storetest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/presence"
	"weelo/internal/track"
)

// Presence is the conformance suite of presence.Store. open gives an empty store.
func Presence(t *testing.T, open func(t *testing.T) presence.Store) {
	t.Helper()
	now := time.UnixMilli(1_790_000_000_000)
	driver := presence.Person{User: "d1", Role: fleet.Driver, Fleet: "t1"}
	owner := presence.Person{User: "t1", Role: fleet.Transporter}

	t.Run("present until the life of the last sign is over, not at the boundary instant", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		entered, err := s.Enter(t.Context(), driver, now)
		must(t, err)
		want := presence.Entry{User: "d1", Role: fleet.Driver, Fleet: "t1", Since: now.UnixMilli(), Seen: now.UnixMilli(), Expires: now.Add(presence.DriverLife).UnixMilli()}
		if diff := cmp.Diff(want, entered); diff != "" {
			t.Errorf("entry (-want +got):\n%s", diff)
		}
		for _, at := range []struct {
			now  time.Time
			want bool
		}{{now, true}, {now.Add(presence.DriverLife - time.Millisecond), true}, {now.Add(presence.DriverLife), false}} {
			found, err := s.Read(t.Context(), []fleet.UserID{"d1", "t1"}, at.now)
			must(t, err)
			if _, ok := found["d1"]; ok != at.want || len(found) > 1 {
				t.Errorf("%s after entering: present %v, want %v", at.now.Sub(now), ok, at.want)
			}
		}
	})

	t.Run("a beat renews, and keeps since", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		_, err := s.Enter(t.Context(), driver, now)
		must(t, err)
		_, err = s.Enter(t.Context(), owner, now)
		must(t, err)
		later := now.Add(30 * time.Second)
		present, err := s.Beat(t.Context(), []presence.Person{driver, {User: "d2", Role: fleet.Driver}, owner}, later)
		must(t, err)
		if want := []bool{true, false, true}; !slices.Equal(present, want) {
			t.Errorf("beat answered %v, want %v", present, want)
		}
		found, err := s.Read(t.Context(), []fleet.UserID{"d1", "t1", "d2"}, later)
		must(t, err)
		want := map[fleet.UserID]presence.Entry{
			"d1": {User: "d1", Role: fleet.Driver, Fleet: "t1", Since: now.UnixMilli(), Seen: later.UnixMilli(), Expires: later.Add(presence.DriverLife).UnixMilli()},
			"t1": {User: "t1", Role: fleet.Transporter, Since: now.UnixMilli(), Seen: later.UnixMilli(), Expires: later.Add(presence.TransporterLife).UnixMilli()},
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("presence (-want +got):\n%s", diff)
		}
		again, err := s.Enter(t.Context(), driver, later.Add(time.Second))
		must(t, err)
		if again.Since != now.UnixMilli() {
			t.Errorf("entering again restarted since: %d, want %d", again.Since, now.UnixMilli())
		}
	})

	t.Run("moves are made in order, and again without harm", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		other := presence.Person{User: "d2", Role: fleet.Driver, Fleet: "t1"}
		moves := []presence.Move{{Who: driver}, {Who: owner}, {Who: other}, {Who: other, Leave: true}, {Who: driver, Leave: true}, {Who: driver}}
		for range 2 {
			must(t, s.Move(t.Context(), moves, now))
			found, err := s.Read(t.Context(), []fleet.UserID{"d1", "d2", "t1"}, now)
			must(t, err)
			want := map[fleet.UserID]presence.Entry{
				"d1": {User: "d1", Role: fleet.Driver, Fleet: "t1", Since: now.UnixMilli(), Seen: now.UnixMilli(), Expires: now.Add(presence.DriverLife).UnixMilli()},
				"t1": {User: "t1", Role: fleet.Transporter, Since: now.UnixMilli(), Seen: now.UnixMilli(), Expires: now.Add(presence.TransporterLife).UnixMilli()},
			}
			if diff := cmp.Diff(want, found); diff != "" {
				t.Errorf("presence (-want +got):\n%s", diff)
			}
		}
		must(t, s.Move(t.Context(), nil, now))
	})

	t.Run("a late beat never revives who left or expired", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		_, err := s.Enter(t.Context(), driver, now)
		must(t, err)
		was, err := s.Leave(t.Context(), "d1", now.Add(time.Second))
		must(t, err)
		again, err := s.Leave(t.Context(), "d1", now.Add(time.Second))
		must(t, err)
		if !was || again {
			t.Errorf("leaving answered %v, leaving again %v; want true, false", was, again)
		}
		present, err := s.Beat(t.Context(), []presence.Person{driver}, now.Add(2*time.Second))
		must(t, err)
		_, err = s.Enter(t.Context(), owner, now)
		must(t, err)
		expired, err := s.Beat(t.Context(), []presence.Person{owner}, now.Add(presence.TransporterLife))
		must(t, err)
		if present[0] || expired[0] {
			t.Errorf("a beat after leaving answered %v, after expiry %v; want false, false", present[0], expired[0])
		}
		found, err := s.Read(t.Context(), []fleet.UserID{"d1", "t1"}, now.Add(presence.TransporterLife))
		must(t, err)
		if len(found) != 0 {
			t.Errorf("revived: %v", found)
		}
	})

	t.Run("all gives everybody present and forgets the rest", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for i := range 200 {
			_, err := s.Enter(t.Context(), presence.Person{User: fleet.UserID("d" + string(rune('0'+i%10)) + string(rune('a'+i/10))), Role: fleet.Driver}, now.Add(time.Duration(i%2)*time.Minute))
			must(t, err)
		}
		all, err := s.All(t.Context(), now.Add(time.Minute))
		must(t, err)
		if len(all) != 100 {
			t.Errorf("%d present, want the 100 who entered last", len(all))
		}
		early, err := s.All(t.Context(), now) // a look into the past finds only what was kept
		must(t, err)
		if len(early) != 100 {
			t.Errorf("%d kept, want 100: those who expired are forgotten", len(early))
		}
	})

	t.Run("beats in parallel lose nobody", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		_, err := s.Enter(t.Context(), driver, now)
		must(t, err)
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				if _, err := s.Beat(t.Context(), []presence.Person{driver}, now.Add(time.Duration(i)*time.Second)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		found, err := s.Read(t.Context(), []fleet.UserID{"d1"}, now)
		must(t, err)
		if got, want := found["d1"].Seen, now.Add(15*time.Second).UnixMilli(); got != want {
			t.Errorf("last seen %d, want the latest beat %d", got, want)
		}
	})

	t.Run("nothing asked, nothing answered", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		present, err := s.Beat(t.Context(), nil, now)
		must(t, err)
		found, err := s.Read(t.Context(), nil, now)
		must(t, err)
		if len(present) != 0 || len(found) != 0 {
			t.Errorf("got %v, %v", present, found)
		}
	})
}

// Positions is the conformance suite of presence.Positions. open gives an empty store.
func Positions(t *testing.T, open func(t *testing.T) presence.Positions) {
	t.Helper()
	now := time.UnixMilli(1_790_000_000_000)
	fix := func(second int) track.Fix {
		ms := now.Add(time.Duration(second) * time.Second).UnixMilli()
		return track.Fix{TS: ms - 150, ReceivedMS: ms, Lat: 12.971600123, Lng: 77.59, Accuracy: 7.5, Speed: 11.2, HasSpeed: true}
	}

	t.Run("the newest stays, field by field", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		full := fix(10)
		full.Bearing, full.HasBearing, full.Mock = 181.25, true, true
		must(t, s.Put(t.Context(), []presence.Spot{{User: "d1", Fix: full}, {User: "d2", Fix: fix(5)}}))
		must(t, s.Put(t.Context(), []presence.Spot{{User: "d1", Fix: fix(9)}, {User: "d2", Fix: fix(6)}}))
		must(t, s.Put(t.Context(), nil))
		got, err := s.Last(t.Context(), []fleet.UserID{"d1", "d2", "d3"}, now)
		must(t, err)
		if diff := cmp.Diff(map[fleet.UserID]track.Fix{"d1": full, "d2": fix(6)}, got); diff != "" {
			t.Errorf("last positions (-want +got):\n%s", diff)
		}
	})

	t.Run("one is forgotten, and may come again", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.Remove(t.Context(), "d1"))
		must(t, s.Put(t.Context(), []presence.Spot{{User: "d1", Fix: fix(10)}, {User: "d2", Fix: fix(5)}}))
		must(t, s.Remove(t.Context(), "d1"))
		left, err := s.Last(t.Context(), []fleet.UserID{"d1", "d2"}, now)
		must(t, err)
		if diff := cmp.Diff(map[fleet.UserID]track.Fix{"d2": fix(5)}, left); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
		must(t, s.Put(t.Context(), []presence.Spot{{User: "d1", Fix: fix(9)}}))
		again, err := s.Last(t.Context(), []fleet.UserID{"d1"}, now)
		must(t, err)
		if again["d1"] != fix(9) {
			t.Errorf("again %+v", again)
		}
	})

	t.Run("old positions are neither given nor kept", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.Put(t.Context(), []presence.Spot{{User: "d1", Fix: fix(0)}, {User: "d2", Fix: fix(60)}}))
		later := now.Add(presence.PositionLife)
		got, err := s.Last(t.Context(), []fleet.UserID{"d1", "d2"}, later)
		must(t, err)
		if _, old := got["d1"]; old || len(got) != 1 {
			t.Errorf("got %v, want d2 only", got)
		}
		n, err := s.Forget(t.Context(), later)
		must(t, err)
		left, err := s.Last(t.Context(), []fleet.UserID{"d1", "d2"}, now)
		must(t, err)
		if n != 1 || len(left) != 1 {
			t.Errorf("forgot %d and kept %d, want 1 and 1", n, len(left))
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(strings.TrimSpace(err.Error()))
	}
}
