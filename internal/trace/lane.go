package trace

import (
	"errors"
	"math"
	"sort"
	"time"

	"weelo/internal/geo"
	"weelo/internal/track"
)

// Shape is a recorded drive freed from its place: metres along and across the line from its first
// to its last fix, and the time of each. Many routes share one.
type Shape struct {
	Name   string
	points []planar
	total  time.Duration
	chord  float64 // metres from the first to the last fix
}

type planar struct {
	at                time.Duration // since the first fix
	along, across     float64       // metres
	accuracy, speed   float64
	bearing           float64 // relative to the line, degrees
	hasSpeed, hasHead bool
}

// ErrRound: a drive that ends where it began has no direction to lay along a lane (see Outward).
var ErrRound = errors.New("trace: the drive ends where it began")

// NewShape takes a drive's shape, timing and noise. Speed and bearing are the recorded ones, and
// computed from the neighbours where the recorder had none.
func NewShape(t Trace) (*Shape, error) {
	n := len(t.Fixes)
	if n < 2 {
		return nil, ErrEmpty
	}
	first, last := t.Fixes[0], t.Fixes[n-1]
	chord := geo.Distance(first.Point(), last.Point())
	if chord < 500 || chord < 0.1*t.LengthM() {
		return nil, ErrRound
	}
	heading := geo.Bearing(first.Point(), last.Point())
	s := &Shape{Name: t.Name, chord: chord, total: t.Duration(), points: make([]planar, n)}
	for i, f := range t.Fixes {
		way, turn := geo.Distance(first.Point(), f.Point()), geo.Bearing(first.Point(), f.Point())-heading
		f = withMotion(t.Fixes, i)
		s.points[i] = planar{
			at:    time.Duration(f.TS-first.TS) * time.Millisecond,
			along: way * math.Cos(turn*math.Pi/180), across: way * math.Sin(turn*math.Pi/180),
			accuracy: f.Accuracy, speed: f.Speed, hasSpeed: f.HasSpeed,
			bearing: f.Bearing - heading, hasHead: f.HasBearing,
		}
	}
	return s, nil
}

// Outward is the drive up to its fix that is farthest from the first: of a round trip the way out.
func (t Trace) Outward() Trace {
	farthest, end := 0.0, 0
	for i, f := range t.Fixes {
		if way := geo.Distance(t.Fixes[0].Point(), f.Point()); way > farthest {
			farthest, end = way, i
		}
	}
	return Trace{Name: t.Name, Fixes: t.Fixes[:min(end+1, len(t.Fixes))]}
}

// withMotion fills in the speed and bearing of a fix from the one before (the one after for the first).
func withMotion(fixes []track.Fix, i int) track.Fix {
	f := fixes[i]
	a, b := max(i-1, 0), max(i, 1)
	dt := float64(fixes[b].TS-fixes[a].TS) / 1000
	way := geo.Distance(fixes[a].Point(), fixes[b].Point())
	if !f.HasSpeed && dt > 0 {
		f.Speed, f.HasSpeed = min(way/dt, track.MaxSpeedMPS), true
	}
	if !f.HasBearing && way > 1 {
		f.Bearing, f.HasBearing = geo.Bearing(fixes[a].Point(), fixes[b].Point()), true
	}
	return f
}

// Route is a shape laid along the lane between two places: the shape again and again, end to end,
// scaled by the few per cent that make it fit, until the other place is reached. Local shape, timing
// and noise stay those of the recorded drive.
type Route struct {
	shape   *Shape
	from    geo.Point
	heading float64
	repeats int
	leg     float64 // metres of lane per repeat
	scale   float64
}

// Lay lays the shape along the lane. Lanes shorter than the shape's chord get one repeat, shrunk.
func (s *Shape) Lay(from, to geo.Point) *Route {
	length := geo.Distance(from, to)
	repeats := max(1, int(length/s.chord+0.5))
	leg := length / float64(repeats)
	return &Route{shape: s, from: from, heading: geo.Bearing(from, to), repeats: repeats, leg: leg, scale: leg / s.chord}
}

// Duration is how long the drive over the whole lane takes.
func (r *Route) Duration() time.Duration { return time.Duration(r.repeats) * r.shape.total }

// At is where the truck was last recorded at d after the start of the drive: the newest fix not
// after d, without times. Before the start it stands at the first place, after the end at the last.
func (r *Route) At(d time.Duration) track.Fix {
	d = max(0, min(d, r.Duration()-1))
	repeat := int(d / r.shape.total)
	within := d - time.Duration(repeat)*r.shape.total
	points := r.shape.points
	i := sort.Search(len(points), func(i int) bool { return points[i].at > within }) - 1
	p := points[max(i, 0)]

	along := (float64(repeat)*r.shape.chord + p.along) * r.scale
	across := p.across * r.scale
	on := geo.Move(r.from, r.heading, along)
	// The course of a great circle turns on the way; the cross offset is small, so the heading at
	// the start is near enough for a lane within one country.
	at := geo.Move(on, r.heading+90, across)
	return track.Fix{
		Lat: at.Lat, Lng: at.Lng, Accuracy: p.accuracy,
		Speed: min(p.speed*r.scale, track.MaxSpeedMPS), HasSpeed: p.hasSpeed,
		Bearing: math.Mod(p.bearing+r.heading+720, 360), HasBearing: p.hasHead,
	}
}

// Nearest is the time of the drive at which the truck is nearest to p, to the second. It is how a
// drive is gone on with after a break.
func (r *Route) Nearest(p geo.Point) time.Duration {
	total := r.Duration()
	coarse := total/1000 + 1
	rough := r.nearest(p, 0, total, coarse)
	return r.nearest(p, max(0, rough-coarse), min(total, rough+coarse), time.Second)
}

func (r *Route) nearest(p geo.Point, from, to, step time.Duration) time.Duration {
	best, nearest := from, math.Inf(1)
	for d := from; d < to; d += step {
		if way := geo.Distance(r.At(d).Point(), p); way < nearest {
			best, nearest = d, way
		}
	}
	return best
}
