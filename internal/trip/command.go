package trip

import (
	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/track"
)

// Command asks something of a trip. The set is closed.
type Command interface{ command() }

// By names who asks, from the verified session, never from a payload.
type By struct {
	User  fleet.UserID
	Role  fleet.Role
	Fleet fleet.UserID // of a driver: the transporter for whom his session drives
}

// Accept: the driver takes the trip. Repeated: replay.
type Accept struct{ By By }

// Decline: the driver refuses a pending trip. Repeated: replay.
type Decline struct {
	By     By
	Reason string // ≤ 500 characters, for people
}

// ChangeStatus: the driver reports a step. The same status again: replay.
type ChangeStatus struct {
	By     By
	To     Status
	Reason string // of a partial delivery, which needs one; ≤ 500 characters, for people
	Code   string // of a delivery, when the trip has one
	// Fix is the newest believed fix of the truck, nil when there is none, and NewCode four random digits.
	// They are filled in by the trip's actor, whatever was in them.
	Fix     *track.Fix `json:"-"`
	NewCode string     `json:"-"`
}

// BreakDown: the driver or the transporter says that the vehicle cannot go on. It ends the trip, and its
// slot is searched for again. Repeated: replay.
type BreakDown struct {
	By   By
	Note string // ≤ 500 characters, for people
}

// Cancel ends a live trip. Repeated: replay. The zero By is the order's own decision.
type Cancel struct {
	By     By
	Reason string
	// CompensationRupees is what the driver gets for the way he has made, by the order's policy.
	CompensationRupees int
}

// TimerFired: the named timer ran out. A number that is not the armed one is ignored.
type TimerFired struct {
	Name   string
	Number int64
	// HeardMS is the newest fix the actor knows of, which may not be written yet; 0: none.
	HeardMS int64
}

// NoteFix: a fix of the driver arrived. It becomes a write at most once per Policy.HeardEvery, and
// at once when the trip was flagged as silent, or when it is the first one near the pickup.
type NoteFix struct {
	AtMS  int64
	Place *geo.Point // where he is; nil: it does not matter
}

// AddTrack: the fold of the trip's fixes, newly computed. Equal to the present one: nothing happens.
type AddTrack struct{ Track track.Track }

func (Accept) command()       {}
func (Decline) command()      {}
func (ChangeStatus) command() {}
func (BreakDown) command()    {}
func (Cancel) command()       {}
func (TimerFired) command()   {}
func (NoteFix) command()      {}
func (AddTrack) command()     {}

// CommandName is the command's name for traces and logs: Accept, Decline, …
func CommandName(c Command) string {
	switch c.(type) {
	case Accept:
		return "Accept"
	case Decline:
		return "Decline"
	case ChangeStatus:
		return "ChangeStatus"
	case BreakDown:
		return "BreakDown"
	case Cancel:
		return "Cancel"
	case TimerFired:
		return "TimerFired"
	case NoteFix:
		return "NoteFix"
	case AddTrack:
		return "AddTrack"
	default:
		return "Unknown"
	}
}
