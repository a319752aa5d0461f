package track

import (
	"slices"
	"time"

	"weelo/internal/geo"
)

// Settle is how long after its time a fix is expected at the latest. Fixes older than the newest by
// this much are folded in for good; one that comes later still makes the track be folded anew.
const Settle = 15 * time.Minute

// maxStops bounds a track; a trip of days has a few dozen stops.
const maxStops = 500

// Stop is a stand of the truck. DepartedMS 0: it has not been seen to leave.
type Stop struct {
	Lat        float64 `json:"lat"`
	Lng        float64 `json:"lng"`
	ArrivedMS  int64   `json:"arrivedAt"`
	DepartedMS int64   `json:"departedAt,omitempty"`
}

// Fold is the odometer and the stops of fixes added in order of time. It is a plain value that can
// be stored and gone on from: folding the rest onto a stored Fold gives what folding everything
// gives. The zero Fold has seen nothing.
type Fold struct {
	UpToMS int64   `json:"upTo,omitzero"` // the newest fix seen; 0: none
	Meters float64 `json:"meters,omitzero"`
	Stops  []Stop  `json:"stops,omitempty"`
	Gate   gate    `json:"gate,omitzero"`
	Step   Fix     `json:"step,omitzero"` // where the odometer last stepped to; TS 0: nowhere yet
	Stand  stand   `json:"stand,omitzero"`
}

// stand is the place the truck has not left for a while.
type stand struct {
	Center  Fix     `json:"center,omitzero"` // the first fix there; TS 0: none
	LastMS  int64   `json:"last"`            // the last fix there
	SumLat  float64 `json:"sumLat"`          // of offsets from Center, so that the mean keeps its precision
	SumLng  float64 `json:"sumLng"`
	Count   int     `json:"count"`
	Counted bool    `json:"counted,omitzero"` // it is the last of Stops
}

// Add folds in one fix. Fixes not newer than the last are ignored, so a set must be sorted (Sort).
// Mock and coarse fixes and quarantined jumps measure nothing.
func (d Fold) Add(f Fix, r Rules) Fold {
	if f.TS <= d.UpToMS {
		return d
	}
	d.UpToMS = f.TS
	if f.Mock || f.Accuracy > r.CoarseM {
		return d
	}
	f = Fix{TS: f.TS, Lat: f.Lat, Lng: f.Lng, Accuracy: f.Accuracy} // how it arrived must not show
	var p passage
	d.Gate, p = d.Gate.pass(f, r)
	switch p {
	case passed:
		d.step(f, r)
	case reanchored: // nobody drove from the old place to the new one
		d.Step = f
	default:
		return d
	}
	d.stay(f, r)
	return d
}

// step adds the way to f when it is longer than what jitter can look like. The old place stays the
// reference until then: a standing receiver wanders around it and never adds up.
func (d *Fold) step(f Fix, r Rules) {
	if d.Step.TS == 0 {
		d.Step = f
		return
	}
	way := geo.Distance(d.Step.Point(), f.Point())
	if way < max(r.StepM, d.Step.Accuracy, f.Accuracy) {
		return
	}
	d.Meters += way
	d.Step = f
}

func (d *Fold) stay(f Fix, r Rules) {
	s := &d.Stand
	if s.Center.TS == 0 || geo.Distance(s.Center.Point(), f.Point()) > r.StopM {
		if s.Counted {
			d.Stops = slices.Clone(d.Stops) // a stored Fold may share them
			d.Stops[len(d.Stops)-1].DepartedMS = s.LastMS
		}
		d.Stand = stand{Center: f, LastMS: f.TS, Count: 1}
		return
	}
	s.LastMS, s.Count = f.TS, s.Count+1
	s.SumLat, s.SumLng = s.SumLat+f.Lat-s.Center.Lat, s.SumLng+f.Lng-s.Center.Lng
	if f.TS-s.Center.TS < r.StopAfter.Milliseconds() || (!s.Counted && len(d.Stops) == maxStops) {
		return
	}
	stop := Stop{Lat: s.Center.Lat + s.SumLat/float64(s.Count), Lng: s.Center.Lng + s.SumLng/float64(s.Count), ArrivedMS: s.Center.TS}
	d.Stops = slices.Clone(d.Stops)
	if s.Counted {
		d.Stops[len(d.Stops)-1] = stop
		return
	}
	d.Stops, s.Counted = append(d.Stops, stop), true
}

// Equal tells whether two folds measured the same up to the same fix.
func (d Fold) Equal(o Fold) bool {
	return d.UpToMS == o.UpToMS && d.Meters == o.Meters && slices.Equal(d.Stops, o.Stops)
}

// OdometerM is the way driven, whole metres.
func (d Fold) OdometerM() int64 { return int64(d.Meters + 0.5) }

// Track is the fold of a trip kept in two parts: Base up to the watermark, which only a late fix can
// change, and Whole, which is what people are shown.
type Track struct {
	Base  Fold `json:"base,omitzero"`
	Whole Fold `json:"whole,omitzero"`
}

// Equal tells whether two tracks say the same and are folded equally far.
func (t Track) Equal(o Track) bool { return t.Base.Equal(o.Base) && t.Whole.Equal(o.Whole) }

// WatermarkMS is up to where fixes are folded in for good. History is read above it.
func (t Track) WatermarkMS() int64 { return t.Base.UpToMS }

// Extend folds the fixes above the watermark (all of them, in any order, repeated or not) onto Base
// and moves the watermark to 15 min before the newest. Extending the zero Track with everything is
// the full fold; both ways give the same.
func (t Track) Extend(fixes []Fix, r Rules) Track { return t.ExtendTo(fixes, r, Settle) }

// ExtendTo is Extend with a watermark that stays another time behind the newest.
func (t Track) ExtendTo(fixes []Fix, r Rules, settle time.Duration) Track {
	fixes = Sort(fixes)
	if len(fixes) == 0 {
		return Track{Base: t.Base, Whole: t.Base}
	}
	settled := fixes[len(fixes)-1].TS - settle.Milliseconds()
	whole := t.Base
	for _, f := range fixes {
		if f.TS <= t.Base.UpToMS {
			continue
		}
		whole = whole.Add(f, r)
		if f.TS <= settled {
			t.Base = whole
		}
	}
	t.Whole = whole
	return t
}

// Sort makes the set of a driver's fixes: sorted by ts, of two with the same ts the Better one.
func Sort(fixes []Fix) []Fix {
	set := slices.Clone(fixes)
	slices.SortFunc(set, func(a, b Fix) int {
		switch {
		case a.TS != b.TS:
			return int(max(-1, min(1, a.TS-b.TS)))
		case Better(a, b):
			return -1
		case Better(b, a):
			return 1
		default:
			return 0
		}
	})
	return slices.CompactFunc(set, func(a, b Fix) bool { return a.TS == b.TS })
}
