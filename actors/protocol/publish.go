// Package protocol holds the messages that actors receive and the small ports through which they
// reach people. It is a leaf: transports and actors both import it, it imports only the domain.
//
// Invariant: a message is immutable once sent; everybody may keep a pointer to it.
package protocol

import (
	"encoding/json"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/track"
)

// Position is the newest live position of a trip, published once with everybody it concerns.
type Position struct {
	TripID      string
	OrderID     string // "" for a trip without an order
	Driver      fleet.UserID
	Transporter fleet.UserID
	Customer    fleet.UserID // "" when the trip has no known customer
	Fix         track.Fix    // ReceivedMS is set
}

// Delivery is one committed event with the numbers it got. The hub sends events to a recipient
// strictly in number order and fills gaps from the inbox.
type Delivery struct {
	Event   ledger.Event
	Numbers map[string]int64 // recipient → seq
}

// TripEnded tells the hub that all watchers of a trip must be let go.
type TripEnded struct {
	TripID string
	Reason string // WatchEnded or WatchReassigned
}

// Why a watch ends without its watcher having asked.
const (
	WatchEnded      = "ended"      // the trip is over
	WatchForbidden  = "forbidden"  // the trip goes on, and its newest state is not his to see
	WatchReassigned = "reassigned" // the trip came to nothing, and another truck is looked for
)

// OfferFrame is the state of an offer for its transporter: what he sees of an order, or that he sees
// it no more. It is state, not an event: it has no number, the newest version counts, and whoever
// comes back is shown his open offers from the rows.
type OfferFrame struct {
	Transporter fleet.UserID
	ID          string
	Version     int64
	Open        bool
	Expires     time.Time       // of an open one
	Data        json.RawMessage // a JSON object
}

// Publisher is how actors reach people on this and other tasks. No method blocks and none fails:
// positions are lossy by contract, events are in the inbox.
type Publisher interface {
	Position(p Position)
	Deliver(ds []Delivery)
	// Offers shows open offers and takes closed ones away. The rows are committed.
	Offers(fs []OfferFrame)
	TripChanged(v TripView)
	TripEnded(e TripEnded)
	// Notify sends a soft, unnumbered event to a user's sockets (connectivity, presence).
	Notify(user fleet.UserID, event string, data any)
	// Disconnect closes every socket of a session (revocation) or, with an empty session, of the user.
	Disconnect(user fleet.UserID, sessionID string, closeCode int, reason string)
}

// TripView is what a watcher sees of a trip: the `trip` frame.
type TripView struct {
	TripID      string
	OrderID     string
	Version     int64
	Status      string
	Customer    fleet.UserID
	Transporter fleet.UserID
	Driver      Person
	Vehicle     VehicleView
	Pickup      Place
	Drop        Place
	Live        *track.Fix // last live position, nil when none
	EndedMS     int64      // 0 while live
}

// Person is the part of a user that others on the trip may see.
type Person struct {
	ID    fleet.UserID
	Name  string
	Phone string // masked for everybody but the fleet
}

// VehicleView is the part of a vehicle that others on the trip may see.
type VehicleView struct {
	ID      fleet.VehicleID
	Number  string
	Type    string
	Subtype string
}

// Place is an address with its position, in degrees.
type Place struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Address   string  `json:"address"`
	City      string  `json:"city,omitempty"`
	State     string  `json:"state,omitempty"`
}

// OrderView is an order as ops see it on a map. Its JSON is the data of the soft event order_view.
type OrderView struct {
	OrderID  string  `json:"orderId"`
	Status   string  `json:"status"`
	Dispatch string  `json:"dispatchState"`
	Wave     int     `json:"wave"`     // 0: not opened yet
	RadiusKM float64 `json:"radiusKm"` // of the wave; 0: nobody is looked for
	Pickup   Place   `json:"pickup"`
	Drop     Place   `json:"drop"`
	Trucks   int     `json:"trucks"`
	Held     int     `json:"held"`
	Assigned int     `json:"assigned"` // confirmed; the driver has not answered
	Filled   int     `json:"filled"`   // accepted, or further
	Notified int     `json:"notified"`
	Version  int64   `json:"orderLifecycleVersion"`
	EndedMS  int64   `json:"endedMs"` // 0 while live
}
