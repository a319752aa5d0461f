package protocol

import (
	"context"

	"weelo/internal/fleet"
	"weelo/internal/track"
)

// Transporters is how transports reach transporters. The implementation is actors.Transporters.
type Transporters interface {
	// Attach connects one socket of a transporter. The returned function says that it closed; call
	// it once.
	Attach(ctx context.Context, transporter fleet.UserID) (detach func(), err error)
	// Beat is a sign of life (the app's heartbeat, an answered ping). It does not block.
	Beat(transporter fleet.UserID)
	// SetAvailable follows a change of the stored intent.
	SetAvailable(ctx context.Context, transporter fleet.UserID, available bool) error
	// Get is a transporter as his actor knows him.
	Get(ctx context.Context, transporter fleet.UserID) (*Transporter, error)
}

// Owners is how REST reaches transporters: their app reports over HTTP. The implementation is
// actors.Transporters.
type Owners interface {
	Transporters
	// Report is the app's heartbeat: a sign of life with a position. It places who is online where
	// orders look for him, and gives him as he is then; whoever went offline stays so.
	Report(ctx context.Context, transporter fleet.UserID, fix track.Fix) (*Transporter, error)
	// FleetChanged says that vehicles of his were registered, changed, deleted or came free. It does not block.
	FleetChanged(transporter fleet.UserID)
}

// Transporter is what is known live about a transporter.
type Transporter struct {
	ID        fleet.UserID
	Available bool // his intent
	Online    bool // intent and signs of life
	Sockets   int
	SinceMS   int64 // when he came online; 0 when he is not
	SeenMS    int64 // the last sign of life
	// DriversOnline are the drivers of his fleet that reported online, as far as this actor heard.
	DriversOnline int
	// Fleet is what his vehicles are, as far as this actor knows; false in FleetKnown: not read yet.
	Fleet      TransporterFleet
	FleetKnown bool
}

// TransporterFleet is what a heartbeat says about the vehicles of a transporter.
type TransporterFleet struct {
	Vehicles int             // how many he has, whatever their status
	Keys     []string        // kinds of those that could drive, sorted
	First    fleet.VehicleID // the first of those by number; empty: none could drive
	FirstKey string
}

// TransporterAttached: a socket of the transporter opened on this task. No answer.
type TransporterAttached struct{}

// TransporterDetached: a socket closed. No answer.
type TransporterDetached struct{}

// TransporterBeat is a sign of life. It renews presence and never creates it. No answer.
type TransporterBeat struct{}

// TransporterReport is a sign of life with a position. The answer is *Transporter, and FORBIDDEN by another
// transporter's actor.
type TransporterReport struct {
	By  fleet.UserID
	Fix track.Fix
}

// FleetChanged: his vehicles are not what they were. No answer.
type FleetChanged struct{}

// TransporterAvailable sets the intent, after the row was written. The answer is Done, and FORBIDDEN by
// another transporter's actor.
type TransporterAvailable struct {
	By        fleet.UserID
	Available bool
}

// GetTransporter asks for *Transporter.
type GetTransporter struct{}

// FleetDriver tells the transporter's actor that a driver of his came online or went offline. From
// the driver's actor; no answer. The latest word about a driver counts.
type FleetDriver struct {
	Driver fleet.UserID
	Name   string
	Online bool
	Action string // online, offline, reconnected
	AtMS   int64
}
