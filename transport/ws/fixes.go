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

// groups splits a batch by trip, in order of first appearance (nearly always one group), and counts
// the samples that were not readable. The fixes are copied: the recorder keeps them.
func groups(batch []wire.Sample, ack *wire.Ack, now time.Time) []group {
	var out []group
	for i, s := range batch {
		if !s.Valid {
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

// tripCache remembers which times belong to the trip that a driver's fixes name, so that naming it
// costs one look-up per trip and half a minute, not one per frame.
type tripCache struct {
	trip    string
	window  history.Window
	fetched time.Time
}

const tripFresh = 30 * time.Second

func (t *tripCache) contains(ctx context.Context, windows Windows, driver fleet.UserID, trip string, ts int64, now time.Time) bool {
	if t.trip != trip || now.Sub(t.fetched) > tripFresh {
		ctx, cancel := context.WithTimeout(ctx, callWait)
		defer cancel()
		got, err := windows.Windows(ctx, []history.Ask{{Driver: driver, TripID: trip}})
		if err != nil || len(got) != 1 {
			return t.trip == trip && t.window.Contains(ts) // what was known last is the best there is
		}
		*t = tripCache{trip: trip, window: got[0], fetched: now}
	}
	return t.window.Contains(ts)
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
func (c *conn) park(driver fleet.UserID, fix track.Fix) {
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
