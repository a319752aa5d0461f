package protocol

import (
	"weelo/internal/fleet"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// TripCommand asks a trip to do something: accept, decline, change status, cancel. From transports;
// the answer is *TripReply after the commit, or a refusal of internal/trip. A second copy is
// answered like the first: by its key where the client sent one, otherwise by the state it asks for.
type TripCommand struct {
	Do trip.Command
	// Key is the client's idempotency key, "" without one; Hash is of the request, "" for one made
	// from trip and command. The same key with another hash is refused with IDEMPOTENCY_KEY_REUSED.
	Key  string
	Hash string
}

// CommandID is the client's key, when there is one.
func (c *TripCommand) CommandID() string { return c.Key }

// MessageName names the command inside, for traces.
func (c *TripCommand) MessageName() string { return trip.CommandName(c.Do) }

// GetTrip asks for the last committed state. The zero By is the server itself; others must be on
// the trip or ops, or the answer is ASSIGNMENT_NOT_FOUND. The answer is *TripReply.
type GetTrip struct {
	By trip.By
}

// TripReply is a trip as last committed.
type TripReply struct {
	State    trip.State
	Version  int64
	Replayed bool       // the command had been done before
	Live     *track.Fix // the newest position the trip heard of, nil when none; up to 30 s old
}

// DriverMoved is a sampled position of the trip's driver, at most one in 30 s. From the driver's
// actor; no answer. It keeps the silence timer away and is never added up: the odometer is read from
// history. A position of somebody else than the trip's driver is not heard.
type DriverMoved struct {
	Driver fleet.UserID
	Fix    track.Fix
}

// FixesRecorded says that fixes of the trip are in history now, the oldest taken at OldestMS. From
// whoever recorded them, after the commit; no answer. The trip folds its track anew, at most once in
// 30 s; a late or lost copy only delays the odometer.
type FixesRecorded struct {
	OldestMS int64
}
