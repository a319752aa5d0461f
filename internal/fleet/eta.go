package fleet

import (
	"context"
	"math"
	"time"

	"weelo/internal/geo"
)

// RoadETA tells how long the way to a point takes. A road engine may stand behind it; StraightETA
// needs none.
type RoadETA interface {
	// ETA gives the time from each of the points to the goal, in their order, at most MaxNearest of
	// them. It answers within the context's deadline or with an error.
	ETA(ctx context.Context, from []geo.Point, to geo.Point) ([]time.Duration, error)
}

// The estimate of the apps' contract §3 when no road engine answers: roads are 1.3 times the great
// circle, at 30 km/h.
const (
	RoadFactor   = 1.3
	RoadSpeedKMH = 30.0
)

// StraightETA estimates from the great circle. It never fails.
type StraightETA struct{}

var _ RoadETA = StraightETA{}

// ETA implements RoadETA.
func (StraightETA) ETA(_ context.Context, from []geo.Point, to geo.Point) ([]time.Duration, error) {
	times := make([]time.Duration, len(from))
	for i, p := range from {
		times[i] = StraightTime(geo.Distance(p, to))
	}
	return times, nil
}

// StraightTime is how long a great-circle distance in metres takes by road, in whole seconds, upwards.
func StraightTime(metres float64) time.Duration { return RoadTime(metres * RoadFactor) }

// RoadTime is how long metres of road take, in whole seconds, upwards.
func RoadTime(metres float64) time.Duration {
	return time.Duration(math.Ceil(metres/(RoadSpeedKMH/3.6))) * time.Second
}
