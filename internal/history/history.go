// Package history keeps the track of every trip: it takes batches of fixes from phones, commits them
// in groups, and answers what became of each only after the commit, because a phone deletes what was
// acknowledged.
//
// Invariants:
//   - What Record answered is on disk. An error means "unknown, send it again"; sending again is
//     always harmless, because a fix is identified by (driver, ts).
//   - What is stored is the same for any order, duplication or batching in which the fixes arrived:
//     of two fixes with one (driver, ts) the better one stays (track.Better), never the first to arrive.
//   - Accepted, stale, duplicate and invalid sum up to processed.
//   - Only fixes inside a trip of their driver are stored: from 5 s before the acceptance
//     (phones' clocks) to the end + 10 min.
//
// The store is the authority; there is no owner to fence, because the conflict rule commutes.
// A native fix that was never acknowledged passes through a bounded buffer (Note) that a crash may
// lose; a batch never does.
package history

import (
	"context"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/track"
)

// Limits of one request, from the apps' contract.
const (
	// MaxBatch is how many fixes one batch may carry.
	MaxBatch = 100
	// Retention is how long fixes are kept.
	Retention = 30 * 24 * time.Hour
)

// Row is one fix of one driver as stored. ReceivedMS of the fix is set.
type Row struct {
	Driver fleet.UserID
	Fix    track.Fix
}

// Store keeps fixes. Implementations are safe for concurrent use.
type Store interface {
	// Save writes the rows in one transaction and answers, at each index, whether the row's
	// (driver, ts) was new. Of two fixes with the same key the better one stays (track.Better, spelled in SQL by the stores).
	// Rows may repeat a key; only the first of them can be new.
	Save(ctx context.Context, rows []Row) (isNew []bool, err error)
	// Fixes gives the fixes of one driver with after < TS <= to, sorted by TS, at most limit.
	Fixes(ctx context.Context, driver fleet.UserID, after, to int64, limit int) ([]track.Fix, error)
	// Newest gives, at each index, the newest fixes inside the window that are not simulated, sorted by TS,
	// at most each (≥ 1) of them. Which of them is to be believed is not the store's question (track.Live).
	// At most fleet.MaxFleet windows.
	Newest(ctx context.Context, ws []Window, each int) ([][]track.Fix, error)
	// Forget removes up to limit fixes received before the given time (ms) and says how many.
	Forget(ctx context.Context, before int64, limit int) (int, error)
}

// Window is the span of phone time that belongs to one trip of a driver, both ends included, in ms.
type Window struct {
	TripID string
	Driver fleet.UserID
	From   int64 // acceptance
	To     int64 // end + trip.FixGrace; math.MaxInt64 while the trip lives
}

// Contains tells whether a fix with this ts belongs to the trip.
func (w Window) Contains(ts int64) bool { return w.TripID != "" && w.From <= ts && ts <= w.To }

// Ask names the trip whose window is wanted. An empty TripID means the driver's live trip, or, when
// he has none, the one that ended last. Only trips that he drove for that fleet count: what he drove for
// another is not his any more.
type Ask struct {
	Driver fleet.UserID
	Fleet  fleet.UserID
	TripID string
}

// Windows reads trip windows from the durable rows.
type Windows interface {
	// Windows answers at the same index; the zero Window when the driver has no such accepted trip
	// (unknown, somebody else's, another fleet's, or not accepted yet).
	Windows(ctx context.Context, asks []Ask) ([]Window, error)
}
