package fleet

import "context"

// Supply is what a fleet store says about trucks and drivers that could work now. A vehicle or driver
// is busy while a live trip holds it; whether a driver is online is presence's to say.
type Supply interface {
	// Free gives the stock of each transporter in each of the kinds, in one query; those he has none of
	// are missing. Vehicles that were put out of use (VehicleInactive) count nowhere. At most MaxNearest
	// transporters.
	Free(ctx context.Context, transporters []UserID, keys []string) (map[UserID]map[string]Stock, error)
	// Keys gives the kinds of vehicles that each transporter could drive (VehicleAvailable, on a trip or
	// not), sorted; who has none is missing. At most MaxFleet transporters.
	Keys(ctx context.Context, transporters []UserID) (map[UserID][]string, error)
	// Crew gives the facts that a confirmation is decided by, for at most MaxCrew of each. It does not
	// judge: foreign vehicles and drivers are given as they are, unknown ones are missing.
	Crew(ctx context.Context, vehicles []VehicleID, drivers []UserID) (Crew, error)
}

// MaxCrew bounds the vehicles and the drivers of one confirmation (contract §1.5: a hold has at most 50).
const MaxCrew = 50

// Crew is what is known of the vehicles and drivers of a confirmation.
type Crew struct {
	Vehicles map[VehicleID]VehicleFact
	Drivers  map[UserID]DriverFact
}

// VehicleFact is a vehicle and the live trip that holds it.
type VehicleFact struct {
	Vehicle
	TripID string // empty: free
}

// DriverFact is a driver and the live trip he is on. User.Role may be any: an id is only an id.
type DriverFact struct {
	User
	TripID string // empty: free
}
