package protocol

import (
	"weelo/internal/track"
	"weelo/internal/trip"
)

// ViewTrip is the trip frame of a state at a version, with the driver's last live position if there
// is one. The driver's phone is masked: a watcher may be the customer.
func ViewTrip(s trip.State, version int64, live *track.Fix) TripView {
	return TripView{
		TripID: s.ID, OrderID: s.OrderID, Version: version, Status: s.Status.App(),
		Customer: s.CustomerID, Transporter: s.TransporterID,
		Driver:  Person{ID: s.DriverID, Name: s.Names.Driver, Phone: trip.ShortPhone(s.Names.DriverPhone)},
		Vehicle: VehicleView{ID: s.VehicleID, Number: s.Vehicle.Number, Type: s.Vehicle.Type, Subtype: s.Vehicle.Subtype},
		Pickup:  Place(s.Pickup), Drop: Place(s.Drop),
		Live: live, EndedMS: s.EndedMS,
	}
}
