package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/ledger"
	"weelo/internal/track"
	"weelo/internal/trip"

	"weelo/actors/protocol"
)

const (
	// foldEvery is how often a trip's track is read from history at most.
	foldEvery = 30 * time.Second
	// foldNear is how far behind the newest fix the next fold begins: native fixes are in history within
	// a second or two, and what comes later is told (late). Should that get lost, the fold after the end
	// finds it.
	foldNear = 10 * time.Second
	// foldWrite is how often a live trip's track is written to its row; at the end always.
	foldWrite = 10 * time.Minute
	// foldSettle is how long after the end the last native fixes are in history (flushed each second).
	foldSettle = 3 * time.Second
	// trackTimer is the row that makes sure of the fold after the end.
	trackTimer = "track"
	foldLimit  = 20 * time.Second
	foldPage   = 5000
	// foldMost bounds the fixes of one fold: a week at one every 5 s.
	foldMost = 150_000
)

// odometer keeps a trip's track current. It never adds up what it hears: it reads history above a
// watermark and folds it, so that order, duplication and batching of arrival cannot show. It goes on
// from the near watermark; from the row's, when something came late or this activation is new; and
// from the beginning, at the end or when something came very late.
type odometer struct {
	soft    track.Track // newer than the committed one; zero: nothing yet
	near    track.Track // the soft one with a watermark only foldNear behind; never written
	mark    track.Fold  // the near watermark of some time ago: the soft one's base once it has settled
	written time.Time   // when the row's was written last, as far as this activation knows
	last    time.Time   // when history was read last
	settled time.Time   // when the fold after the end was tried last
	armed   *time.Timer // the next fold, when one is due
	reading bool
	again   bool  // something came while reading
	oldest  int64 // the oldest fix that came late; 0: none
	whole   bool  // fold everything, not only above the watermark
}

// foldDue wants a fold, folded brings its result.
type foldDue struct{}

type folded struct {
	track track.Track
	near  track.Track
	far   bool // more than what is above the near watermark was read
	err   error
}

// newest is the track to show: the soft one when it knows more.
func (o *odometer) newest(stored track.Track) track.Track {
	if o.soft.Whole.UpToMS > 0 {
		return o.soft
	}
	return stored
}

// loaded: an activation cannot know what came while there was none, so an accepted trip is folded.
func (o *odometer) loaded(d *trips) {
	s := d.State()
	o.written = d.Now()
	if s.AcceptedMS != 0 {
		o.whole = o.whole || !s.Live
		o.in(d, foldSettle)
	}
}

// grew: the driver moved.
func (o *odometer) grew(d *trips) {
	if d.State().AcceptedMS != 0 {
		o.soon(d)
	}
}

// late: fixes entered history, maybe below the watermark.
func (o *odometer) late(d *trips, oldestMS int64) {
	if d.State().AcceptedMS == 0 {
		return
	}
	if oldestMS != 0 && (o.oldest == 0 || oldestMS < o.oldest) {
		o.oldest = oldestMS
	}
	o.soon(d)
}

// ended: the track is folded once more, from everything. The timer is a row, so it happens after a
// crash too; the sweeper repeats it until the fold is on disk.
func (o *odometer) ended(ctx context.Context, d *trips, c TripConfig) {
	if o.reading {
		o.again, o.whole = true, true
		return
	}
	if d.Now().Sub(o.settled) < foldEvery {
		return // tried a moment ago; the sweeper is impatient
	}
	o.settled, o.whole = d.Now(), true
	o.fold(ctx, d, c)
}

// settleTrack writes the track of a trip that has ended and crosses off its timer.
type settleTrack struct {
	track  track.Track
	number int64 // of the armed timer; 0: it is not armed
}

// close adds the timer to the transition, which is made for it alone when the track is unchanged. It
// reports whether there is anything to write.
func (st settleTrack) close(t *ledger.Transition, s trip.State, now time.Time) (write bool, err error) {
	if st.number == 0 {
		return len(t.Events) > 0, nil
	}
	if t.State == nil {
		if t.State, err = s.Snapshot(); err != nil {
			return false, err
		}
		t.Events = []ledger.Event{{ // a version leaves a line in the history
			ID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "trip/%s/settled/%d", s.ID, st.number)).String(), Type: "trip_track_settled",
			PayloadVersion: 1, At: now, TripID: s.ID, OrderID: s.OrderID, Data: json.RawMessage("{}"),
		}}
	}
	t.Timers = append(t.Timers, ledger.TimerChange{Name: trackTimer, Number: st.number})
	return true, nil
}

// soon arms a fold, at most one in foldEvery.
func (o *odometer) soon(d *trips) {
	if o.reading {
		o.again = true
		return
	}
	if o.armed == nil {
		o.in(d, max(0, foldEvery-d.Now().Sub(o.last)))
	}
}

func (o *odometer) in(d *trips, wait time.Duration) {
	if o.armed != nil {
		o.armed.Stop()
	}
	o.armed = d.Self().After(wait, foldDue{})
}

// fold reads history off the actor's turn.
func (o *odometer) fold(ctx context.Context, d *trips, c TripConfig) {
	if o.reading {
		o.again = true
		return
	}
	s := d.State()
	from, to := s.Window()
	if from == 0 || c.Tracks == nil {
		return
	}
	if to == 0 {
		to = math.MaxInt64
	}
	base, near := o.bases(s)
	o.reading, o.again, o.whole, o.oldest, o.last = true, false, false, 0, d.Now()
	d.Self().Go(ctx, foldLimit, func(ctx context.Context) any {
		after := max(from-1, near.WatermarkMS())
		fixes, err := readFixes(ctx, c.Tracks, s.DriverID, after, to)
		if err != nil {
			return &folded{err: err}
		}
		// When near begins further on than base, base stays and only the whole is new.
		m := &folded{track: base, near: near.ExtendTo(fixes, c.Rules, foldNear)}
		if near.WatermarkMS() == base.WatermarkMS() {
			m.track, m.far = base.Extend(fixes, c.Rules), true
		}
		m.track.Whole = m.near.Whole
		return m
	})
}

// bases gives the row's part of the track and the part to go on from; the fixes above the second one
// are to be read.
func (o *odometer) bases(s trip.State) (base, near track.Track) {
	late := func(t track.Track) bool { return o.oldest != 0 && o.oldest <= t.WatermarkMS() }
	base = o.newest(s.Track)
	switch {
	case o.whole || late(base):
		return track.Track{}, track.Track{}
	case o.near.WatermarkMS() <= base.WatermarkMS() || late(o.near):
		return base, base
	}
	return base, o.near
}

// readFixes reads page by page.
func readFixes(ctx context.Context, tracks Tracks, driver fleet.UserID, after, to int64) ([]track.Fix, error) {
	var all []track.Fix
	for len(all) < foldMost {
		page, err := tracks.Fixes(ctx, driver, after, to, foldPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < foldPage {
			break
		}
		after = page[len(page)-1].TS
	}
	return all, nil
}

// onFolded shows the new track, and writes it when it is time or the trip has ended.
func (o *odometer) onFolded(ctx context.Context, d *trips, m *folded) {
	o.reading = false
	s := d.State()
	if m.err != nil {
		d.Self().Log().WarnContext(ctx, "track not read; trying again", "error", m.err)
		o.whole = true // whatever was asked for is in the whole
		o.in(d, foldEvery)
		return
	}
	if settled := m.near.Whole.UpToMS - track.Settle.Milliseconds(); m.far || o.mark.UpToMS <= settled {
		if !m.far {
			m.track.Base = o.mark
		}
		o.mark = m.near.Base
	}
	o.soft, o.near = m.track, m.near
	if now := d.Now(); !s.Live || now.Sub(o.written) >= foldWrite {
		o.written = now
		d.Submit(ctx, Request{Do: o.write(d, s.Live, m.track)}, Reply{})
	}
	if o.again {
		o.soon(d)
	}
}

// write is the command that puts a track into the row.
func (o *odometer) write(d *trips, live bool, t track.Track) any {
	if live {
		return trip.AddTrack{Track: t}
	}
	return settleTrack{track: t, number: d.clock.armed[trackTimer].number}
}

// TrackRecorder records batches like the recorder it wraps, and tells the trip that its track grew.
type TrackRecorder struct {
	*history.Recorder
	Router Router
}

// Record stores a batch; see history.Recorder.Record. Only when something new was stored is the trip
// told, and nobody waits for that.
func (r *TrackRecorder) Record(ctx context.Context, driver fleet.Member, tripID string, fixes []track.Fix) (history.Result, error) {
	result, err := r.Recorder.Record(ctx, driver, tripID, fixes)
	if err == nil && result.TripID != "" && result.Accepted+result.Stale > 0 {
		oldest := fixes[0].TS
		for _, f := range fixes {
			oldest = min(oldest, f.TS)
		}
		_ = r.Router.Tell(ctx, protocol.TripAddress(result.TripID), &protocol.FixesRecorded{OldestMS: oldest})
	}
	return result, err
}
