package presence

import (
	"context"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/track"
)

// PositionLife is how long a last position is worth keeping; older ones are in history only.
const PositionLife = 24 * time.Hour

// Spot is the last position of one person, online or not. Fix.ReceivedMS is set.
type Spot struct {
	User fleet.UserID
	Fix  track.Fix
}

// Positions keeps the last position of each person, to be read by whoever did not watch. The driver's
// actor writes at most one a second. Losing all of it costs a look into history.
type Positions interface {
	// Put stores the spots in one round trip. A spot whose TS is not newer than the stored one is ignored.
	Put(ctx context.Context, spots []Spot) error
	// Last gives the last positions of those users who have one received after now − PositionLife.
	Last(ctx context.Context, users []fleet.UserID, now time.Time) (map[fleet.UserID]track.Fix, error)
	// Remove forgets where one user was; harmless when nobody knows.
	Remove(ctx context.Context, user fleet.UserID) error
	// Forget removes what is older than PositionLife and says how many there were.
	Forget(ctx context.Context, now time.Time) (int, error)
}
