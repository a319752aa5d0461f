package redis

import (
	"errors"
	"math"
	"testing"

	"weelo/internal/track"
)

// FuzzDecodeFix: whatever stands in Redis, reading it never panics, and what can be read can be
// written and read again to the same.
func FuzzDecodeFix(f *testing.F) {
	f.Add(encodeFix(track.Fix{TS: 1, ReceivedMS: 2, Lat: 12.97, Lng: 77.59, Accuracy: 8}))
	f.Add(encodeFix(track.Fix{TS: 1, ReceivedMS: 2, Lat: -0.1, Lng: 1e-9, Speed: 3, HasSpeed: true, Bearing: 360, HasBearing: true, Mock: true}))
	f.Add("1|2|NaN|4|5|||0")
	f.Add("||||||||")
	f.Fuzz(func(t *testing.T, raw string) {
		fix, err := decodeFix(raw)
		if err != nil {
			if !errors.Is(err, errBadPosition) {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		again, err := decodeFix(encodeFix(fix))
		nan := math.IsNaN(fix.Lat) || math.IsNaN(fix.Lng) || math.IsNaN(fix.Accuracy) || math.IsNaN(fix.Speed) || math.IsNaN(fix.Bearing)
		if err != nil || (again != fix && !nan) {
			t.Fatalf("%q became %+v, then %+v, %v", raw, fix, again, err)
		}
	})
}
