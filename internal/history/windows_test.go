package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weelo/internal/fleet"
	"weelo/internal/track"
)

// grace is trip.FixGrace, which the domain of trips owns.
const grace = 10 * time.Minute

// span is one trip of the driver as its row says it, ms; ended 0: it lives.
type span struct {
	id              string
	accepted, ended int64
}

// rowsOf answers windows like the stores, from the rows of one driver's trips in order of acceptance.
type rowsOf struct {
	trips []span
	asked [][]Ask
	fail  error
}

func (r *rowsOf) Windows(_ context.Context, asks []Ask) ([]Window, error) {
	r.asked = append(r.asked, slices.Clone(asks))
	ws := make([]Window, len(asks))
	for i, a := range asks {
		ws[i] = r.window(a)
	}
	return ws, r.fail
}

func (r *rowsOf) window(a Ask) Window {
	for _, s := range slices.Backward(r.trips) {
		if a.Driver == driver && (a.TripID == "" || a.TripID == s.id) {
			return s.window()
		}
	}
	return Window{}
}

func (s span) window() Window {
	w := Window{TripID: s.id, Driver: driver, From: s.accepted, To: math.MaxInt64}
	if s.ended != 0 {
		w.To = s.ended + grace.Milliseconds()
	}
	return w
}

func TestWindowsAreAskedForOnceInAWhile(t *testing.T) {
	t.Parallel()
	begin := time.UnixMilli(1_790_000_000_000)
	rows := &rowsOf{trips: []span{{"old", 1, 2}, {"live", 3, 0}}}
	m := newMemory(rows, 10)
	all := []Ask{{Driver: driver, TripID: ""}, {Driver: driver, TripID: "live"}, {Driver: driver, TripID: "old"}, {Driver: driver, TripID: "nobody's"}, {Driver: "somebody else"}}
	want := []Window{rows.trips[1].window(), rows.trips[1].window(), rows.trips[0].window(), {}, {}}
	for _, step := range []struct {
		after time.Duration
		asked []Ask // of the store
	}{
		{0, all},
		{openFor - time.Millisecond, all[3:]}, // what may become a yes is asked each time
		{openFor, []Ask{all[0], all[1], all[3], all[4]}},
		{openFor, all[3:]},
	} {
		rows.asked = nil
		got, err := m.windows(t.Context(), all, begin.Add(step.after))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", step.after, diff)
		}
		if diff := cmp.Diff([][]Ask{step.asked}, rows.asked); diff != "" {
			t.Errorf("after %s the store was asked (-want +got):\n%s", step.after, diff)
		}
	}
	rows.fail = errors.New("down")
	if _, err := m.windows(t.Context(), all, begin); err == nil {
		t.Error("a store that is down answered")
	}
}

// TestAMemoryNeverCostsAFix: drives of trips that begin and end while batches come. A window from
// memory takes every fix that the rows would take, and none outside the driver's trips; for an ask
// that names its trip it takes exactly what the rows would.
func TestAMemoryNeverCostsAFix(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := &rowsOf{}
		m := newMemory(rows, 10)
		now := time.UnixMilli(1_790_000_000_000)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			longest := rapid.SampledFrom([]time.Duration{time.Second, openFor, 12 * time.Minute}).Draw(t, "at most")
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(longest)).Draw(t, "pause")))
			last := len(rows.trips) - 1
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				if last >= 0 && rows.trips[last].ended == 0 {
					rows.trips[last].ended = now.UnixMilli()
				}
				continue
			case 1:
				if last < 0 || rows.trips[last].ended != 0 {
					rows.trips = append(rows.trips, span{fmt.Sprint("trip-", last+1), now.UnixMilli(), 0})
				}
				continue
			}
			asks := []Ask{{Driver: driver}}
			for _, s := range rows.trips {
				asks = append(asks, Ask{Driver: driver, TripID: s.id})
			}
			got, err := m.windows(t.Context(), asks, now)
			if err != nil {
				t.Fatal(err)
			}
			behind := rapid.Int64Range(-track.MaxAhead.Milliseconds(), (40*time.Minute).Milliseconds()).Draw(t, "age")
			ts := now.UnixMilli() - behind
			for i, ask := range asks {
				kept, fresh := got[i].Contains(ts), rows.window(ask).Contains(ts)
				if fresh && !kept || ask.TripID != "" && kept != fresh {
					t.Fatalf("%+v of %d: memory %v, rows %v; trips %+v", ask, ts, got[i], rows.window(ask), rows.trips)
				}
				if kept && !slices.ContainsFunc(rows.trips, func(s span) bool { return s.window().Contains(ts) }) {
					t.Fatalf("a fix of %d is in no trip of %+v but was kept for %+v", ts, rows.trips, got[i])
				}
			}
		}
	})
}

func TestAGroupClosesWhenItIsFullAndTheRestFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		begin := time.Now()
		openTrip(m, begin.Add(-time.Hour))
		r := start(t, m, Config{MaxRows: 10})
		results := make(chan time.Duration, 5)
		for i := range 5 { // 20 fixes: two full groups
			go func() {
				fixes := make([]track.Fix, 4)
				for k := range fixes {
					fixes[k] = fixAt(begin, begin.Add(time.Duration(4*i+k)*time.Second-time.Minute))
				}
				if _, err := r.Record(t.Context(), member, "", fixes); err != nil {
					t.Error(err)
				}
				results <- time.Since(begin)
			}()
		}
		var waits []time.Duration
		for range 5 {
			waits = append(waits, <-results)
		}
		want := []time.Duration{0, 0, 0, 200 * time.Millisecond, 200 * time.Millisecond}
		if diff := cmp.Diff(want, waits); diff != "" {
			t.Errorf("answers came after (-want +got):\n%s", diff)
		}
		if m.saves != 2 || len(m.stored()[driver]) != 20 {
			t.Errorf("%d commits of %d fixes, want 2 of 20", m.saves, len(m.stored()[driver]))
		}
	})
}

// TestTheLingerCountsFromTheArrival: a batch that waited while another group was committed does not
// wait for company all over again.
func TestTheLingerCountsFromTheArrival(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.enter, m.leave = make(chan struct{}), make(chan struct{})
		begin := time.Now()
		openTrip(m, begin.Add(-time.Hour))
		r := start(t, m, Config{})
		record := func(n int) <-chan time.Duration {
			sent, took := time.Now(), make(chan time.Duration, 1)
			go func() {
				if _, err := r.Record(t.Context(), member, "", []track.Fix{fixAt(begin, begin.Add(time.Duration(n)*time.Millisecond))}); err != nil {
					t.Error(err)
				}
				took <- time.Since(sent)
			}()
			synctest.Wait()
			return took
		}
		first := record(1)
		<-m.enter
		second := record(2)
		<-time.After(300 * time.Millisecond) // the first commit is slow
		m.leave <- struct{}{}
		<-m.enter
		m.leave <- struct{}{}
		if a, b := <-first, <-second; a != 500*time.Millisecond || b != 300*time.Millisecond {
			t.Errorf("answers after %s and %s, want 500ms and 300ms", a, b)
		}
	})
}

// BenchmarkRecord is what a group costs without a store: 50 drivers with ten fixes each.
func BenchmarkRecord(b *testing.B) {
	now := time.UnixMilli(1_790_000_000_000)
	source := everywhere{}
	r, err := NewRecorder(source, source, func() time.Time { return now }, slog.New(slog.DiscardHandler), Config{})
	if err != nil {
		b.Fatal(err)
	}
	group := make([]*job, 50)
	for i := range group {
		group[i] = &job{driver: fleet.UserID(string(driver[:35]) + string(rune('A'+i))), fixes: make([]track.Fix, 10)}
	}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Second)
		for _, j := range group {
			j.at = now
			for i := range j.fixes {
				j.fixes[i] = track.Fix{TS: now.Add(time.Duration(i-10) * 100 * time.Millisecond).UnixMilli(), Lat: 12.97, Lng: 77.59, Accuracy: 8}
			}
		}
		if err := r.commit(b.Context(), group); err != nil {
			b.Fatal(err)
		}
	}
}

// everywhere says that everybody is on a trip and keeps nothing.
type everywhere struct{ Store }

func (everywhere) Save(_ context.Context, rows []Row) ([]bool, error) {
	isNew := make([]bool, len(rows))
	for i := range isNew {
		isNew[i] = true
	}
	return isNew, nil
}

func (everywhere) Windows(_ context.Context, asks []Ask) ([]Window, error) {
	ws := make([]Window, len(asks))
	for i, a := range asks {
		ws[i] = Window{TripID: "t", Driver: a.Driver, To: math.MaxInt64}
	}
	return ws, nil
}
