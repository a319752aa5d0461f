package pricing

import (
	"math"
	"slices"
	"time"
)

// BucketLength is how long one surge factor stands. Buckets begin at whole multiples of it since the
// epoch, on every task alike.
const BucketLength = 5 * time.Minute

// ist is Indian Standard Time, which has no summer time; a fixed zone needs no zone files.
var ist = time.FixedZone("IST", 5*3600+1800)

// Surge is when trips cost more. Hours are those of IST, 0..23; factors are 1 or more and multiply.
type Surge struct {
	PeakHours     []int
	PeakFactor    float64
	NightHours    []int
	NightFactor   float64
	WeekendFactor float64 // Saturday and Sunday
}

// DefaultSurge has the two rush times of Indian cities, 8–11 and 17–20, the night from 22 to 6, and
// the weekend.
func DefaultSurge() Surge {
	return Surge{
		PeakHours: []int{8, 9, 10, 17, 18, 19}, PeakFactor: 1.2,
		NightHours: []int{22, 23, 0, 1, 2, 3, 4, 5}, NightFactor: 1.1,
		WeekendFactor: 1.05,
	}
}

// Bucket is the surge of a moment: From ≤ moment < Until.
type Bucket struct {
	Factor float64 // two decimals
	Label  string  // as the apps show it
	From   time.Time
	Until  time.Time
}

// At gives the bucket that holds now.
func (s Surge) At(now time.Time) Bucket {
	from := now.Truncate(BucketLength).In(ist)
	factor := 1.0
	if slices.Contains(s.PeakHours, from.Hour()) {
		factor *= max(1, s.PeakFactor)
	}
	if slices.Contains(s.NightHours, from.Hour()) {
		factor *= max(1, s.NightFactor)
	}
	if day := from.Weekday(); day == time.Saturday || day == time.Sunday {
		factor *= max(1, s.WeekendFactor)
	}
	factor = math.Round(factor*100) / 100
	return Bucket{Factor: factor, Label: label(factor), From: from.UTC(), Until: from.Add(BucketLength).UTC()}
}

func label(factor float64) string {
	switch {
	case factor > 1.15:
		return "Peak Hours"
	case factor > 1.05:
		return "Moderate Demand"
	}
	return "Normal"
}
