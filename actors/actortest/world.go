package actortest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// TripLedger is a Ledger with the unique indexes of trips.
func TripLedger() *Ledger {
	live := func(key func(s trip.State) string) func(json.RawMessage) string {
		return func(snapshot json.RawMessage) string {
			s, err := trip.Load(snapshot)
			if err != nil || !s.Live {
				return ""
			}
			return key(s)
		}
	}
	return NewLedger(
		Unique{"one_live_trip_per_driver", ledger.Trip, live(func(s trip.State) string { return string(s.DriverID) })},
		Unique{"one_live_trip_per_vehicle", ledger.Trip, live(func(s trip.State) string { return string(s.VehicleID) })},
	)
}

// People are users and vehicles in memory.
type People struct {
	Users  map[fleet.UserID]fleet.User
	Trucks map[fleet.VehicleID]fleet.Vehicle
}

// User gives one user.
func (p People) User(_ context.Context, id fleet.UserID) (fleet.User, error) {
	if u, ok := p.Users[id]; ok {
		return u, nil
	}
	return fleet.User{}, fleet.ErrNoUser
}

// ByPhone gives the user with a phone and role.
func (p People) ByPhone(_ context.Context, phone string, role fleet.Role) (fleet.User, error) {
	for _, u := range p.Users {
		if u.Phone == phone && u.Role == role {
			return u, nil
		}
	}
	return fleet.User{}, fleet.ErrNoUser
}

// Vehicle gives one vehicle.
func (p People) Vehicle(_ context.Context, id fleet.VehicleID) (fleet.Vehicle, error) {
	if v, ok := p.Trucks[id]; ok {
		return v, nil
	}
	return fleet.Vehicle{}, fleet.ErrNoVehicle
}

// VehiclesOf gives a transporter's vehicles by number.
func (p People) VehiclesOf(_ context.Context, transporter fleet.UserID) ([]fleet.Vehicle, error) {
	var list []fleet.Vehicle
	for _, v := range p.Trucks {
		if v.TransporterID == transporter {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b fleet.Vehicle) int { return strings.Compare(a.Number, b.Number) })
	return list, nil
}

// SmallWorld has one customer, two transporters, three drivers and three vehicles: T1 has D1, D2, V1
// and V2, T2 has D3 and V3.
func SmallWorld() People {
	p := People{Users: map[fleet.UserID]fleet.User{}, Trucks: map[fleet.VehicleID]fleet.Vehicle{}}
	for _, u := range []fleet.User{
		{ID: "C1", Role: fleet.Customer, Name: "Asha", Phone: "+919800000001"},
		{ID: "T1", Role: fleet.Transporter, Name: "Bharat Roadways", Phone: "+919800000002"},
		{ID: "T2", Role: fleet.Transporter, Name: "Deccan Carriers", Phone: "+919800000003"},
		{ID: "D1", Role: fleet.Driver, Name: "Ravi", Phone: "+919800000004", TransporterID: "T1", Available: true},
		{ID: "D2", Role: fleet.Driver, Name: "Suresh", Phone: "+919800000005", TransporterID: "T1", Available: true},
		{ID: "D3", Role: fleet.Driver, Name: "Imran", Phone: "+919800000006", TransporterID: "T2", Available: true},
	} {
		p.Users[u.ID] = u
	}
	for id, owner := range map[fleet.VehicleID]fleet.UserID{"V1": "T1", "V2": "T1", "V3": "T2"} {
		p.Trucks[id] = fleet.Vehicle{ID: id, TransporterID: owner, Number: "KA01AB000" + string(id[1:]), Type: "open", Subtype: "17 Feet", Status: "available"}
	}
	return p
}

// Fixes is a history in memory.
type Fixes struct {
	mu    sync.Mutex
	of    map[fleet.UserID][]track.Fix
	reads int
}

// Add records fixes of a driver.
func (f *Fixes) Add(driver fleet.UserID, fixes ...track.Fix) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[fleet.UserID][]track.Fix{}
	}
	f.of[driver] = track.Sort(append(f.of[driver], fixes...))
}

// Reads is how often history was read.
func (f *Fixes) Reads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

// Fixes gives a page.
func (f *Fixes) Fixes(_ context.Context, driver fleet.UserID, after, to int64, limit int) ([]track.Fix, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	var page []track.Fix
	for _, x := range f.of[driver] {
		if x.TS > after && x.TS <= to && len(page) < limit {
			page = append(page, x)
		}
	}
	return slices.Clone(page), nil
}
