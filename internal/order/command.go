package order

import (
	"weelo/internal/fleet"
	"weelo/internal/trip"
)

// Command asks something of an order. The set is closed. What a command needs from outside is in it:
// whoever sends it to Decide has read that before (Look, Needs), and Decide checks it again.
type Command interface{ command() }

// By names who asks, from the verified session, never from a payload.
type By = trip.By

// Found is what a look around the pickup gave: the matcher's table, best first. Those without Skipped
// are offered the order.
type Found struct {
	RadiusKM float64
	Table    []fleet.Candidate
}

// TimerFired: the named timer ran out. A number that is not the armed one is ErrStaleTimer. The
// timers open and wave need Found (Look tells); without it the wave finds nobody.
type TimerFired struct {
	Name   string
	Number int64
	Found  Found
}

// Offer: somebody came online, or got a vehicle free, while the order searches (Look with his id).
type Offer struct{ Found Found }

// PlaceHold: a transporter reserves trucks. The same again while it is active: replay.
type PlaceHold struct {
	By            By
	HoldID        string // new: HOLD_ and eight characters
	Type, Subtype string
	Quantity      int
}

// ExtendHold: a transporter needs more time.
type ExtendHold struct {
	By     By
	HoldID string
}

// ReleaseHold: a transporter gives his hold up. Repeated: replay.
type ReleaseHold struct {
	By     By
	HoldID string
}

// Confirm: a transporter names a vehicle and a driver for each held slot; each becomes a trip. A hold
// that was confirmed before: replay, with the trips of the first time.
type Confirm struct {
	By      By
	Name    string // the transporter's
	HoldID  string
	Picks   []Pick
	TripIDs []string // new bare UUIDs, one for each pick
	// Crew are the picks' vehicles and drivers as the fleet store has them, and Online those of the
	// drivers that are there.
	Crew   fleet.Crew
	Online map[fleet.UserID]bool
}

// Pick is one vehicle and its driver.
type Pick struct {
	VehicleID fleet.VehicleID
	DriverID  fleet.UserID
}

// DeclineOffer: a transporter does not want it. Repeated: replay.
type DeclineOffer struct {
	By     By
	Reason string // ≤ 500 characters
}

// TripNotice: a letter of one of the order's trips. One that the order cannot use is recorded.
type TripNotice struct {
	LetterID string
	Type     string // DriverAccepted, DriverDeclined, TripCancelled, TripStarted, TripEnded
	Notice   trip.OrderNotice
}

// Cancel: the customer (or ops) ends the order and all its live trips. Repeated: replay.
type Cancel struct {
	By     By
	Reason string // ≤ 500 characters
	Trips  []TripRow
}

// TripRow is one trip of the order as its row stands.
type TripRow struct {
	State   trip.State
	Version int64
	Epoch   int64
}

// RaiseDispute: the customer complains about an order that can no longer be cancelled. Repeated: replay.
type RaiseDispute struct {
	By         By
	DisputeID  string // a new bare UUID
	ReasonCode string // ≤ 64 characters
	Notes      string // ≤ 2000 characters
	Trips      []TripRow
}

// ResolveDispute: ops decide what becomes of the order's dispute, while the order lives or after its end. The
// same resolution again: replay.
type ResolveDispute struct {
	By         By
	DisputeID  string
	Resolution Resolution
	Reason     string // for ops, 1..500 characters
}

// SearchAgain: the customer lets the order search anew, from the first wave, for what it still lacks.
type SearchAgain struct {
	By    By
	Found Found
}

// ContinuePartial: the customer goes on with the trucks he has; the search ends. Repeated: replay.
type ContinuePartial struct{ By By }

func (TimerFired) command()      {}
func (Offer) command()           {}
func (PlaceHold) command()       {}
func (ExtendHold) command()      {}
func (ReleaseHold) command()     {}
func (Confirm) command()         {}
func (DeclineOffer) command()    {}
func (TripNotice) command()      {}
func (Cancel) command()          {}
func (RaiseDispute) command()    {}
func (ResolveDispute) command()  {}
func (SearchAgain) command()     {}
func (ContinuePartial) command() {}

// CommandName is the command's name for traces and logs: PlaceHold, Confirm, …
func CommandName(c Command) string {
	switch c.(type) {
	case TimerFired:
		return "TimerFired"
	case Offer:
		return "Offer"
	case PlaceHold:
		return "PlaceHold"
	case ExtendHold:
		return "ExtendHold"
	case ReleaseHold:
		return "ReleaseHold"
	case Confirm:
		return "Confirm"
	case DeclineOffer:
		return "DeclineOffer"
	case TripNotice:
		return "TripNotice"
	case Cancel:
		return "Cancel"
	case RaiseDispute:
		return "RaiseDispute"
	case ResolveDispute:
		return "ResolveDispute"
	case SearchAgain:
		return "SearchAgain"
	case ContinuePartial:
		return "ContinuePartial"
	default:
		return "Unknown"
	}
}
