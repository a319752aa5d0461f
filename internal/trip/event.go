package trip

import "weelo/internal/track"

// Happening names what an Event says.
type Happening string

// What can happen to a trip.
const (
	Assigned     Happening = "assigned"     // born
	Accepted     Happening = "accepted"     // by the driver
	Declined     Happening = "declined"     // by the driver
	TimedOut     Happening = "timed_out"    // the accept timer ran out
	StepReached  Happening = "step_reached" // the driver reported a step, the last one included
	WasCancelled Happening = "cancelled"
	BrokeDown    Happening = "broke_down"   // and the trip has ended, as a cancelled one
	CameNear     Happening = "approaching"  // the truck is near the pickup for the first time
	CodeRefused  Happening = "code_refused" // the driver gave a wrong code for the delivery
	Heard        Happening = "heard"        // a sign of the driver worth writing down
	WentSilent   Happening = "silent"       // handed to people
	TrackFolded  Happening = "track"
)

// Event is one thing that happened to a trip. Which fields count follows from What.
type Event struct {
	What    Happening    `json:"what"`
	AtMS    int64        `json:"at"`
	Birth   *State       `json:"birth,omitempty"` // Assigned
	To      Status       `json:"to,omitempty"`    // every change of status
	By      string       `json:"by,omitempty"`    // driver, customer, transporter, ops, timer, order
	Reason  string       `json:"reason,omitempty"`
	Rupees  int          `json:"rupees,omitempty"`  // WasCancelled: the driver's compensation
	Note    string       `json:"note,omitempty"`    // BrokeDown: what the driver or the transporter says of it
	HeardMS int64        `json:"heardAt,omitempty"` // Heard, WentSilent: the last sign of the driver
	Track   *track.Track `json:"track,omitempty"`   // TrackFolded
	WayM    float64      `json:"wayM,omitempty"`    // CameNear: metres by road to the pickup
	Seconds int64        `json:"seconds,omitempty"` // CameNear: and how long that takes
	Code    string       `json:"code,omitempty"`    // StepReached: the code that a delivery needs from now on
	UntilMS int64        `json:"until,omitempty"`   // CodeRefused: no further try before this
	Timers  []TimerSet   `json:"timers,omitempty"`  // what it arms and cancels
}

// TimerSet arms a timer under a new number, or cancels it with DueMS 0.
type TimerSet struct {
	Name   string `json:"name"`
	Number int64  `json:"number"`
	DueMS  int64  `json:"due"`
}

// The timers of a trip.
const (
	AcceptTimer  = "accept"
	SilenceTimer = "silence"
)
