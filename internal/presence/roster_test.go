package presence_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/presence"
	"weelo/internal/track"
)

// world is the shared stores, as another task fills them.
type world struct {
	t       *testing.T
	mu      sync.Mutex
	present map[fleet.UserID]presence.Entry
	spots   map[fleet.UserID]track.Fix
	kinds   map[fleet.UserID][]string
	asked   int // questions about kinds
	down    bool
	came    []string
	roster  *presence.Roster
}

var errDown = errors.New("away")

func (w *world) All(_ context.Context, now time.Time) (all []presence.Entry, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return nil, errDown
	}
	for _, e := range w.present {
		if e.Live(now.UnixMilli()) {
			all = append(all, e)
		}
	}
	return all, nil
}

func (w *world) Last(_ context.Context, users []fleet.UserID, _ time.Time) (map[fleet.UserID]track.Fix, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	some := map[fleet.UserID]track.Fix{}
	for _, u := range users {
		if f, ok := w.spots[u]; ok {
			some[u] = f
		}
	}
	return some, nil
}

func (w *world) Keys(_ context.Context, users []fleet.UserID) (map[fleet.UserID][]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	some := map[fleet.UserID][]string{}
	for _, u := range users {
		if k, ok := w.kinds[u]; ok {
			some[u] = k
		}
	}
	return some, nil
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, present: map[fleet.UserID]presence.Entry{}, spots: map[fleet.UserID]track.Fix{}, kinds: map[fleet.UserID][]string{}}
	w.roster = &presence.Roster{
		Store: w, Positions: w, Kinds: w, Grid: fleet.NewGrid(presence.TransporterLife), Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Came: func(id fleet.UserID, _ geo.Point, keys []string) { w.came = append(w.came, fmt.Sprint(id, keys)) },
	}
	return w
}

// beat is a heartbeat that another task got.
func (w *world) beat(ids ...fleet.UserID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now().UnixMilli()
	for _, id := range ids {
		w.present[id] = presence.Entry{User: id, Role: fleet.Transporter, Since: now, Seen: now, Expires: now + presence.TransporterLife.Milliseconds()}
		w.spots[id] = track.Fix{TS: now, ReceivedMS: now, Lat: 12.97, Lng: 77.59}
		if w.kinds[id] == nil {
			w.kinds[id] = []string{"open_17ft"}
		}
	}
}

// pass reads every ten seconds for a while; beating are the ones whose heartbeats go on.
func (w *world) pass(d time.Duration, beating ...fleet.UserID) {
	for range int(d / (10 * time.Second)) {
		<-time.After(10 * time.Second)
		w.beat(beating...)
		w.roster.Read(w.t.Context())
	}
}

func (w *world) want(when string, want ...fleet.UserID) {
	w.t.Helper()
	var got []fleet.UserID
	for _, l := range w.roster.Grid.Nearest(fleet.Query{Key: "open_17ft", At: geo.Point{Lat: 12.97, Lng: 77.59}, RadiusKM: 1, Now: time.Now()}) {
		got = append(got, l.Transporter)
	}
	if !slices.Equal(got, want) {
		w.t.Fatalf("%s: %v on the grid, want %v", when, got, want)
	}
}

func TestThePeopleOfOtherTasksAreFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.beat("t1", "t2")
		w.present["d1"] = presence.Entry{User: "d1", Role: fleet.Driver, Expires: time.Now().Add(time.Hour).UnixMilli()}
		w.spots["d1"] = w.spots["t1"]
		w.roster.Read(t.Context())
		w.want("at the start", "t1", "t2")
		if len(w.came) != 0 {
			t.Errorf("%v came, at the start", w.came)
		}
		w.pass(20*time.Second, "t1", "t2", "t3")
		w.want("one more", "t1", "t2", "t3")
		if !slices.Equal(w.came, []string{"t3[open_17ft]"}) {
			t.Errorf("%v came, want t3", w.came)
		}
		if w.asked != 2 {
			t.Errorf("%d questions about kinds in 20 s, want one for the first two and one for the third", w.asked)
		}
	})
}

func TestWhoeverLeftAnotherTaskIsOffWithinTwoReadings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.beat("t1", "t2", "t3")
		w.roster.Read(t.Context())
		delete(w.present, "t2")
		w.pass(10*time.Second, "t1", "t3")
		w.want("one reading later", "t1", "t2", "t3")
		w.pass(10*time.Second, "t1", "t3")
		w.want("two readings later", "t1", "t3")
		w.pass(10*time.Second, "t1", "t2", "t3")
		w.want("he came back", "t1", "t2", "t3")
	})
}

func TestAnEmptiedStoreTakesNobodyOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		all := []fleet.UserID{"t1", "t2", "t3", "t4"}
		w.beat(all...)
		w.roster.Read(t.Context())
		for range 5 { // their actors place those who beat here; the store stays empty
			<-time.After(10 * time.Second)
			clear(w.present)
			for _, id := range all {
				w.roster.Grid.Put(id, geo.Point{Lat: 12.97, Lng: 77.59}, []string{"open_17ft"}, time.Now().UnixMilli())
			}
			w.roster.Read(t.Context())
			w.want("the store is empty", all...)
		}
		w.beat("t1", "t2", "t3") // filled again, but for one
		w.roster.Read(t.Context())
		w.pass(20*time.Second, "t1", "t2", "t3")
		w.want("a minute later", "t1", "t2", "t3")
	})
}

func TestAStoreThatIsAwayLeavesPositionsToAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.beat("t1")
		w.roster.Read(t.Context())
		w.down = true
		w.pass(50 * time.Second)
		w.want("50 s away", "t1")
		w.pass(10 * time.Second)
		w.want("60 s away")
		if n := w.roster.Grid.Len(); n != 0 {
			t.Errorf("%d are still kept", n)
		}
		w.down = false
		w.pass(10*time.Second, "t1")
		w.want("back", "t1")
	})
}

func TestAFleetThatChangesElsewhereIsSeenWithinAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.beat("t1")
		w.roster.Read(t.Context())
		w.kinds["t1"] = []string{"open_20ft"}
		w.pass(70*time.Second, "t1")
		w.want("with other trucks")
		if _, keys, ok := w.roster.Grid.Where("t1", time.Now()); !ok || !slices.Equal(keys, []string{"open_20ft"}) {
			t.Errorf("kinds %v, %v", keys, ok)
		}
	})
}

func TestTheRosterReadsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.beat("t1")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.roster.Run(ctx) }()
		synctest.Wait()
		w.want("at once", "t1")
		<-time.After(25 * time.Second)
		w.beat("t1", "t2")
		<-time.After(10 * time.Second)
		synctest.Wait()
		w.want("at the next reading", "t1", "t2")
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
