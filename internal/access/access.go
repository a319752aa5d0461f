// Package access answers who may see which trip, and reads trips for people: the rows as they were
// committed, with the last position of the truck.
//
// Invariants:
//   - A trip is seen by those on it (driver, transporter, customer) and by ops, and by nobody else; a
//     foreign id and an unknown id are refused alike, so that nobody can probe for ids. A driver who is in
//     another fleet by now is not on it any more.
//   - A phone leaves in full only to the fleet it belongs to; everybody else sees it masked.
//   - A position is shown only when it was believed (internal/track): when it came, or now, from history.
//   - Nothing here decides about a trip: what is read may be a moment old, the trip's actor is the
//     authority.
package access

import (
	"context"
	"errors"

	"weelo/internal/fleet"
	"weelo/internal/trip"
)

// ErrNoTrip: there is no such trip.
var ErrNoTrip = errors.New("access: no such trip")

// MaxTrips bounds every list of live trips that is shown as such (Reads.OfFleet has the fleet's bound).
const MaxTrips = 500

// Row is a trip as stored.
type Row struct {
	Trip    trip.State
	Version int64
}

// By chooses whose live trips are meant. Exactly one field is set; Everybody for ops only.
type By struct {
	Driver      fleet.UserID
	Transporter fleet.UserID
	Customer    fleet.UserID
	Order       string
	Everybody   bool
}

// Trips reads the rows of trips.
type Trips interface {
	// Trip gives one trip. ErrNoTrip when there is none.
	Trip(ctx context.Context, id string) (Row, error)
	// ByID gives those of the trips that there are, in no order.
	ByID(ctx context.Context, ids []string) ([]Row, error)
	// Live gives the live trips, newest first, at most limit.
	Live(ctx context.Context, by By, limit int) ([]Row, error)
	// OfDriver gives a page of the trips that a driver has driven for a fleet, newest first, and how many
	// there are. No statuses means all of them.
	OfDriver(ctx context.Context, driver fleet.Member, statuses []trip.Status, offset, limit int) (rows []Row, total int, err error)
}
