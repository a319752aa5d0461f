package ws

import (
	"context"
	"slices"
	"sync"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/track"
	"weelo/transport/wire"
)

// group is the part of a batch that names one trip. places are the indexes in the batch.
type group struct {
	trip   string
	fixes  []track.Fix
	places []int
}

// groups splits a driver's batch by trip, in order of first appearance (nearly always one group), and counts
// the samples that were not readable. The fixes are copied: the recorder keeps them.
func groups(driver fleet.UserID, batch []wire.Sample, ack *wire.Ack, now time.Time) []group {
	var out []group
	for i, s := range batch {
		if !s.Valid || !speaksForItself(driver, s.Driver) {
			ack.Invalid++
			ack.InvalidAt = append(ack.InvalidAt, i)
			continue
		}
		at := slices.IndexFunc(out, func(g group) bool { return g.trip == s.Trip })
		if at < 0 {
			at = len(out)
			out = append(out, group{trip: s.Trip, fixes: make([]track.Fix, 0, len(batch)), places: make([]int, 0, len(batch))})
		}
		s.Fix.ReceivedMS = now.UnixMilli()
		out[at].fixes = append(out[at].fixes, s.Fix)
		out[at].places = append(out[at].places, i)
	}
	return out
}

func sortInts(list []int) { slices.Sort(list) }

// tripCache remembers which times belong to the trip that a driver's fixes name. A trip that was not
// named before is looked up while its fix waits; after that it is looked up again every tripFresh,
// beside the frames, so that no frame of a drive waits for a database.
type tripCache struct {
	mu       sync.Mutex
	trip     string
	window   history.Window
	fetched  time.Time
	fetching bool
}

const tripFresh = 30 * time.Second

// known answers from memory; found is false when the trip was not the last one named.
func (t *tripCache) known(trip string, ts int64) (inside, found bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.window.Contains(ts), t.trip == trip
}

// stale tells whether the window should be read again, to one caller at a time.
func (t *tripCache) stale(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fetching || now.Sub(t.fetched) <= tripFresh {
		return false
	}
	t.fetching = true
	return true
}

// fetch reads the window; when that fails what was known stays, until the next try.
func (t *tripCache) fetch(ctx context.Context, windows Windows, driver fleet.Member, trip string) error {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	got, err := windows.Windows(ctx, []history.Ask{{Driver: driver.Driver, Fleet: driver.Fleet, TripID: trip}})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fetching, t.fetched = false, time.Now()
	if err != nil || len(got) != 1 {
		return errUnavailable.Because(err)
	}
	t.trip, t.window = trip, got[0]
	return nil
}

// metered is an error of a message that has passed, or failed, the limit of other messages already.
type metered struct {
	error
	over bool // the patience is over
}

func (m *metered) Unwrap() error { return m.error }

// drove refuses a fix whose trip is not one that the driver drives or drove at that time.
func (c *conn) drove(ctx context.Context, driver fleet.Member, trip string, ts int64, now time.Time) error {
	inside, found := c.trips.known(trip, ts)
	if !found {
		// Costs what another message costs, so that nobody can have trips looked up at the rate of fixes.
		if pass, over := c.limits.other(now); !pass {
			return &metered{errRate, over}
		}
		if err := c.trips.fetch(ctx, c.server.cfg.Windows, driver, trip); err != nil {
			return &metered{err, false}
		}
		if inside, _ = c.trips.known(trip, ts); !inside {
			return &metered{errTrip, false}
		}
	} else if c.trips.stale(now) {
		go func() { _ = c.trips.fetch(ctx, c.server.cfg.Windows, driver, trip) }()
	}
	if !inside {
		return errTrip
	}
	return nil
}

// parked keeps the newest fix that came faster than the rate until its turn.
type parked struct {
	mu      sync.Mutex
	fix     track.Fix
	timer   *time.Timer
	stopped bool
}

func (p *parked) stop() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// park keeps a fix instead of reporting it; the newest takes the place of an older one.
func (c *conn) park(driver fleet.Member, fix track.Fix) {
	if c.parked == nil {
		c.parked = &parked{}
	}
	p := c.parked
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fix = fix
	if p.timer != nil {
		c.server.observer.In(Format, "fix_coalesced")
		return
	}
	p.timer = time.AfterFunc(c.limits.fixes.until(), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.timer = nil
		if !p.stopped {
			c.driver.Report(p.fix)
			c.server.cfg.Recorder.Note(driver, p.fix)
		}
	})
}
