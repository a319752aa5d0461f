package protocol

import (
	"context"

	"weelo/internal/fleet"
	"weelo/internal/trip"
)

// Assigner gives birth to trips without an order. The implementation is actors.Assignments.
type Assigner interface {
	// Assign commits a new pending trip and tells its driver. Refusals: VALIDATION_ERROR,
	// DRIVER_NOT_FOUND and VEHICLE_NOT_FOUND (foreign ones alike), DRIVER_BUSY, VEHICLE_UNAVAILABLE,
	// IDEMPOTENCY_KEY_REUSED; Unavailable when the outcome is unknown: ask again with the same key.
	Assign(ctx context.Context, a NewAssignment) (*TripReply, error)
}

// NewAssignment is what a transporter asks for.
type NewAssignment struct {
	Transporter   fleet.UserID // from the session
	Vehicle       fleet.VehicleID
	Driver        fleet.UserID
	Pickup, Drop  trip.Place
	CustomerPhone string // as typed, "" without one; a known customer's makes the trip his
	Goods         string
	FareRupees    int
	Key, Hash     string // the client's idempotency key and the hash of the body; "" without one
}
