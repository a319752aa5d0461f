package track

import (
	"math"
	"time"

	"weelo/internal/fault"
	"weelo/internal/geo"
)

// Limits of one fix, from the apps' contract (tracking/batch); nothing that drives is outside them.
const (
	MaxSpeedMPS  = 110
	MaxAccuracyM = 500
	// MaxAhead is how far a phone's clock may be ahead of the server's.
	MaxAhead = 30 * time.Second
	// MaxAge is the oldest backlog that still counts.
	MaxAge = 7 * 24 * time.Hour
	// StaleAfter is the age from which a fix is history only, and a position on a screen is stale.
	StaleAfter = 60 * time.Second
)

// The refusals of a fix. All are VALIDATION_ERROR with the field that is wrong.
var (
	ErrNotFinite = fault.Invalid("fix", "A position needs finite numbers.")
	ErrPosition  = fault.Invalid("latitude", "The position is out of range.")
	ErrNullland  = fault.Invalid("latitude", "The position is 0,0, which is what a phone sends when it has none.")
	ErrAccuracy  = fault.Invalid("accuracy", "The accuracy must be from 0 to 500 m.")
	ErrSpeed     = fault.Invalid("speed", "The speed must be from 0 to 110 m/s.")
	ErrBearing   = fault.Invalid("bearing", "The bearing must be from 0 to 360 degrees.")
	ErrAhead     = fault.Invalid("timestamp", "The time of the position is ahead of the server's clock.")
	ErrTooOld    = fault.Invalid("timestamp", "The position is older than 7 days.")
)

// Check refuses a fix that is malformed: not finite, out of range, at 0,0, more than 30 s ahead of
// the server or more than 7 days old. What passes may be stored; Live says whether it moves anything.
func Check(f Fix, now time.Time) error {
	for _, v := range [...]float64{f.Lat, f.Lng, f.Accuracy, f.Speed, f.Bearing} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return ErrNotFinite
		}
	}
	switch age := now.UnixMilli() - f.TS; {
	case !f.Point().Valid():
		return ErrPosition
	case f.Lat == 0 && f.Lng == 0:
		return ErrNullland
	case f.Accuracy < 0 || f.Accuracy > MaxAccuracyM:
		return ErrAccuracy
	case f.HasSpeed && (f.Speed < 0 || f.Speed > MaxSpeedMPS):
		return ErrSpeed
	case f.HasBearing && (f.Bearing < 0 || f.Bearing > 360):
		return ErrBearing
	case age < -MaxAhead.Milliseconds():
		return ErrAhead
	case age > MaxAge.Milliseconds():
		return ErrTooOld
	}
	return nil
}

// Point is where the fix is.
func (f Fix) Point() geo.Point { return geo.Point{Lat: f.Lat, Lng: f.Lng} }

// Stale tells whether the fix is too old to move anything on a screen.
func (f Fix) Stale(now time.Time) bool { return now.UnixMilli()-f.TS > StaleAfter.Milliseconds() }
