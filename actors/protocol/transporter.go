package protocol

import (
	"context"

	"weelo/internal/fleet"
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
}

// TransporterAttached: a socket of the transporter opened on this task. No answer.
type TransporterAttached struct{}

// TransporterDetached: a socket closed. No answer.
type TransporterDetached struct{}

// TransporterBeat is a sign of life. It renews presence and never creates it. No answer.
type TransporterBeat struct{}

// TransporterAvailable sets the intent, after the row was written. The answer is Done.
type TransporterAvailable struct{ Available bool }

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
