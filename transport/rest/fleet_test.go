package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"weelo/internal/access"
	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/presence"
	"weelo/internal/trip"
	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

// reader reads as somebody.
type reader struct {
	y    *yard
	call func(method, path string, body any) resttest.Answer
}

func (r reader) Track(id string) rest.TrackData {
	r.y.t.Helper()
	var data rest.TrackData
	r.call(http.MethodGet, "/api/v1/tracking/"+id, nil).Want(200).Data(&data)
	return data
}

func TestVehiclesShowWhatTheirTripsMakeOfThem(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	owner := y.asOwner()
	type list struct {
		Vehicles                                         []rest.VehicleData
		Total, Available, OnHold, InTransit, Maintenance int
	}
	read := func() (l list) {
		t.Helper()
		owner.Call("GET", "/api/v1/vehicles/list", nil).Want(200).Data(&l)
		return l
	}
	if l := read(); l.Total != 2 || l.Available != 2 || l.Vehicles[0].VehicleKey != "open_17ft" || l.Vehicles[0].Status != "available" {
		t.Errorf("at first %+v", l)
	}
	id := y.assign(0)
	if l := read(); l.OnHold != 1 || l.Available != 1 || l.Vehicles[0].Status != "on_hold" || l.Vehicles[0].CurrentTripID == nil || *l.Vehicles[0].CurrentTripID != id {
		t.Errorf("assigned %+v", l)
	}
	y.asDriver(0).Call("PATCH", "/api/v1/assignments/"+id+"/accept", nil).Want(200)
	if l := read(); l.InTransit != 1 || l.Vehicles[0].Status != "in_transit" {
		t.Errorf("accepted %+v", l)
	}
	y.asDriver(0).Call("PUT", "/api/v1/tracking/trip/"+id+"/status", `{"status":"completed"}`).Want(200)
	if l := read(); l.Available != 2 || l.Vehicles[0].CurrentTripID != nil {
		t.Errorf("completed %+v", l)
	}
}

func TestAVehicleIsRegisteredOnceAndThenChanged(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	owner := y.asOwner()
	var put struct {
		Vehicle rest.VehicleData
		IsNew   bool
	}
	body := func(status string) string {
		return `{"vehicleNumber":"mh 12 cd 7","vehicleType":"container","vehicleSubtype":"32 Feet Single Axle","capacity":"18 t","model":null,"year":2020,"status":"` + status + `"}`
	}
	owner.Call("PUT", "/api/v1/vehicles/upsert", body("available")).Want(200).Data(&put)
	id := put.Vehicle.ID
	heard := func(want string) {
		t.Helper()
		if notes := y.people.noted(); len(notes) != 1 || !strings.HasPrefix(notes[0], string(y.owner)+" vehicle_changed "+want) {
			t.Errorf("devices heard %q, want one that begins with %s", notes, want)
		}
	}
	heard(`{"action":"registered","vehicleId":"` + id + `","fleetStats":{"total":3,"available":3,"in_transit":0,"maintenance":0},"vehicle":{"id":"` + id + `"`)
	if !put.IsNew || put.Vehicle.VehicleNumber != "MH12CD7" || put.Vehicle.Year == nil || *put.Vehicle.Year != 2020 {
		t.Errorf("registered %+v", put)
	}
	owner.Call("PUT", "/api/v1/vehicles/upsert", body("maintenance")).Want(200).Data(&put)
	if put.IsNew || put.Vehicle.ID != id || put.Vehicle.Status != "maintenance" {
		t.Errorf("changed %+v", put)
	}
	heard(`{"action":"updated","vehicleId":"` + id + `","fleetStats":{"total":3,"available":2,"in_transit":0,"maintenance":1},"vehicle":{"id":"` + id + `"`)
	owner.Call("GET", "/api/v1/vehicles/"+id, nil).Want(200)
	owner.Call("POST", "/api/v1/assignments", assignJSON(fleet.VehicleID(id), y.drivers[0])).Refused(409, "VEHICLE_UNAVAILABLE")
	owner.Call("DELETE", "/api/v1/vehicles/"+id, nil).Want(200)
	heard(`{"action":"deleted","vehicleId":"` + id + `","fleetStats":{"total":2,"available":2,"in_transit":0,"maintenance":0}}`)
	owner.Call("DELETE", "/api/v1/vehicles/"+id, nil).Refused(404, "VEHICLE_NOT_FOUND")
	if notes := y.people.noted(); len(notes) != 0 {
		t.Errorf("devices heard %q of nothing", notes)
	}
}

func TestAvailabilityIsStoredAndTheSwitchIsLimited(t *testing.T) {
	t.Parallel()
	onBothStores(t, availabilityIsStoredAndTheSwitchIsLimited)
}

func availabilityIsStoredAndTheSwitchIsLimited(y *yard) {
	t := y.t
	t.Helper()
	driver := y.asDriver(0)
	const path = "/api/v1/driver/availability"
	set := func(body string) (d rest.DriverAvailabilityData) {
		t.Helper()
		driver.Call("PUT", path, body).Want(200).Data(&d)
		return d
	}
	if d := set(`{"isOnline":true,"currentLocation":{"latitude":12.9,"longitude":77.5}}`); !d.IsOnline || d.CurrentLocation.Value == nil || d.CurrentLocation.Value.Latitude != 12.9 {
		t.Errorf("on: %+v", d)
	}
	if told := y.people.told(); len(told) != 1 || told[0].Lat != 12.9 {
		t.Errorf("the position with the switch: %v", told)
	}
	set(`{"isOnline":true}`) // the same again is never limited
	if d := set(`{"isOnline":false}`); d.IsOnline {
		t.Errorf("off: %+v", d)
	}
	a := driver.Call("PUT", path, `{"isOnline":true}`).Refused(429, "TOGGLE_RATE_LIMITED")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	var got rest.DriverAvailabilityData
	driver.Call("GET", path, nil).Want(200).Data(&got)
	if got.IsOnline || y.people.available[y.drivers[0]] {
		t.Errorf("refused, and yet online: %+v", got)
	}

	owner := y.asOwner()
	var av rest.TransporterAvailabilityData
	owner.Call("PUT", "/api/v1/transporter/availability", `{"isAvailable":true}`).Want(200).Data(&av)
	if !av.IsAvailable || av.CooldownMS != 5000 || av.Idempotent {
		t.Errorf("transporter on: %+v", av)
	}
	owner.Call("PUT", "/api/v1/transporter/availability", `{"isAvailable":true}`).Want(200).Data(&av)
	if !av.Idempotent || av.CooldownMS != 0 {
		t.Errorf("transporter on again: %+v", av)
	}
	owner.Call("GET", "/api/v1/transporter/availability", nil).Want(200).Data(&av)
	if !av.IsAvailable || av.Remaining == 0 {
		t.Errorf("transporter reads: %+v", av)
	}
}

func TestAHeartbeatRenewsAndNeverRevives(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	owner := y.asOwner()
	const beat = "/api/v1/transporter/heartbeat"
	var got rest.HeartbeatData
	owner.Call("POST", beat, `{"latitude":12.9,"longitude":77.5,"vehicleId":null,"isOnTrip":false}`).Want(200).Data(&got)
	if got.Registered || got.NextMS != 5000 || len(got.IndexedKeys) != 1 || got.IndexedKeys[0] != "open_17ft" {
		t.Errorf("offline: %+v", got)
	}
	owner.Call("PUT", "/api/v1/transporter/availability", `{"isAvailable":true}`).Want(200)
	owner.Call("POST", beat, `{"latitude":12.9,"longitude":77.5}`).Want(200).Data(&got)
	if !got.Registered {
		t.Errorf("online: %+v", got)
	}
	y.people.silent[y.owner] = true // his presence ran out; the next beat finds his intent and brings him back
	owner.Call("POST", beat, `{"latitude":12.9,"longitude":77.5}`).Want(200).Data(&got)
	if got.Registered {
		t.Errorf("wants to be online, and is not: %+v", got)
	}
	owner.Call("DELETE", beat, nil).Want(200)
	owner.Call("POST", beat, `{"latitude":12.9,"longitude":77.5}`).Want(200).Data(&got)
	if got.Registered || y.people.available[y.owner] {
		t.Errorf("revived by a late heartbeat: %+v", got)
	}
	empty := y.enrol(fleet.Transporter, "+919876543219", "No Trucks", "")
	y.as(empty, fleet.Transporter).Call("POST", beat, `{"latitude":12.9,"longitude":77.5}`).Refused(400, "NO_VEHICLES")
}

func TestTheFleetIsListedAndSeen(t *testing.T) {
	t.Parallel()
	onBothStores(t, theFleetIsListedAndSeen)
}

func theFleetIsListedAndSeen(y *yard) {
	t := y.t
	t.Helper()
	if _, err := y.presence.Enter(t.Context(), presence.Person{User: y.drivers[1], Role: fleet.Driver, Fleet: y.owner}, time.Now()); err != nil {
		t.Fatal(err)
	}
	id := y.accepted(0)
	y.asDriver(0).Call("POST", "/api/v1/tracking/batch", batchJSON(id, at(0))).Want(200)
	var list struct {
		Drivers                                   []rest.DriverData
		Total, Online, Offline, Active, Available int
	}
	y.asOwner().Call("GET", "/api/v1/driver/list", nil).Want(200).Data(&list)
	if list.Total != 2 || list.Online != 1 || list.Offline != 1 || list.Available != 1 {
		t.Fatalf("drivers %+v", list)
	}
	if d := list.Drivers[0]; d.Name != "Anil" || !d.IsOnTrip || d.CurrentTripID == nil || *d.CurrentTripID != id || d.Phone != "9123456781" || d.Status != "on_trip" {
		t.Errorf("first driver %+v", d)
	}
	if d := list.Drivers[1]; d.Name != "Bala" || !d.IsOnline || !d.IsAvailable || d.IsOnTrip || d.Status != "active" {
		t.Errorf("second driver %+v", d)
	}
	var seen rest.FleetTrackData
	y.asOwner().Call("GET", "/api/v1/tracking/fleet", nil).Want(200).Data(&seen)
	if seen.ActiveDrivers != 1 || len(seen.Drivers) != 1 || seen.Drivers[0].DriverName != "Anil" || seen.Drivers[0].Latitude == 0 ||
		seen.Drivers[0].TripID == nil || *seen.Drivers[0].TripID != id || seen.Drivers[0].Status != "driver_accepted" {
		t.Errorf("fleet %+v", seen)
	}
	y.asRival().Call("GET", "/api/v1/tracking/fleet", nil).Want(200).Data(&seen)
	if len(seen.Drivers) != 0 {
		t.Errorf("the rival sees %+v", seen)
	}
}

// TestAFleetOfManyTripsIsSeenWhole: the trips of a fleet are more than one answer of a watch has.
func TestAFleetOfManyTripsIsSeenWhole(t *testing.T) {
	t.Parallel()
	stores := dev(t)
	stores.trips = crowded{stores.trips}
	y := openYard(t, stores)
	id := y.accepted(0)
	y.asDriver(0).Call("POST", "/api/v1/tracking/batch", batchJSON(id, at(0))).Want(200)
	var drivers struct{ Drivers []rest.DriverData }
	y.asOwner().Call("GET", "/api/v1/driver/list", nil).Want(200).Data(&drivers)
	if d := drivers.Drivers[0]; !d.IsOnTrip || d.IsAvailable {
		t.Errorf("a driver on a trip: %+v", d)
	}
	var vehicles struct{ Vehicles []rest.VehicleData }
	y.asOwner().Call("GET", "/api/v1/vehicles/list", nil).Want(200).Data(&vehicles)
	if v := vehicles.Vehicles[0]; v.Status != "in_transit" || v.CurrentTripID == nil || *v.CurrentTripID != id {
		t.Errorf("a vehicle on a trip: %+v", v)
	}
	var seen rest.FleetTrackData
	y.asOwner().Call("GET", "/api/v1/tracking/fleet", nil).Want(200).Data(&seen)
	if len(seen.Drivers) != 1 || seen.Drivers[0].TripID == nil || *seen.Drivers[0].TripID != id {
		t.Errorf("fleet %+v", seen)
	}
}

// crowded has 600 newer live trips of the same transporter, with other drivers and vehicles.
type crowded struct{ tripReads }

type tripReads interface {
	access.Trips
	history.Windows
}

func (c crowded) Live(ctx context.Context, by access.By, limit int) ([]access.Row, error) {
	rows := make([]access.Row, 0, 601)
	for i := range 600 {
		name := fmt.Sprint("other-", i)
		rows = append(rows, access.Row{Trip: trip.State{ID: name, DriverID: fleet.UserID(name), VehicleID: fleet.VehicleID(name), TransporterID: by.Transporter}})
	}
	mine, err := c.tripReads.Live(ctx, by, limit)
	rows = append(rows, mine...)
	return rows[:min(limit, len(rows))], err
}

func TestAProfileUnderBothNames(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	for user, role := range map[fleet.UserID]fleet.Role{y.owner: fleet.Transporter, y.customer: fleet.Customer, y.drivers[0]: fleet.Driver} {
		var got rest.ProfileData
		y.as(user, role).Call("GET", "/api/v1/profile", nil).Want(200).Data(&got)
		if got.User.ID != string(user) || got.Profile.ID != string(user) || len(got.User.Phone) != 10 || !got.User.IsProfileComplete || got.User.Role != string(role) {
			t.Errorf("%s: %+v", role, got)
		}
	}
	y.as("0b7f2a30-7c0e-4e0f-8d53-000000000099", fleet.Customer).Call("GET", "/api/v1/profile", nil).Refused(401, "UNAUTHORIZED")
}
