package wire

import (
	"weelo/internal/fault"
	"weelo/internal/track"
)

// reader reads typed values. The first value that cannot be accepted is remembered as the refusal;
// reading goes on, so that the whole message is known to be well formed.
type reader struct {
	*scanner
	refusal *fault.Error
}

func (r *reader) refuse(e *fault.Error) {
	if r.refusal == nil {
		r.refusal = e
	}
}

func (r *reader) refuseField(field, message string) {
	r.refuse(fault.Invalid(field, field+" "+message))
}

// wrong passes over a value of a wrong type and refuses it.
func (r *reader) wrong(field, message string) {
	r.skip()
	r.refuseField(field, message)
}

// only reads an object of which one field matters; it is required.
func (r *reader) only(field string, read func()) {
	var f fields
	given := false
	for r.next(&f) {
		if string(f.key) == field {
			given = true
			read()
		} else {
			r.skip()
		}
	}
	if !given {
		r.refuseField(field, "is required")
	}
}

// null passes over null and tells whether there was one.
func (r *reader) null() bool {
	if r.peek() != 'n' {
		return false
	}
	r.literal("null")
	return true
}

// str reads a string of least to most bytes. It answers last when that is the same text.
func (r *reader) str(field string, least, most int, last string) string {
	if r.peek() != '"' {
		r.wrong(field, "must be a string")
		return ""
	}
	b := r.text()
	if len(b) < least || len(b) > most {
		r.refuseField(field, "has a wrong length")
		return ""
	}
	if string(b) == last {
		return last
	}
	return string(b)
}

// optional reads a string or null.
func (r *reader) optional(field string, most int) string {
	if r.null() {
		return ""
	}
	return r.str(field, 0, most, "")
}

func (r *reader) boolean(field string) bool {
	switch r.peek() {
	case 't':
		r.literal("true")
		return true
	case 'f':
		r.literal("false")
	case 'n':
		r.literal("null")
	default:
		r.wrong(field, "must be true or false")
	}
	return false
}

func (r *reader) isNumber() bool {
	c := r.peek()
	return c == '-' || '0' <= c && c <= '9'
}

func (r *reader) integer(field string, least, most int64) int64 {
	if !r.isNumber() {
		r.wrong(field, "must be an integer")
		return 0
	}
	n, ok := parseInt(r.number())
	if !ok || n < least || n > most {
		r.refuseField(field, "is not an integer in range")
		return 0
	}
	return n
}

func (r *reader) float(field string, least, most float64) float64 {
	if !r.isNumber() {
		r.wrong(field, "must be a number")
		return 0
	}
	f, ok := parseFloat(r.number())
	if !ok || !(f >= least && f <= most) {
		r.refuseField(field, "is out of range")
		return 0
	}
	return f
}

// Ranges of a fix. Finer rules (jumps, clocks, accuracy) are the domain's.
const (
	maxTS       = 1 << 43 // ms, in the year 2248
	maxAccuracy = 1e6     // metres
	maxSpeed    = 1e3     // m/s
)

// which required fields of a fix were there
const (
	hasTS = 1 << iota
	hasLat
	hasLng
	hasAll = hasTS | hasLat | hasLng
)

// fix reads the object of a fix. trip holds the last trip read and gets the new one.
func (r *reader) fix(trip, driver *string) track.Fix {
	var (
		x    track.Fix
		f    fields
		has  int
		last = *trip
	)
	*trip = ""
	for r.next(&f) {
		switch string(f.key) {
		case "n":
			x.N = r.integer("n", 0, 1<<53)
		case "ts":
			x.TS = r.integer("ts", 1, maxTS)
			has |= hasTS
		case "lat":
			x.Lat = r.float("lat", -90, 90)
			has |= hasLat
		case "lng":
			x.Lng = r.float("lng", -180, 180)
			has |= hasLng
		case "acc":
			if !r.null() {
				x.Accuracy = r.float("acc", 0, maxAccuracy)
			}
		case "speed":
			if !r.null() {
				x.Speed, x.HasSpeed = r.float("speed", 0, maxSpeed), true
			}
		case "bearing":
			if !r.null() {
				x.Bearing, x.HasBearing = r.bearing(), true
			}
		case "mock":
			x.Mock = r.boolean("mock")
		case "trip":
			if !r.null() {
				*trip = r.str("trip", 0, maxID, last)
			}
		case "driverId":
			*driver = r.optional("driverId", maxID)
		default:
			r.skip()
		}
	}
	switch {
	case has != hasAll:
		r.refuseField("fix", "needs ts, lat and lng")
	case x.Lat == 0 && x.Lng == 0 && r.refusal == nil:
		r.refuseField("lat", "and lng are both 0, which is no position")
	}
	return x
}

// bearing is in [0,360); 360 is north as well.
func (r *reader) bearing() float64 {
	b := r.float("bearing", 0, 360)
	if b == 360 {
		return 0
	}
	return b
}
