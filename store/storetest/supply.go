package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weelo/internal/fleet"
	"weelo/internal/trip"
)

// SupplyWorld is a fleet.Supply over an empty store and the ways to put things there as their own
// writers would.
type SupplyWorld struct {
	Supply   fleet.Supply
	Vehicles fleet.Vehicles
	Crews    fleet.Crews
	PutUser  func(u fleet.User)
	PutTrip  func(s trip.State, version int64)
}

// Supply is the conformance suite of fleet.Supply.
func Supply(t *testing.T, open func(t *testing.T) SupplyWorld) {
	t.Helper()
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	truck := func(t *testing.T, w SupplyWorld, n int, owner fleet.UserID, subtype, status string) fleet.Vehicle {
		t.Helper()
		v, _, err := w.Vehicles.Upsert(t.Context(), fleet.Vehicle{ID: fleet.VehicleID(fmt.Sprint("v", n)), TransporterID: owner,
			Number: fmt.Sprintf("KA01AB%04d", n), Type: "open", Subtype: subtype, Status: status, CreatedAt: at, UpdatedAt: at})
		must(t, err)
		return v
	}
	tripOf := func(n int, status trip.Status, vehicle fleet.VehicleID, driver fleet.UserID) trip.State {
		return trip.State{ID: fmt.Sprint("trip-", n), Status: status, Live: !status.Terminal(), DriverID: driver, VehicleID: vehicle,
			TransporterID: "t1", AssignedMS: at.UnixMilli() + int64(n), Reached: map[trip.Status]int64{}, Timers: map[string]trip.Timer{}}
	}

	t.Run("free is available and on no live trip, for every spelling of the kind", func(t *testing.T) {
		t.Parallel()
		w := open(t)
		truck(t, w, 1, "t1", "17 Feet", "available")
		truck(t, w, 2, "t1", "17 ft", "available") // on a live trip
		truck(t, w, 3, "t1", "17FT", "available")  // its trip is over
		truck(t, w, 4, "t1", "17-feet", "maintenance")
		truck(t, w, 5, "t1", "17 Feet", "inactive")
		truck(t, w, 6, "t1", "20 Feet", "available")
		truck(t, w, 7, "t1", "24 Feet", "available") // not asked for
		truck(t, w, 8, "t2", "17 Feet", "available") // pending already counts
		truck(t, w, 9, "t3", "17 Feet", "available") // not asked for
		w.PutTrip(tripOf(1, trip.InTransit, "v2", "d1"), 3)
		w.PutTrip(tripOf(2, trip.Completed, "v3", "d2"), 9)
		w.PutTrip(tripOf(3, trip.Pending, "v8", "d3"), 1)
		got, err := w.Supply.Free(t.Context(), []fleet.UserID{"t1", "t2", "t4"}, []string{fleet.Key("open", "17 feet"), fleet.Key("open", "20 FT"), "open_99ft"})
		must(t, err)
		want := map[fleet.UserID]map[string]fleet.Stock{
			"t1": {"open_17ft": {Free: 2, Total: 4}, "open_20ft": {Free: 1, Total: 1}},
			"t2": {"open_17ft": {Free: 0, Total: 1}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stock (-want +got):\n%s", diff)
		}
	})

	t.Run("a vehicle that is changed changes kind", func(t *testing.T) {
		t.Parallel()
		w := open(t)
		truck(t, w, 1, "t1", "17 Feet", "available")
		truck(t, w, 1, "t1", "20 Feet", "available")
		got, err := w.Supply.Free(t.Context(), []fleet.UserID{"t1"}, []string{"open_17ft", "open_20ft"})
		must(t, err)
		if diff := cmp.Diff(map[fleet.UserID]map[string]fleet.Stock{"t1": {"open_20ft": {Free: 1, Total: 1}}}, got); diff != "" {
			t.Errorf("stock (-want +got):\n%s", diff)
		}
	})

	t.Run("the kinds a transporter could drive", func(t *testing.T) {
		t.Parallel()
		w := open(t)
		truck(t, w, 1, "t1", "20 Feet", "available")
		truck(t, w, 2, "t1", "17 Feet", "available")
		truck(t, w, 3, "t1", "17 ft", "available")
		truck(t, w, 4, "t1", "24 Feet", "maintenance")
		truck(t, w, 5, "t2", "22 Feet", "available")
		truck(t, w, 6, "t3", "22 Feet", "inactive")
		w.PutTrip(tripOf(1, trip.InTransit, "v1", "d1"), 3) // it comes back
		got, err := w.Supply.Keys(t.Context(), []fleet.UserID{"t1", "t3", "t9"})
		must(t, err)
		if diff := cmp.Diff(map[fleet.UserID][]string{"t1": {"open_17ft", "open_20ft"}}, got); diff != "" {
			t.Errorf("kinds (-want +got):\n%s", diff)
		}
	})

	t.Run("a crew as it is, whose ever it is", func(t *testing.T) {
		t.Parallel()
		w := open(t)
		driver := func(n int, fleetOf fleet.UserID, suspended bool) fleet.User {
			u := fleet.User{ID: fleet.UserID(fmt.Sprint("d", n)), Phone: fmt.Sprintf("+9191000000%02d", n), Role: fleet.Driver, Name: "Ravi",
				KYC: fleet.KYCNotStarted, TransporterID: fleetOf, MembershipVersion: 1, Suspended: suspended, CreatedAt: at, UpdatedAt: at}
			w.PutUser(u)
			return u
		}
		for n, id := range []fleet.UserID{"t1", "t2"} {
			w.PutUser(fleet.User{ID: id, Phone: fmt.Sprintf("+9198000000%02d", n), Role: fleet.Transporter, CreatedAt: at, UpdatedAt: at})
		}
		own, busy, foreign := truck(t, w, 1, "t1", "17 Feet", "available"), truck(t, w, 2, "t1", "17 Feet", "maintenance"), truck(t, w, 3, "t2", "20 Feet", "available")
		free, driving, others := driver(1, "t1", false), driver(2, "t1", true), driver(3, "t2", false)
		w.PutTrip(tripOf(1, trip.DriverAccepted, "v2", "d2"), 3)
		w.PutTrip(tripOf(2, trip.Cancelled, "v1", "d1"), 3)
		got, err := w.Supply.Crew(t.Context(), []fleet.VehicleID{"v1", "v2", "v3", "v9"}, []fleet.UserID{"d1", "d2", "d3", "d9"})
		must(t, err)
		want := fleet.Crew{
			Vehicles: map[fleet.VehicleID]fleet.VehicleFact{"v1": {Vehicle: own}, "v2": {Vehicle: busy, TripID: "trip-1"}, "v3": {Vehicle: foreign}},
			Drivers:  map[fleet.UserID]fleet.DriverFact{"d1": {User: free}, "d2": {User: driving, TripID: "trip-1"}, "d3": {User: others}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("crew (-want +got):\n%s", diff)
		}
	})

	t.Run("a vehicle is deleted by its owner, and not while a live trip holds it", func(t *testing.T) {
		t.Parallel()
		w := open(t)
		truck(t, w, 1, "t1", "17 Feet", "available")
		truck(t, w, 2, "t1", "17 Feet", "available")
		w.PutTrip(tripOf(1, trip.Pending, "v1", "d1"), 1)
		w.PutTrip(tripOf(2, trip.Completed, "v2", "d2"), 7)
		for _, c := range []struct {
			owner fleet.UserID
			id    fleet.VehicleID
			want  error
		}{{"t1", "v1", fleet.ErrVehicleBusy}, {"t2", "v2", fleet.ErrNoVehicle}, {"t2", "v1", fleet.ErrNoVehicle}, {"t1", "v9", fleet.ErrNoVehicle},
			{"t1", "v2", nil}, {"t1", "v2", fleet.ErrNoVehicle}} {
			if err := w.Vehicles.Delete(t.Context(), c.owner, c.id); !errors.Is(err, c.want) {
				t.Errorf("%s deletes %s: %v, want %v", c.owner, c.id, err, c.want)
			}
		}
		left, err := w.Vehicles.VehiclesOf(t.Context(), "t1")
		must(t, err)
		if len(left) != 1 || left[0].ID != "v1" {
			t.Errorf("left: %v, want v1", left)
		}
		again, isNew, err := w.Vehicles.Upsert(t.Context(), fleet.Vehicle{ID: "v5", TransporterID: "t2", Number: "KA01AB0002", Type: "open", Subtype: "17 Feet", CreatedAt: at, UpdatedAt: at})
		must(t, err)
		if !isNew || again.TransporterID != "t2" {
			t.Errorf("the number of a deleted vehicle: %+v, new %v; want one of t2", again, isNew)
		}
	})

	t.Run("a driver leaves his fleet, and not while he is on a live trip", func(t *testing.T) {
		t.Parallel()
		w := open(t)
		for n, id := range []fleet.UserID{"t1", "t2"} {
			w.PutUser(fleet.User{ID: id, Phone: fmt.Sprintf("+9198000000%02d", n), Role: fleet.Transporter, CreatedAt: at, UpdatedAt: at})
		}
		for n := range 2 {
			w.PutUser(fleet.User{ID: fleet.UserID(fmt.Sprint("d", n)), Phone: fmt.Sprintf("+9191000000%02d", n), Role: fleet.Driver, TransporterID: "t1",
				MembershipVersion: 3, Available: true, CreatedAt: at, UpdatedAt: at})
		}
		w.PutTrip(tripOf(1, trip.Pending, "v1", "d1"), 1)
		w.PutTrip(tripOf(2, trip.Completed, "v2", "d0"), 7)
		for _, c := range []struct {
			owner, driver fleet.UserID
			want          error
		}{{"t1", "d1", fleet.ErrDriverBusy}, {"t2", "d0", fleet.ErrNoUser}, {"t1", "d9", fleet.ErrNoUser}, {"t1", "d0", nil}, {"t1", "d0", fleet.ErrNoUser}} {
			if err := w.Crews.Leave(t.Context(), c.owner, c.driver, at.Add(time.Hour)); !errors.Is(err, c.want) {
				t.Errorf("%s leaves %s: %v, want %v", c.driver, c.owner, err, c.want)
			}
		}
		crew, err := w.Supply.Crew(t.Context(), nil, []fleet.UserID{"d0", "d1"})
		must(t, err)
		left, stayed := crew.Drivers["d0"], crew.Drivers["d1"]
		if left.TransporterID != "" || left.MembershipVersion != 4 || left.Available || !left.UpdatedAt.Equal(at.Add(time.Hour)) {
			t.Errorf("who left: %+v", left)
		}
		if stayed.TransporterID != "t1" || stayed.MembershipVersion != 3 || !stayed.Available {
			t.Errorf("who stayed: %+v", stayed)
		}
	})

	t.Run("nothing asked, nothing answered", func(t *testing.T) {
		t.Parallel()
		w := open(t)
		truck(t, w, 1, "t1", "17 Feet", "available")
		free, err := w.Supply.Free(t.Context(), nil, []string{"open_17ft"})
		must(t, err)
		kinds, err := w.Supply.Keys(t.Context(), nil)
		must(t, err)
		crew, err := w.Supply.Crew(t.Context(), nil, nil)
		must(t, err)
		if diff := cmp.Diff([]any{map[fleet.UserID]map[string]fleet.Stock{}, map[fleet.UserID][]string{}, fleet.Crew{}}, []any{free, kinds, crew}, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
