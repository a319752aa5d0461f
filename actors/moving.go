package actors

import (
	"context"
	"log/slog"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/access"
)

const (
	// maxWatched bounds the trips whose drivers are watched from the start on. The newest come first:
	// of a trip beyond them the driver is watched from his next report, or the trip's next step, on.
	maxWatched  = 10_000
	movingLimit = 20 * time.Second
	movingRetry = 5 * time.Second
)

// MovingTrips lets a new task watch the drivers of the trips that move. A driver's silence is noticed
// by his actor, and nothing else would wake the actor of a driver who is silent.
type MovingTrips struct {
	Trips  LiveTrips
	Router Router
	Log    *slog.Logger
}

// Run reads the trips once, until it succeeds or ctx ends.
func (m *MovingTrips) Run(ctx context.Context) error {
	for {
		err := m.watch(ctx)
		if err == nil {
			return nil
		}
		m.Log.WarnContext(ctx, "moving trips not read; trying again", "component", "actors", "error", err)
		if pause(ctx, movingRetry) != nil {
			return nil
		}
	}
}

func (m *MovingTrips) watch(ctx context.Context) error {
	once, cancel := context.WithTimeout(ctx, movingLimit)
	defer cancel()
	rows, err := m.Trips.Live(once, access.By{Everybody: true}, maxWatched)
	if err != nil {
		return err
	}
	if len(rows) == maxWatched {
		m.Log.WarnContext(ctx, "more live trips than are watched from the start on", "component", "actors", "watched", maxWatched)
	}
	for _, row := range rows {
		if !row.Trip.Status.Moving() {
			continue
		}
		told := &protocol.TripTaken{Trip: LiveTripOf(row.Trip), Version: row.Version}
		if err := m.Router.Tell(ctx, protocol.DriverAddress(row.Trip.DriverID), told); err != nil {
			m.Log.WarnContext(ctx, "driver of a moving trip not watched", "component", "actors", "driver", row.Trip.DriverID, "error", err)
		}
	}
	return nil
}
