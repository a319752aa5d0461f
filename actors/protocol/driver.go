package protocol

import (
	"context"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/track"
)

// Drivers is how transports reach drivers. The implementation is actors.Drivers.
type Drivers interface {
	// Attach connects one socket of a driver and starts his actor. Call Detach when it closes.
	Attach(ctx context.Context, driver, transporter fleet.UserID) (DriverLink, error)
	// Report is one fix of a driver without a socket of his here (REST, the newest of a batch). It
	// does not block; whatever is not newer than what is known is dropped.
	Report(driver fleet.UserID, fix track.Fix)
	// Beat is a sign of life without a socket.
	Beat(driver fleet.UserID)
	// SetAvailable follows a change of the driver's stored intent. Going offline wins over every beat
	// that is still on its way.
	SetAvailable(ctx context.Context, driver fleet.UserID, available bool) error
	// Get is a driver as his actor knows him.
	Get(ctx context.Context, driver fleet.UserID) (*Driver, error)
}

// DriverLink is one socket's hold on a driver. Its methods do not block and may be called from one
// goroutine each.
type DriverLink interface {
	// Report hands over a validated fix; ReceivedMS is set by the link when it is 0. Latest wins: of
	// fixes that arrive while the actor is busy only the newest is kept.
	Report(fix track.Fix)
	// Beat is a sign of life: a heartbeat, or an answered ping.
	Beat()
	// Detach says that the socket is closed.
	Detach()
}

// Driver is what is known live about a driver.
type Driver struct {
	ID          fleet.UserID
	Transporter fleet.UserID
	Available   bool // his intent
	Online      bool // intent and signs of life
	Sockets     int
	SinceMS     int64      // when he came online; 0 when he is not
	SeenMS      int64      // the last sign of life or fix
	Live        *track.Fix // the last believed position, nil when none
	Trip        *LiveTrip  // the trip he is on, nil when none
}

// LiveTrip is what the driver's actor needs to know of the trip he is on: whom his positions
// concern. It is rebuilt from the trip rows and kept current by TripAssigned and TripLeft.
type LiveTrip struct {
	TripID        string
	Driver        fleet.UserID // another driver's actor does not hear of it
	OrderID       string
	Transporter   fleet.UserID
	Customer      fleet.UserID
	DriverName    string
	VehicleNumber string
	Moving        bool // accepted: positions are shown to watchers
}

// SocketAttached and SocketDetached: a socket of the driver opened or closed on this task. From
// Drivers; no answer. Driver and Transporter are those of the session; what is not the actor's own driver
// is not heard.
type SocketAttached struct{ Driver, Transporter fleet.UserID }

// SocketDetached is the counterpart of SocketAttached.
type SocketDetached struct{ Driver fleet.UserID }

// DriverBeat is a sign of life. From Drivers; no answer. It renews presence and never creates it.
type DriverBeat struct{}

// DriverAvailable sets the intent. From Drivers after the row was written; the answer is Done, and FORBIDDEN
// by another driver's actor.
type DriverAvailable struct {
	Driver    fleet.UserID
	Available bool
}

// GetDriver asks for *Driver. From Drivers, from orders and from trips.
type GetDriver struct{}

// TripTaken tells the driver's actor which trip it is on now, or that its state changed. From the
// trip's actor after each commit; no answer. A late copy is corrected by Version.
type TripTaken struct {
	Trip    LiveTrip
	Version int64
}

// TripLeft tells the driver's actor that the trip has ended. From the trip's actor; no answer. About
// another trip than the present one it is ignored.
type TripLeft struct{ TripID string }

// Times after which people are told that a driver's position is not renewed.
const (
	// StaleAfter: a position older than this is shown as stale, and the transporter is told.
	StaleAfter = track.StaleAfter
	// OfflineAfter: the customer of a live trip is told.
	OfflineAfter = 120 * time.Second
)

// DriverStatusData is the data of a soft driver_status event, the fields of the apps'
// driver_status_changed. Times are Unix ms.
type DriverStatusData struct {
	DriverID   fleet.UserID `json:"driverId"`
	DriverName string       `json:"driverName"`
	IsOnline   bool         `json:"isOnline"`
	Action     string       `json:"action"` // online, offline, reconnected
	Timestamp  int64        `json:"timestamp"`
}

// ConnectivityData is the data of a soft driver_connectivity event: the apps' driver_may_be_offline
// (to the transporter) and driver_connectivity_issue (to the customer).
type ConnectivityData struct {
	Kind            string       `json:"kind"` // driver_may_be_offline, driver_connectivity_issue
	TripID          string       `json:"tripId"`
	AssignmentID    string       `json:"assignmentId"`
	DriverID        fleet.UserID `json:"driverId"`
	DriverName      string       `json:"driverName"`
	VehicleNumber   string       `json:"vehicleNumber"`
	LastSeenSeconds int64        `json:"lastSeenSeconds"`
	LastLatitude    float64      `json:"lastLatitude,omitempty"`
	LastLongitude   float64      `json:"lastLongitude,omitempty"`
	Message         string       `json:"message"`
	Timestamp       int64        `json:"timestamp"`
}
