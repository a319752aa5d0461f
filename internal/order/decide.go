package order

import (
	"fmt"
	"time"

	"weelo/internal/trip"
)

// Decision is what a command leads to. It changes nothing until it is committed.
type Decision struct {
	Events []Event // empty: nothing to write, the answer stands as it is
	State  State   // the state after Events
	// Replayed: the order already was where the command wanted it.
	Replayed bool
	HoldID   string // the hold that PlaceHold, ExtendHold, ReleaseHold or Confirm was about

	Births    []trip.Decision // of a confirmation, by its picks
	Cancels   []TripStep      // of a cancellation: live trips it ends
	Contended bool            // the step may hit the index of searching orders

	before State
	at     time.Time
	push   bool // Policy.Push
	texts  bool // Policy.Texts
}

// TripStep is a decision about a trip that somebody else owns, and the row it was made on.
type TripStep struct {
	Decision trip.Decision
	Version  int64
	Epoch    int64
}

// Ended tells whether the decision takes the order into a terminal status.
func (d Decision) Ended() bool { return len(d.Events) > 0 && d.before.Live && !d.State.Live }

// Decide says what a command does to an order, or refuses with a *fault.Error. A timer with another
// number than the armed one is ErrStaleTimer.
func Decide(s State, c Command, now time.Time, p Policy) (Decision, error) {
	b := begin(s, now, p)
	switch c := c.(type) {
	case TimerFired:
		return b.timerFired(c)
	case Offer:
		return b.offer(c)
	case PlaceHold:
		return b.placeHold(c)
	case ExtendHold:
		return b.extendHold(c)
	case ReleaseHold:
		return b.releaseHold(c)
	case Confirm:
		return b.confirm(c)
	case DeclineOffer:
		return b.declineOffer(c)
	case TripNotice:
		return b.tripNotice(c)
	case Cancel:
		return b.cancel(c)
	case RaiseDispute:
		return b.raiseDispute(c)
	case ResolveDispute:
		return b.resolveDispute(c)
	case SearchAgain:
		return b.searchAgain(c)
	case ContinuePartial:
		return b.continuePartial(c)
	default:
		return Decision{}, fmt.Errorf("order: unknown command %T", c)
	}
}
