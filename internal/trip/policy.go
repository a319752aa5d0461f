package trip

import (
	"time"

	"weelo/internal/track"
)

// Policy holds the numbers of a trip. Its waits are dispatch waits, which TIME_SCALE divides; how near
// a truck has to be grows with it, because a truck that plays a trace goes that much farther between
// two fixes.
type Policy struct {
	AcceptWithin        time.Duration // how long a driver may think; the Captain app counts the same
	AcceptGrace         time.Duration // an accept that arrives this late, before the timer was decided, still counts
	SilentBeforeTransit time.Duration // without fix or step for this long: flagged for people
	SilentInTransit     time.Duration // the same with the goods on board
	HeardEvery          time.Duration // how often "heard from the driver" is worth a write

	RoadFactor   float64       // the way by road is the straight line times this
	ApproachingM float64       // the customer is told when the truck is as near to the pickup, metres by road
	ApproachKmh  float64       // how fast it is taken to come
	NearPickupM  float64       // at_pickup is refused farther away than this, metres by road; 0: never
	NearDropM    float64       // the same of arrived_at_drop and completed
	FixFresh     time.Duration // what an older fix says of where the truck is counts for nothing; not scaled

	PODCode    bool          // a delivery needs the code that its customer was given
	PODTries   int           // wrong codes before the driver has to wait
	PODLockFor time.Duration // how long he then waits

	Push bool // somebody sends push messages: they are written
}

// DefaultPolicy is the contract's (§1.6, §1.7, §2.4): 45 s to accept, 2 km to be approaching, 200 m from the pickup
// and 500 m from the drop, flagged after 6 h before transit and 12 h in it.
func DefaultPolicy() Policy {
	return Policy{
		AcceptWithin:        45 * time.Second,
		AcceptGrace:         2 * time.Second,
		SilentBeforeTransit: 6 * time.Hour,
		SilentInTransit:     12 * time.Hour,
		HeardEvery:          10 * time.Minute,
		RoadFactor:          1.3,
		ApproachingM:        2000,
		ApproachKmh:         30,
		NearPickupM:         200,
		NearDropM:           500,
		FixFresh:            track.StaleAfter,
		PODTries:            5,
		PODLockFor:          15 * time.Minute,
	}
}

// Scaled divides the waits by scale, and multiplies how far a truck may be from where it says it is; a
// scale below or equal to zero changes nothing.
func (p Policy) Scaled(scale float64) Policy {
	if scale <= 0 {
		return p
	}
	div := func(d time.Duration) time.Duration { return time.Duration(float64(d) / scale) }
	p.AcceptWithin, p.AcceptGrace = div(p.AcceptWithin), div(p.AcceptGrace)
	p.SilentBeforeTransit, p.SilentInTransit = div(p.SilentBeforeTransit), div(p.SilentInTransit)
	p.HeardEvery, p.PODLockFor = div(p.HeardEvery), div(p.PODLockFor)
	p.NearPickupM, p.NearDropM = p.NearPickupM*scale, p.NearDropM*scale
	return p
}

// silence is how long a trip in status s may be silent before people are told.
func (p Policy) silence(s Status) time.Duration {
	if s.Carrying() {
		return p.SilentInTransit
	}
	return p.SilentBeforeTransit
}
