package actors_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// meteredTracks notes how many fixes each reading of history gave.
type meteredTracks struct {
	all   *actortest.Fixes
	mu    sync.Mutex
	reads []int
}

func (m *meteredTracks) Fixes(ctx context.Context, driver fleet.UserID, after, to int64, limit int) ([]track.Fix, error) {
	fixes, err := m.all.Fixes(ctx, driver, after, to, limit)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads = append(m.reads, len(fixes))
	return fixes, err
}

// TestOdometerReadsOnlyWhatIsNew: on a long drive each look at history is short, though fixes come
// late, told or not; and what people see is what folding everything gives.
func TestOdometerReadsOnlyWhatIsNew(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		metered := &meteredTracks{all: r.fixes}
		r.tracks = metered
		r.restart()
		id := r.assign(wanted())
		r.must(id, trip.Accept{By: ravi})
		const every = 5 * time.Second
		drive := func(from, steps int) {
			for step := range steps {
				r.moved(id, from+step)
				<-time.After(every)
			}
		}
		same := func(when string) {
			t.Helper()
			<-time.After(31 * time.Second) // the last fold is due by now
			all, err := r.fixes.Fixes(t.Context(), "D1", 0, math.MaxInt64, 10_000)
			if err != nil {
				t.Fatal(err)
			}
			want := track.Track{}.Extend(all, track.DefaultRules())
			reply, err := r.command(id, &protocol.GetTrip{})
			if err != nil || reply.State.Track.Whole.Meters != want.Whole.Meters {
				t.Errorf("%s: %v m, %v, want %v m", when, reply.State.Track.Whole.Meters, err, want.Whole.Meters)
			}
		}
		// late adds a fix that lies beside the way, some time ago.
		late := func(ago time.Duration, told bool) {
			at := time.Now().Add(-ago)
			all, err := r.fixes.Fixes(t.Context(), "D1", at.UnixMilli(), math.MaxInt64, 1)
			if err != nil || len(all) == 0 {
				t.Fatal(err, "nothing after it")
			}
			f := all[0]
			f.TS, f.Lng = f.TS-1, f.Lng+0.001
			r.fixes.Add("D1", f)
			if told {
				if err := r.sys.Tell(t.Context(), protocol.TripAddress(id), &protocol.FixesRecorded{OldestMS: f.TS}); err != nil {
					t.Fatal(err)
				}
			}
		}
		drive(0, 360)
		same("half an hour")
		metered.mu.Lock()
		long := 0
		for _, n := range metered.reads {
			if n > 10 { // what came in 30 s, and 10 s before that
				long++
			}
		}
		if len(metered.reads) < 55 || long > 0 {
			t.Errorf("%d of %d looks were long: %v", long, len(metered.reads), metered.reads)
		}
		metered.mu.Unlock()

		drive(360, 6)
		late(8*time.Second, false)
		drive(366, 3)
		same("a little late, not told")
		late(5*time.Minute, true)
		same("late and told")
		late(25*time.Minute, true)
		same("very late and told")
		drive(400, 480)
		late(18*time.Minute, true) // the row's watermark is 15 min behind or more
		same("late and told, on the way")

		r.must(id, trip.ChangeStatus{By: ravi, To: trip.Completed})
		late(10*time.Minute, false)
		<-time.After(10 * time.Second)
		all, err := r.fixes.Fixes(t.Context(), "D1", 0, math.MaxInt64, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		want := track.Track{}.Extend(all, track.DefaultRules())
		if got := r.stored(id).Track; !got.Equal(want) {
			t.Errorf("stored at the end = %v m, want %v m", got.Whole.Meters, want.Whole.Meters)
		}
	})
}
