package trip

import "time"

// Policy holds the waits of a trip. All are dispatch waits: TIME_SCALE divides them.
type Policy struct {
	AcceptWithin        time.Duration // how long a driver may think; the Captain app counts the same
	AcceptGrace         time.Duration // an accept that arrives this late, before the timer was decided, still counts
	SilentBeforeTransit time.Duration // without fix or step for this long: flagged for people
	SilentInTransit     time.Duration // the same with the goods on board
	HeardEvery          time.Duration // how often "heard from the driver" is worth a write
}

// DefaultPolicy is the contract's: 45 s to accept, flagged after 6 h before transit and 12 h in it.
func DefaultPolicy() Policy {
	return Policy{
		AcceptWithin:        45 * time.Second,
		AcceptGrace:         2 * time.Second,
		SilentBeforeTransit: 6 * time.Hour,
		SilentInTransit:     12 * time.Hour,
		HeardEvery:          10 * time.Minute,
	}
}

// Scaled divides every wait by scale; a scale below or equal to zero changes nothing.
func (p Policy) Scaled(scale float64) Policy {
	if scale <= 0 {
		return p
	}
	div := func(d time.Duration) time.Duration { return time.Duration(float64(d) / scale) }
	return Policy{
		AcceptWithin:        div(p.AcceptWithin),
		AcceptGrace:         div(p.AcceptGrace),
		SilentBeforeTransit: div(p.SilentBeforeTransit),
		SilentInTransit:     div(p.SilentInTransit),
		HeardEvery:          div(p.HeardEvery),
	}
}

// silence is how long a trip in status s may be silent before people are told.
func (p Policy) silence(s Status) time.Duration {
	if s.Carrying() {
		return p.SilentInTransit
	}
	return p.SilentBeforeTransit
}
