package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/access"
	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/trip"
)

// TripReader is what reads trips.
type TripReader interface {
	access.Trips
	history.Windows
}

// TripReads is the conformance suite of reading trips. open gives a reader over an empty store, and
// a way to put a row there as the ledger's writer would.
func TripReads(t *testing.T, open func(t *testing.T) (TripReader, func(s trip.State, version int64))) {
	t.Helper()
	const t0 = int64(1_790_000_000_000)
	state := func(n int, status trip.Status) trip.State {
		s := trip.State{
			ID: fmt.Sprintf("trip-%02d", n), Status: status, Live: !status.Terminal(), DriverID: driverA,
			VehicleID: fleet.VehicleID(fmt.Sprint("v", n)), TransporterID: "t1", CustomerID: "c1", OrderID: fmt.Sprint("o", n%2),
			Names: trip.Names{Driver: "Ravi"}, AssignedMS: t0 + int64(n)*60_000, Reached: map[trip.Status]int64{}, Timers: map[string]trip.Timer{},
		}
		if status.Moving() || status == trip.Completed {
			s.AcceptedMS = s.AssignedMS + 5_000
		}
		if status.Terminal() {
			s.EndedMS = s.AssignedMS + 30_000
		}
		return s
	}
	ids := func(rows []access.Row) (ids []string) {
		for _, r := range rows {
			ids = append(ids, r.Trip.ID)
		}
		return ids
	}

	t.Run("a trip comes back as committed", func(t *testing.T) {
		t.Parallel()
		r, put := open(t)
		put(state(1, trip.InTransit), 7)
		got, err := r.Trip(t.Context(), "trip-01")
		must(t, err)
		if diff := cmp.Diff(access.Row{Trip: state(1, trip.InTransit), Version: 7}, got); diff != "" {
			t.Errorf("trip (-want +got):\n%s", diff)
		}
		if _, err := r.Trip(t.Context(), "trip-99"); !errors.Is(err, access.ErrNoTrip) {
			t.Errorf("unknown trip: %v, want ErrNoTrip", err)
		}
	})

	t.Run("many trips by their ids, unknown ones left out", func(t *testing.T) {
		t.Parallel()
		r, put := open(t)
		for n, status := range []trip.Status{trip.Completed, trip.InTransit, trip.Cancelled} {
			put(state(n, status), int64(n+1))
		}
		got, err := r.ByID(t.Context(), []string{"trip-02", "trip-99", "trip-00", "trip-00"})
		must(t, err)
		slices.SortFunc(got, func(a, b access.Row) int { return strings.Compare(a.Trip.ID, b.Trip.ID) })
		want := []access.Row{{Trip: state(0, trip.Completed), Version: 1}, {Trip: state(2, trip.Cancelled), Version: 3}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("trips (-want +got):\n%s", diff)
		}
		got, err = r.ByID(t.Context(), nil)
		must(t, err)
		if len(got) != 0 {
			t.Errorf("of none: %v", got)
		}
	})
	t.Run("live trips by everybody on them, newest first", func(t *testing.T) {
		t.Parallel()
		r, put := open(t)
		for n, status := range []trip.Status{trip.InTransit, trip.Completed, trip.Pending, trip.AtPickup} {
			s := state(n, status)
			s.DriverID = fleet.UserID(fmt.Sprint("d", n))
			if n == 3 {
				s.TransporterID, s.CustomerID = "t2", "c2"
			}
			put(s, 1)
		}
		for _, c := range []struct {
			by    access.By
			limit int
			want  []string
		}{
			{access.By{Driver: "d0"}, 10, []string{"trip-00"}},
			{access.By{Driver: "d1"}, 10, nil},
			{access.By{Transporter: "t1"}, 10, []string{"trip-02", "trip-00"}},
			{access.By{Customer: "c2"}, 10, []string{"trip-03"}},
			{access.By{Order: "o0"}, 10, []string{"trip-02", "trip-00"}},
			{access.By{Everybody: true}, 2, []string{"trip-03", "trip-02"}},
			{access.By{}, 10, nil},
		} {
			got, err := r.Live(t.Context(), c.by, c.limit)
			must(t, err)
			if diff := cmp.Diff(c.want, ids(got)); diff != "" {
				t.Errorf("live by %+v (-want +got):\n%s", c.by, diff)
			}
		}
	})

	t.Run("a driver's trips in pages, newest first, by status", func(t *testing.T) {
		t.Parallel()
		r, put := open(t)
		for n, status := range []trip.Status{trip.Completed, trip.DriverDeclined, trip.Completed, trip.InTransit} {
			put(state(n, status), 1)
		}
		former := state(4, trip.Completed)
		former.TransporterID = "t2"
		put(former, 1)
		for _, c := range []struct {
			fleet         fleet.UserID
			statuses      []trip.Status
			offset, limit int
			want          []string
			total         int
		}{
			{"t1", nil, 0, 3, []string{"trip-03", "trip-02", "trip-01"}, 4},
			{"t1", nil, 3, 3, []string{"trip-00"}, 4},
			{"t1", []trip.Status{trip.Completed}, 0, 10, []string{"trip-02", "trip-00"}, 2},
			{"t1", []trip.Status{trip.Completed, trip.InTransit}, 0, 1, []string{"trip-03"}, 3},
			{"t1", []trip.Status{trip.Cancelled}, 0, 10, nil, 0},
			{"t2", nil, 0, 10, []string{"trip-04"}, 1},
			{"t3", nil, 0, 10, nil, 0},
			{"", nil, 0, 10, nil, 0},
		} {
			got, total, err := r.OfDriver(t.Context(), fleet.Member{Driver: driverA, Fleet: c.fleet}, c.statuses, c.offset, c.limit)
			must(t, err)
			if diff := cmp.Diff(c.want, ids(got)); diff != "" || total != c.total {
				t.Errorf("%v for %q from %d: total %d want %d (-want +got):\n%s", c.statuses, c.fleet, c.offset, total, c.total, diff)
			}
		}
	})

	t.Run("the window of a trip, of the live one, and of none", func(t *testing.T) {
		t.Parallel()
		r, put := open(t)
		ended, live := state(1, trip.Completed), state(2, trip.InTransit)
		put(ended, 1)
		put(live, 1)
		pending := state(3, trip.Pending)
		pending.DriverID = driverB
		put(pending, 1)
		of := func(s trip.State, to int64) history.Window {
			return history.Window{TripID: s.ID, Driver: driverA, From: s.AcceptedMS - 5000, To: to} // a phone may be 5 s behind
		}
		endedTo := ended.EndedMS + (10 * time.Minute).Milliseconds()
		got, err := r.Windows(t.Context(), []history.Ask{
			{Driver: driverA, Fleet: "t1"},
			{Driver: driverA, Fleet: "t1", TripID: ended.ID},
			{Driver: driverB, Fleet: "t1", TripID: ended.ID}, // somebody else's
			{Driver: driverB, Fleet: "t1"},                   // not accepted yet
			{Driver: driverA, Fleet: "t1", TripID: "trip-99"},
			{Driver: driverA, Fleet: "t2"}, // driven for another fleet
			{Driver: driverA, Fleet: "t2", TripID: ended.ID},
			{Driver: driverA, TripID: ended.ID}, // for nobody
			{Driver: driverA, Fleet: "t1", TripID: live.ID},
		})
		must(t, err)
		want := []history.Window{of(live, math.MaxInt64), of(ended, endedTo), {}, {}, {}, {}, {}, {}, of(live, math.MaxInt64)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("windows (-want +got):\n%s", diff)
		}
		for _, w := range want[2:8] {
			if w.Contains(t0) {
				t.Error("the zero window contains something")
			}
		}
		none, err := r.Windows(t.Context(), nil)
		must(t, err)
		if len(none) != 0 {
			t.Errorf("nothing asked, got %v", none)
		}
	})

	t.Run("after the end a fix without a trip still finds the last one", func(t *testing.T) {
		t.Parallel()
		r, put := open(t)
		older, last := state(1, trip.Completed), state(2, trip.Completed)
		put(older, 1)
		put(last, 1)
		got, err := r.Windows(t.Context(), []history.Ask{{Driver: driverA, Fleet: "t1"}})
		must(t, err)
		if got[0].TripID != last.ID {
			t.Errorf("found %q, want the trip that ended last", got[0].TripID)
		}
	})
}

// cancelled gives a context that is over.
func cancelled(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}
