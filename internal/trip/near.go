package trip

import (
	"math"
	"time"
	"unicode/utf8"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/track"
)

// comes tells whether the truck is on its way to the pickup.
func (s Status) comes() bool { return s == DriverAccepted || s == EnRoutePickup }

// near says that the truck is near the pickup, once per trip.
func (s State) near(c NoteFix, now time.Time, p Policy) (e Event, near bool) {
	if c.Place == nil || s.NearMS != 0 || !s.Status.comes() {
		return Event{}, false
	}
	way := geo.Distance(*c.Place, s.Pickup.Point()) * p.RoadFactor
	if way > p.ApproachingM {
		return Event{}, false
	}
	takes := time.Duration(way / (p.ApproachKmh / 3.6) * float64(time.Second))
	return Event{What: CameNear, AtMS: now.UnixMilli(), WayM: math.Round(way), Seconds: int64(takes / time.Second)}, true
}

// checkStep refuses a step that the truck's own position gives the lie to, and an end without what it
// needs.
func checkStep(s State, c ChangeStatus, now time.Time, p Policy) error {
	if place, limit := s.goal(c.To, p); p.tooFar(c.Fix, place, limit, now) {
		if c.To == AtPickup {
			return fault.Newf(fault.FailedPrecondition, "TOO_FAR_FROM_PICKUP", "You are more than %.0f m from the pickup.", limit)
		}
		return fault.Newf(fault.FailedPrecondition, "TOO_FAR_FROM_DROP", "You are more than %.0f m from the drop.", limit)
	}
	switch reason := utf8.RuneCountInString(c.Reason); {
	case reason > 500:
		return fault.Invalid("reason", "The reason may have at most 500 characters.")
	case c.To == PartialDelivery && reason == 0:
		return fault.Invalid("reason", "Say what could not be delivered.")
	}
	if s.Delivery == nil || !c.To.Terminal() {
		return nil
	}
	if wait := time.UnixMilli(s.Delivery.UntilMS).Sub(now); wait > 0 {
		return ErrCodeLocked.After(wait)
	}
	if c.Code == "" {
		return ErrCodeNeeded
	}
	return nil
}

// goal is where a step wants the truck, and how far away it may be at most, metres by road; 0: the step
// wants it nowhere.
func (s State) goal(to Status, p Policy) (place Place, limit float64) {
	switch to {
	case AtPickup:
		return s.Pickup, p.NearPickupM
	case ArrivedAtDrop, Completed:
		return s.Drop, p.NearDropM
	default:
		return Place{}, 0
	}
}

// AsksWhere tells whether it matters to a command where the truck is: ChangeStatus.Fix should then be
// the newest fix there is.
func (s State) AsksWhere(c ChangeStatus, p Policy) bool {
	_, limit := s.goal(c.To, p)
	return limit > 0 && s.drivenBy(c.By) && s.Status.CanBecome(c.To)
}

// tooFar tells whether a fix is proof that the truck is somewhere else. Nothing is proven by no fix, by
// an old one, or by one that the phone says is made up.
func (p Policy) tooFar(fix *track.Fix, from Place, limit float64, now time.Time) bool {
	if fix == nil || limit == 0 || fix.Mock || now.UnixMilli()-min(fix.TS, fix.ReceivedMS) > p.FixFresh.Milliseconds() {
		return false
	}
	return geo.Distance(geo.Point{Lat: fix.Lat, Lng: fix.Lng}, from.Point())*p.RoadFactor > limit
}

// wrongCode counts a wrong code. It is written down, so that nobody can try them all; the answer is
// State.RefusedCode.
func wrongCode(s State, now time.Time, p Policy) (Decision, error) {
	e := Event{What: CodeRefused, AtMS: now.UnixMilli(), By: string(fleet.Driver)}
	if s.Delivery.Tries+1 >= p.PODTries {
		e.UntilMS = now.Add(p.PODLockFor).UnixMilli()
	}
	return decided(s, now, e)
}

// RefusedCode is the refusal of a step that was decided without an error and yet was not reached,
// because the delivery code was wrong. Nil: it was reached, as far as the state can tell.
func (s State) RefusedCode(to Status) error {
	if to.Terminal() && s.Live && s.Delivery != nil {
		return ErrCodeWrong
	}
	return nil
}

// breakDown ends a trip whose vehicle cannot go on.
func breakDown(s State, c BreakDown, now time.Time) (Decision, error) {
	if (c.By.Role != fleet.Driver && c.By.Role != fleet.Transporter) || !s.Concerns(c.By) {
		return Decision{}, ErrNotFound
	}
	switch {
	case s.Status == Cancelled && s.Reason == BrokenDown:
		return replay(s, now), nil
	case s.Status == Completed || s.Status == PartialDelivery:
		return Decision{}, ErrCompleted
	case !s.Status.Moving():
		return Decision{}, ErrNotActive
	case utf8.RuneCountInString(c.Note) > 500:
		return Decision{}, fault.Invalid("note", "The note may have at most 500 characters.")
	}
	return decided(s, now, Event{
		What: BrokeDown, AtMS: now.UnixMilli(), To: Cancelled, By: string(c.By.Role), Reason: BrokenDown, Note: c.Note,
		Timers: s.cancelAll(),
	})
}
