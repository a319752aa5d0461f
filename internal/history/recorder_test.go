package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/track"
)

// model is the store as the port describes it, and windows that say where each driver's trip is.
type model struct {
	mu      sync.Mutex
	rows    map[fleet.UserID]map[int64]track.Fix
	windows map[fleet.UserID]Window
	fail    error
	saves   int
	enter   chan struct{} // when set: told at each Save …
	leave   chan struct{} // … which then waits for this
}

func newModel() *model {
	return &model{rows: map[fleet.UserID]map[int64]track.Fix{}, windows: map[fleet.UserID]Window{}}
}

func (m *model) Save(_ context.Context, rows []Row) ([]bool, error) {
	if m.enter != nil {
		m.enter <- struct{}{}
		<-m.leave
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saves++
	if m.fail != nil {
		return nil, m.fail
	}
	isNew := make([]bool, len(rows))
	for i, r := range rows {
		if m.rows[r.Driver] == nil {
			m.rows[r.Driver] = map[int64]track.Fix{}
		}
		old, ok := m.rows[r.Driver][r.Fix.TS]
		isNew[i] = !ok
		if !ok || track.Better(r.Fix, old) {
			m.rows[r.Driver][r.Fix.TS] = r.Fix
		}
	}
	return isNew, nil
}

func (m *model) Windows(_ context.Context, asks []Ask) ([]Window, error) {
	ws := make([]Window, len(asks))
	for i, a := range asks {
		if w := m.windows[a.Driver]; a.Fleet == member.Fleet && (a.TripID == "" || a.TripID == w.TripID) {
			ws[i] = w
		}
	}
	return ws, nil
}

func (m *model) Fixes(context.Context, fleet.UserID, int64, int64, int) ([]track.Fix, error) {
	return nil, errors.New("not asked by the recorder")
}
func (m *model) Newest(context.Context, []Window, int) ([][]track.Fix, error) {
	return nil, errors.New("not asked by the recorder")
}
func (m *model) Forget(context.Context, int64, int) (int, error) {
	return 0, errors.New("not asked by the recorder")
}

// stored is what the model holds, without the time of receipt, which is no part of a track.
func (m *model) stored() map[fleet.UserID]map[int64]track.Fix {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[fleet.UserID]map[int64]track.Fix{}
	for d, fixes := range m.rows {
		all[d] = map[int64]track.Fix{}
		for ts, f := range fixes {
			f.ReceivedMS = 0
			all[d][ts] = f
		}
	}
	return all
}

const (
	driver = fleet.UserID("5f0c0a5e-0d6f-4a58-9a0b-0000000000d1")
	tripID = "5f0c0a5e-0d6f-4a58-9a0b-0000000000a1"
)

// member is the driver as one of the fleet that he drives the trip for.
var member = fleet.Member{Driver: driver, Fleet: "5f0c0a5e-0d6f-4a58-9a0b-0000000000f1"}

// start runs a recorder inside a synctest bubble until the test's cleanup.
func start(t *testing.T, m *model, cfg Config) *Recorder {
	t.Helper()
	r, err := NewRecorder(m, m, time.Now, slog.New(slog.DiscardHandler), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

func openTrip(m *model, since time.Time) {
	m.windows[driver] = Window{TripID: tripID, Driver: driver, From: since.UnixMilli(), To: math.MaxInt64}
}

// fixAt is a plausible fix: a truck going north at 10 m/s from a fixed place.
func fixAt(start, at time.Time) track.Fix {
	return track.Fix{TS: at.UnixMilli(), Lat: 12.97 + at.Sub(start).Seconds()*10/111_320, Lng: 77.59, Accuracy: 8, Speed: 10, HasSpeed: true}
}

func TestEveryFixOfABatchIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		begin := time.Now()
		openTrip(m, begin.Add(-time.Hour))
		r := start(t, m, Config{})
		at := func(d time.Duration) track.Fix { return fixAt(begin.Add(-time.Hour), begin.Add(d)) }
		with := func(f track.Fix, change func(*track.Fix)) track.Fix { change(&f); return f }
		batch := []track.Fix{
			at(-5 * time.Second), // fresh
			at(-5 * time.Second), // the same again
			at(-5 * time.Minute), // stale
			with(at(-4*time.Second), func(f *track.Fix) { f.Lat = 91 }),         // out of range
			with(at(-3*time.Second), func(f *track.Fix) { f.Lng = math.NaN() }), // malformed
			at(31 * time.Second), // ahead of the clock
			with(at(-2*time.Hour), func(f *track.Fix) { f.Lat = 12.9 }),                 // before the trip
			with(at(-2*time.Second), func(f *track.Fix) { f.Lat = 28.6; f.Lng = 77.2 }), // a jump to Delhi: stored all the same
			at(-1 * time.Second), // fresh, newest
		}
		for i := range batch {
			batch[i].N = int64(i + 1)
		}
		got, err := r.Record(t.Context(), member, tripID, batch)
		if err != nil {
			t.Fatal(err)
		}
		newest := batch[8]
		newest.ReceivedMS = begin.UnixMilli()
		want := Result{
			TripID: tripID, Processed: 9, Accepted: 2, Duplicate: 1, Stale: 1, Invalid: 5, InvalidAt: []int{3, 4, 5, 6, 7},
			LastAcceptedMS: newest.TS, NewestFresh: newest, HasFresh: true,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
		if n := len(m.stored()[driver]); n != 4 {
			t.Errorf("%d fixes stored, want 4: two fresh, one stale, one jump", n)
		}
		for _, f := range m.stored()[driver] {
			if f.N != 0 {
				t.Errorf("stored with the number %d of its connection", f.N)
			}
		}
		again, err := r.Record(t.Context(), member, "", batch)
		if err != nil {
			t.Fatal(err)
		}
		if again.Duplicate != 5 || again.Invalid != 4 || again.Processed != 9 {
			t.Errorf("the same batch again: %+v, want 5 duplicates and 4 invalid", again)
		}
	})
}

func TestAFixOfAForeignTripIsInvalidAndNotStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		openTrip(m, time.Now().Add(-time.Hour))
		r := start(t, m, Config{})
		got, err := r.Record(t.Context(), member, "5f0c0a5e-0d6f-4a58-9a0b-0000000000a2", []track.Fix{fixAt(time.Now(), time.Now())})
		if err != nil {
			t.Fatal(err)
		}
		if want := (Result{Processed: 1, Invalid: 1, InvalidAt: []int{0}}); !cmp.Equal(want, got) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if len(m.stored()) != 0 {
			t.Error("a fix of a foreign trip was stored")
		}
	})
}

func TestTheAnswerComesAfterTheCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.enter, m.leave = make(chan struct{}), make(chan struct{})
		openTrip(m, time.Now().Add(-time.Hour))
		r := start(t, m, Config{})
		answered := make(chan error, 1)
		go func() {
			_, err := r.Record(t.Context(), member, "", []track.Fix{fixAt(time.Now(), time.Now())})
			answered <- err
		}()
		<-m.enter
		synctest.Wait()
		select {
		case <-answered:
			t.Fatal("answered before the commit")
		default:
		}
		m.leave <- struct{}{}
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFailedCommitIsNeverAnsweredAsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.fail = errors.New("connection lost around COMMIT")
		openTrip(m, time.Now().Add(-time.Hour))
		r := start(t, m, Config{})
		fix := fixAt(time.Now(), time.Now())
		_, err := r.Record(t.Context(), member, "", []track.Fix{fix})
		if !errors.Is(err, errBusy) || !fault.From(err).Retryable() {
			t.Fatalf("got %v, want a retryable BUSY", err)
		}
		m.fail = nil
		got, err := r.Record(t.Context(), member, "", []track.Fix{fix})
		if err != nil || got.Accepted != 1 {
			t.Errorf("sent again: %+v, %v; want it accepted", got, err)
		}
	})
}

func TestBatchesShareACommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		openTrip(m, time.Now().Add(-time.Hour))
		r := start(t, m, Config{})
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				if _, err := r.Record(t.Context(), member, "", []track.Fix{fixAt(begin, begin.Add(time.Duration(i)*time.Millisecond))}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if m.saves != 1 {
			t.Errorf("%d commits for 40 batches that came together, want 1", m.saves)
		}
		if took := time.Since(begin); took > MaxLinger {
			t.Errorf("waited %s for company, the bound is %s", took, MaxLinger)
		}
	})
}

func TestAFullQueueRefusesAndStoppingAnswersWhatWasQueued(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		openTrip(m, time.Now().Add(-time.Hour))
		r, err := NewRecorder(m, m, time.Now, slog.New(slog.DiscardHandler), Config{Queue: 2})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		results := make(chan error, 2)
		for i := range 2 {
			go func() {
				_, err := r.Record(t.Context(), member, "", []track.Fix{fixAt(begin, begin.Add(time.Duration(i)*time.Second))})
				results <- err
			}()
		}
		synctest.Wait()
		if _, err := r.Record(t.Context(), member, "", []track.Fix{fixAt(begin, begin)}); !errors.Is(err, errBusy) {
			t.Errorf("a full queue answered %v, want BUSY", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Run(ctx); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-results; err != nil {
				t.Errorf("queued before the stop, answered %v", err)
			}
		}
		if _, err := r.Record(t.Context(), member, "", []track.Fix{fixAt(begin, begin)}); !errors.Is(err, errBusy) {
			t.Errorf("after the stop: %v, want BUSY", err)
		}
	})
}

func TestNativeFixesAreFlushedEachSecondAndBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		begin := time.Now()
		openTrip(m, begin.Add(-time.Hour))
		r := start(t, m, Config{MaxNotes: 3})
		for i := range 5 {
			r.Note(member, fixAt(begin, begin.Add(time.Duration(i)*time.Millisecond)))
		}
		r.Note(fleet.Member{Driver: "5f0c0a5e-0d6f-4a58-9a0b-0000000000d2", Fleet: member.Fleet}, fixAt(begin, begin)) // has no trip
		m.mu.Lock()
		m.fail = errors.New("down")
		m.mu.Unlock()
		<-time.After(1100 * time.Millisecond)
		m.mu.Lock()
		m.fail = nil
		m.mu.Unlock()
		<-time.After(time.Second)
		synctest.Wait()
		if n := len(m.stored()[driver]); n != 2 {
			t.Errorf("%d native fixes stored, want the 2 newest of the driver on a trip", n)
		}
		s := r.Stats()
		if s.NotesStored != 2 || s.NotesDropped != 3 || s.NotesOutside != 1 || s.Failures != 1 {
			t.Errorf("stats %+v, want 2 stored, 3 dropped, 1 outside, 1 failure", s)
		}
	})
}

// TestAFormerFleetsTripIsNotHis: a driver who is in another fleet by now adds nothing to the trip that he drove for
// the first, named or not, in a batch or not, side by side with what his session of that fleet had sent.
func TestAFormerFleetsTripIsNotHis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		begin := time.Now()
		openTrip(m, begin.Add(-time.Hour))
		r := start(t, m, Config{})
		elsewhere := fleet.Member{Driver: driver, Fleet: "5f0c0a5e-0d6f-4a58-9a0b-0000000000f2"}
		for i, to := range []string{tripID, ""} {
			if got, err := r.Record(t.Context(), elsewhere, to, []track.Fix{fixAt(begin, begin.Add(time.Duration(i)*time.Millisecond))}); err != nil || got.TripID != "" || got.Accepted != 0 {
				t.Errorf("a batch for %q: %+v, %v", to, got, err)
			}
		}
		r.Note(member, fixAt(begin, begin.Add(2*time.Millisecond)))
		r.Note(elsewhere, fixAt(begin, begin.Add(3*time.Millisecond)))
		<-time.After(2 * time.Second)
		synctest.Wait()
		stored := m.stored()[driver]
		if _, his := stored[begin.Add(2*time.Millisecond).UnixMilli()]; !his || len(stored) != 1 {
			t.Errorf("stored %v, want the one that was sent for the trip's fleet", stored)
		}
	})
}

// TestWhatIsStoredDoesNotDependOnBatching is the promise of the package: whatever way the same fixes
// arrive, the same track is stored, and every answer adds up.
func TestWhatIsStoredDoesNotDependOnBatching(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		begin := time.UnixMilli(1_790_000_000_000)
		fixes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) track.Fix {
			f := fixAt(begin, begin.Add(time.Duration(rapid.IntRange(-90, 40).Draw(t, "second"))*time.Second))
			f.Accuracy = float64(rapid.IntRange(0, 3).Draw(t, "accuracy"))
			f.Lat += float64(rapid.IntRange(0, 2).Draw(t, "offset")) / 10
			f.HasSpeed = rapid.Bool().Draw(t, "has speed")
			if !f.HasSpeed {
				f.Speed = 0
			}
			f.Mock = rapid.Bool().Draw(t, "mock")
			return f
		}), 1, 40).Draw(t, "fixes")

		want := record(t, begin, fixes, 100)
		seed := rapid.Uint64().Draw(t, "order")
		other := append(append([]track.Fix{}, fixes...), fixes[:rapid.IntRange(0, len(fixes)).Draw(t, "again")]...)
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
		got := record(t, begin, other, rapid.IntRange(1, 7).Draw(t, "batch size"))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("another batching stored another track (-want +got):\n%s", diff)
		}
	})
}

// record sends the fixes in batches of a size, through judge, store and tally as Run does, and gives
// what is stored.
func record(t *rapid.T, now time.Time, fixes []track.Fix, size int) map[fleet.UserID]map[int64]track.Fix {
	m := newModel()
	openTrip(m, now.Add(-time.Minute)) // some fixes lie before it
	r, err := NewRecorder(m, m, func() time.Time { return now }, slog.New(slog.DiscardHandler), Config{})
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(fixes); at += size {
		j := &job{driver: driver, fixes: fixes[at:min(at+size, len(fixes))], at: now, reply: make(chan answer, 1)}
		if err := r.commit(context.Background(), []*job{j}); err != nil {
			t.Fatal(err)
		}
		a := (<-j.reply).result
		if a.Accepted+a.Stale+a.Duplicate+a.Invalid != a.Processed || a.Processed != len(j.fixes) || len(a.InvalidAt) != a.Invalid {
			t.Fatalf("the answer does not add up: %+v for %d fixes", a, len(j.fixes))
		}
	}
	return m.stored()
}

func TestForgottenDriversAreBounded(t *testing.T) {
	t.Parallel()
	g := newGenerations[fleet.UserID, track.Live](10)
	for i := range 1000 {
		g.put(fleet.UserID(fmt.Sprint(i)), track.Resume(track.Fix{TS: int64(i + 1)}))
	}
	if n := len(g.newer) + len(g.older); n > 20 {
		t.Errorf("%d drivers remembered, the bound is 20", n)
	}
	l, _ := g.get("999")
	if last, ok := l.Position(); !ok || last.TS != 1000 {
		t.Errorf("the last driver is forgotten: %v %v", last, ok)
	}
}

func TestConfigNamesEverythingWrong(t *testing.T) {
	t.Parallel()
	c := Config{Linger: time.Second, MaxRows: -1}
	if err := c.Validate(); err == nil {
		t.Error("a linger of 1 s and no rows were accepted")
	}
	c = Config{}
	if err := c.Validate(); err != nil || c.MaxRows != 1024 {
		t.Errorf("defaults: %v, %+v", err, c)
	}
}
