package trip

import (
	"weelo/internal/fleet"
	"weelo/internal/track"
)

// Summary is a trip as the apps' AssignmentData has it, ready for a transport to spell. BookingID
// is never null for the apps: it is the order's id or empty.
type Summary struct {
	ID, TripID, OrderID, BookingID, Slot       string
	TransporterID                              fleet.UserID
	TransporterName                            string
	VehicleID                                  fleet.VehicleID
	VehicleNumber, VehicleType, VehicleSubtype string
	DriverID                                   fleet.UserID
	DriverName, DriverPhone                    string // phone: whole for the fleet, masked for others
	CustomerID                                 fleet.UserID
	CustomerName, CustomerPhone                string // phone: always masked
	Status                                     string // the apps' name
	Reason                                     string
	Pickup, Drop                               Place
	Route                                      []Spot
	DistanceKm, PricePerTruck                  int
	GoodsType                                  string
	// Unix ms; 0: not yet.
	AssignedMS, AcceptedMS, StartedMS, CompletedMS, EndedMS, ExpiresMS int64
	OdometerM                                                          int64
	Stops                                                              []track.Stop
}

// Summary is the trip as the viewer may see it.
func (s State) Summary(viewer fleet.Role) Summary {
	driverPhone := ShortPhone(s.Names.DriverPhone)
	if viewer == fleet.Transporter || viewer == fleet.Driver {
		driverPhone = s.Names.DriverPhone // his own fleet
	}
	return Summary{
		ID: s.ID, TripID: s.ID, OrderID: s.OrderID, BookingID: s.OrderID, Slot: s.Slot,
		TransporterID: s.TransporterID, TransporterName: s.Names.Transporter,
		VehicleID: s.VehicleID, VehicleNumber: s.Vehicle.Number, VehicleType: s.Vehicle.Type, VehicleSubtype: s.Vehicle.Subtype,
		DriverID: s.DriverID, DriverName: s.Names.Driver, DriverPhone: driverPhone,
		CustomerID: s.CustomerID, CustomerName: s.Names.Customer, CustomerPhone: ShortPhone(s.Names.CustomerPhone),
		Status: s.Status.App(), Reason: s.Reason, Pickup: s.Pickup, Drop: s.Drop, Route: s.Route(),
		DistanceKm: s.Cargo.DistanceKm, PricePerTruck: s.Cargo.FareRupees, GoodsType: s.Cargo.Goods,
		AssignedMS: s.AssignedMS, AcceptedMS: s.AcceptedMS, StartedMS: s.Reached[InTransit],
		CompletedMS: s.Reached[Completed], EndedMS: s.EndedMS, ExpiresMS: s.Timers[AcceptTimer].DueMS,
		OdometerM: s.Track.Whole.OdometerM(), Stops: s.Track.Whole.Stops,
	}
}
