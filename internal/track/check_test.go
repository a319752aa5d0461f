package track_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"weelo/internal/fault"
	"weelo/internal/track"
)

var now = time.Date(2026, 1, 26, 6, 0, 0, 0, time.UTC)

func good() track.Fix {
	return track.Fix{TS: now.UnixMilli(), Lat: 12.9716, Lng: 77.5946, Accuracy: 8, Speed: 11, HasSpeed: true, Bearing: 181, HasBearing: true}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*track.Fix)
		want   error
	}{
		"a good fix":                    {func(*track.Fix) {}, nil},
		"no speed, no bearing":          {func(f *track.Fix) { f.HasSpeed, f.HasBearing, f.Speed = false, false, 0 }, nil},
		"speed is ignored when not had": {func(f *track.Fix) { f.HasSpeed, f.Speed = false, 500 }, nil},
		"NaN latitude":                  {func(f *track.Fix) { f.Lat = math.NaN() }, track.ErrNotFinite},
		"infinite speed":                {func(f *track.Fix) { f.Speed = math.Inf(1) }, track.ErrNotFinite},
		"latitude too big":              {func(f *track.Fix) { f.Lat = 90.001 }, track.ErrPosition},
		"longitude too small":           {func(f *track.Fix) { f.Lng = -180.001 }, track.ErrPosition},
		"0,0":                           {func(f *track.Fix) { f.Lat, f.Lng = 0, 0 }, track.ErrNullland},
		"on the equator":                {func(f *track.Fix) { f.Lat = 0 }, nil},
		"negative accuracy":             {func(f *track.Fix) { f.Accuracy = -1 }, track.ErrAccuracy},
		"accuracy at the limit":         {func(f *track.Fix) { f.Accuracy = 500 }, nil},
		"accuracy above":                {func(f *track.Fix) { f.Accuracy = 500.1 }, track.ErrAccuracy},
		"speed above":                   {func(f *track.Fix) { f.Speed = 110.1 }, track.ErrSpeed},
		"speed backwards":               {func(f *track.Fix) { f.Speed = -0.1 }, track.ErrSpeed},
		"bearing above":                 {func(f *track.Fix) { f.Bearing = 360.1 }, track.ErrBearing},
		"30 s ahead":                    {func(f *track.Fix) { f.TS += 30_000 }, nil},
		"more than 30 s ahead":          {func(f *track.Fix) { f.TS += 30_001 }, track.ErrAhead},
		"seven days old":                {func(f *track.Fix) { f.TS -= 7 * 24 * 3600 * 1000 }, nil},
		"older":                         {func(f *track.Fix) { f.TS -= 7*24*3600*1000 + 1 }, track.ErrTooOld},
		"no time":                       {func(f *track.Fix) { f.TS = 0 }, track.ErrTooOld},
	} {
		f := good()
		c.change(&f)
		err := track.Check(f, now)
		var refusal *fault.Error
		if (c.want == nil) != (err == nil) || (err != nil && (!errors.As(err, &refusal) || refusal != c.want)) { //nolint:errorlint // the very refusal, not one with its reason
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
	}
}
