package trip

import (
	"fmt"
	"strings"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/geo"
)

// Assignment is what a trip is born from: who drives what for whom, from where to where.
type Assignment struct {
	ID          string // a new bare UUID
	Driver      fleet.UserID
	Vehicle     fleet.VehicleID
	Transporter fleet.UserID
	Customer    fleet.UserID // "" when unknown
	OrderID     string       // "" without an order
	Slot        string       // "" without an order
	Names       Names
	Truck       Vehicle
	Pickup      Place
	Drop        Place
	Cargo       Cargo // DistanceKm 0: the straight line
}

// Born decides the birth of a trip: status pending, the accept timer armed, the driver told. The
// decision's transition is written at version 0. Refuses with VALIDATION_ERROR.
func Born(a Assignment, now time.Time, p Policy) (Decision, error) {
	for field, missing := range map[string]bool{
		"id": a.ID == "", "driver": a.Driver == "", "vehicle": a.Vehicle == "", "transporter": a.Transporter == "",
	} {
		if missing {
			return Decision{}, fmt.Errorf("trip born without %s", field) // and without its phones
		}
	}
	for field, place := range map[string]Place{"pickup": a.Pickup, "drop": a.Drop} {
		if !place.Point().Valid() || (place.Latitude == 0 && place.Longitude == 0) {
			return Decision{}, fault.Invalid(field, "The "+field+" needs a latitude and a longitude.")
		}
	}
	if a.Cargo.DistanceKm == 0 {
		a.Cargo.DistanceKm = int(geo.Distance(a.Pickup.Point(), a.Drop.Point())/1000 + 0.5)
	}
	birth := State{
		ID: a.ID, DriverID: a.Driver, VehicleID: a.Vehicle, TransporterID: a.Transporter,
		CustomerID: a.Customer, OrderID: a.OrderID, Slot: a.Slot,
		Names: a.Names, Vehicle: a.Truck, Pickup: a.Pickup, Drop: a.Drop, Cargo: a.Cargo,
	}
	d, err := decided(State{}, now, Event{
		What: Assigned, AtMS: now.UnixMilli(), Birth: &birth, To: Pending,
		Timers: []TimerSet{{Name: AcceptTimer, Number: 1, DueMS: now.Add(p.AcceptWithin).UnixMilli()}},
	})
	d.push = p.Push
	return d, err
}

// Point is the place's position.
func (p Place) Point() geo.Point { return geo.Point{Lat: p.Latitude, Lng: p.Longitude} }

// ShortPhone writes a phone for people outside the fleet: +91******3210. An empty one stays empty.
func ShortPhone(phone string) string {
	if len(phone) < 4 {
		return ""
	}
	return "+91" + strings.Repeat("*", 6) + phone[len(phone)-4:]
}
