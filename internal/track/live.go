package track

import "time"

// Verdict says what a well-formed fix does to a driver's live position.
type Verdict int

// The verdicts. Only Moved moves; all are stored.
const (
	Moved  Verdict = iota
	Late           // not newer than what is shown: a duplicate or an overtaken one
	Jump           // more than 250 km/h away: quarantined until three agree
	Old            // older than 60 s: history only
	Mock           // the phone says it is simulated
	Coarse         // worse than 100 m while a better position is fresh
)

// String names the verdict for metrics and tests.
func (v Verdict) String() string {
	return [...]string{"moved", "late", "jump", "old", "mock", "coarse"}[v]
}

// Live is what decides a driver's live position: the last believed fix and any in quarantine. It is
// a small value; the zero Live believes the first fix it sees.
type Live struct{ gate gate }

// Judge says what the fix does and what the position is after it. It is called in order of arrival;
// the position never goes back in time.
func (l Live) Judge(f Fix, now time.Time, r Rules) (Live, Verdict) {
	switch {
	case f.Mock:
		return l, Mock
	case f.Stale(now):
		return l, Old
	case l.gate.Anchor.TS != 0 && f.TS <= l.gate.Anchor.TS:
		return l, Late
	case f.Accuracy > r.CoarseM && l.gate.Anchor.TS != 0 && !l.gate.Anchor.Stale(now):
		return l, Coarse
	}
	g, p := l.gate.pass(f, r)
	switch p {
	case late:
		return l, Late
	case jumped:
		return Live{g}, Jump
	default:
		return Live{g}, Moved
	}
}

// Follow judges fixes that are sorted by time as if each had arrived when it was taken: what the position
// is for somebody who reads them from history and was not there when they came.
func (l Live) Follow(fixes []Fix, r Rules) Live {
	for _, f := range fixes {
		l, _ = l.Judge(f, time.UnixMilli(f.TS), r)
	}
	return l
}

// Position is the last believed fix; ok is false when there is none.
func (l Live) Position() (f Fix, ok bool) { return l.gate.Anchor, l.gate.Anchor.TS != 0 }

// Resume is the Live of a driver whose last position is known from a store.
func Resume(last Fix) Live { return Live{gate{Anchor: last}} }
