package fleet

import (
	"context"
	"errors"
	"time"
)

// What a fleet store may answer instead of a value. A transport turns them into refusals.
var (
	// ErrNoUser: there is no such user (or none with the asked role).
	ErrNoUser = errors.New("fleet: no such user")
	// ErrNoVehicle: there is no such vehicle.
	ErrNoVehicle = errors.New("fleet: no such vehicle")
	// ErrVehicleBusy: a live trip holds the vehicle.
	ErrVehicleBusy = errors.New("fleet: the vehicle is on a trip")
	// ErrDriverBusy: the driver is on a live trip.
	ErrDriverBusy = errors.New("fleet: the driver is on a trip")
	// ErrInFleet: the driver is in the fleet of another transporter.
	ErrInFleet = errors.New("fleet: the driver is in another fleet")
	// ErrNoInvitation: nobody invited this phone, or it was too long ago.
	ErrNoInvitation = errors.New("fleet: no such invitation")
	// ErrNumberTaken: the plate is registered by another transporter.
	ErrNumberTaken = errors.New("fleet: the number belongs to another transporter")
)

// MaxFleet bounds every list of one transporter's vehicles or drivers. The largest Indian fleets on
// marketplaces of this kind run a few thousand trucks.
const MaxFleet = 5000

// People reads users of every role and keeps the intent they set themselves. Registration and login
// write users through session's own port.
type People interface {
	// User gives one user. ErrNoUser when there is none.
	User(ctx context.Context, id UserID) (User, error)
	// Users gives those of ids that exist, in no order; at most MaxFleet ids.
	Users(ctx context.Context, ids []UserID) ([]User, error)
	// Drivers gives the active drivers of a transporter, by name then id, at most MaxFleet.
	Drivers(ctx context.Context, transporter UserID) ([]User, error)
	// SetAvailable stores the intent of a driver or transporter and gives the user as stored.
	// The same intent again leaves UpdatedAt alone. ErrNoUser when there is none.
	SetAvailable(ctx context.Context, id UserID, available bool, at time.Time) (User, error)
}

// Vehicles keeps the trucks. A number belongs to one transporter.
type Vehicles interface {
	// Vehicle gives one vehicle. ErrNoVehicle when there is none.
	Vehicle(ctx context.Context, id VehicleID) (Vehicle, error)
	// VehiclesOf gives a transporter's vehicles by number, at most MaxFleet.
	VehiclesOf(ctx context.Context, transporter UserID) ([]Vehicle, error)
	// Upsert stores v under its number: a known number of the same transporter keeps its id and
	// CreatedAt and takes the rest of v; a new one is born with v.ID. An empty Status keeps the known one
	// (VehicleAvailable for a new vehicle). It gives the vehicle as stored and whether it is new.
	// ErrNumberTaken, and nothing changed, when another transporter has the number.
	Upsert(ctx context.Context, v Vehicle) (stored Vehicle, isNew bool, err error)
	// Delete removes a vehicle of a transporter. ErrNoVehicle when he has none with this id,
	// ErrVehicleBusy, and nothing changed, while a live trip holds it.
	Delete(ctx context.Context, transporter UserID, id VehicleID) error
}

// Invitation is what a transporter says about a driver whom he wants in his fleet.
type Invitation struct {
	Transporter   UserID
	Phone         string // E.164
	Name          string
	LicenseNumber string
	Email         string
	At            time.Time
}

// InvitationLife is how long an invitation may be answered or sent again.
const InvitationLife = 24 * time.Hour

// Crews keeps who drives for whom. A driver is in one fleet at a time; each change of it raises his
// membership version, which ends the sessions of before.
type Crews interface {
	// Invite stores an invitation, in the place of an older one to the same phone, and forgets those of
	// the transporter that are over.
	Invite(ctx context.Context, i Invitation) error
	// Invitation gives the invitation of a transporter to a phone. ErrNoInvitation when there is none or
	// it is over at now.
	Invitation(ctx context.Context, transporter UserID, phone string, now time.Time) (Invitation, error)
	// Join takes the invited driver into the fleet and gives him as stored: a new one has id and
	// membership version 1, one who was there before keeps his id and gets the next version. Joining the
	// fleet that he is in changes nothing. ErrInFleet, and nothing changed, when he is in another.
	Join(ctx context.Context, i Invitation, id UserID, at time.Time) (User, error)
	// Leave takes a driver out of the fleet: his next membership version, and not available. What he was told
	// of it is taken out of his inbox with the same step, so that no session of another fleet is told again.
	// ErrNoUser when the transporter has no such driver; ErrDriverBusy, and nothing changed, while he is on a
	// live trip.
	Leave(ctx context.Context, transporter, driver UserID, at time.Time) error
}
