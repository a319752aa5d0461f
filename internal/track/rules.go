package track

import (
	"time"

	"weelo/internal/geo"
)

// Rules are the thresholds by which fixes are believed. TIME_SCALE plays drives faster than life, so
// it multiplies speeds and divides the length of a stop.
type Rules struct {
	JumpMPS   float64       // faster than this between two fixes is a jump
	CoarseM   float64       // a fix with a worse accuracy says where the truck may be, not where it is
	StepM     float64       // the odometer's smallest step; below it a movement may be jitter
	StopM     float64       // a stop is a stand within this radius …
	StopAfter time.Duration // … of at least this long
}

// DefaultRules: 250 km/h is a jump, worse than 100 m is coarse, the odometer steps by 25 m, and a
// stop is five minutes within 100 m.
func DefaultRules() Rules {
	return Rules{JumpMPS: 250 / 3.6, CoarseM: 100, StepM: 25, StopM: 100, StopAfter: 5 * time.Minute}
}

// Scaled is the rules for drives played scale times faster; a scale ≤ 0 changes nothing.
func (r Rules) Scaled(scale float64) Rules {
	if scale <= 0 {
		return r
	}
	r.JumpMPS *= scale
	r.StopAfter = time.Duration(float64(r.StopAfter) / scale)
	return r
}

// possible tells whether a truck can have got from a to b. Each fix may be off by its accuracy, so
// jitter between two quick fixes is not a jump.
func (r Rules) possible(a, b Fix) bool {
	dt := float64(b.TS-a.TS) / 1000
	if dt < 0 {
		dt = -dt
	}
	return geo.Distance(a.Point(), b.Point()) <= r.JumpMPS*dt+a.Accuracy+b.Accuracy+r.StepM
}

// reanchorAfter is how many consistent fixes in a new place make it the believed one.
const reanchorAfter = 3

// gate believes fixes that come in order of time. A jump is quarantined; when three in a row agree
// with each other, they are right and the old place was wrong. The zero gate believes the first fix.
type gate struct {
	Anchor  Fix `json:"anchor,omitzero"`  // the last believed one; TS 0: none
	Suspect Fix `json:"suspect,omitzero"` // the last quarantined one
	Agree   int `json:"agree,omitzero"`   // how many quarantined ones in a row agree
}

type passage int

const (
	passed passage = iota
	late           // not newer than what is believed or quarantined
	jumped
	reanchored // believed, but the way from the old place is not a way
)

func (g gate) pass(f Fix, r Rules) (gate, passage) {
	switch {
	case g.Anchor.TS == 0:
		return gate{Anchor: f}, passed
	case f.TS <= g.Anchor.TS:
		return g, late
	case r.possible(g.Anchor, f):
		return gate{Anchor: f}, passed
	case g.Agree > 0 && f.TS <= g.Suspect.TS:
		return g, late
	case g.Agree > 0 && r.possible(g.Suspect, f):
		g.Agree++
	default:
		g.Agree = 1
	}
	if g.Agree >= reanchorAfter {
		return gate{Anchor: f}, reanchored
	}
	g.Suspect = f
	return g, jumped
}
