package actors_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/access"
	"weelo/internal/fleet"
	"weelo/internal/presence"
	"weelo/internal/track"
	"weelo/internal/trip"
	"weelo/store/memory"
)

// yard is a task with drivers and transporters, and the stores behind them.
type yard struct {
	t        *testing.T
	people   actortest.People
	hub      *actortest.Hub
	rows     *rows
	presence *memory.Presence
	spots    *memory.Positions
	tracks   beliefs
	trips    *actortest.Probe
	sys      *actors.System
	drivers  *actors.Drivers
	owners   *actors.Transporters
	grid     *fleet.Grid
	arrivals arrivals
	judged   judged
}

// rows are the live trips as stored.
type rows struct {
	mu   sync.Mutex
	of   map[fleet.UserID]access.Row
	down bool
}

func (r *rows) Live(_ context.Context, by access.By, _ int) ([]access.Row, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return nil, errors.New("planted: the store is down")
	}
	if by.Everybody {
		return slices.Collect(maps.Values(r.of)), nil
	}
	if row, ok := r.of[by.Driver]; ok {
		return []access.Row{row}, nil
	}
	return nil, nil
}

func (r *rows) set(s trip.State, version int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of[s.DriverID] = access.Row{Trip: s, Version: version}
}

func (r *rows) outage(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// beliefs are where the tracks of trips say that the trucks were last.
type beliefs map[string]track.Fix

func (b beliefs) Believed(_ context.Context, s trip.State) (track.Fix, bool, error) {
	fix, ok := b[s.ID]
	return fix, ok, nil
}

// judged counts verdicts.
type judged struct {
	mu sync.Mutex
	of map[track.Verdict]int
}

func (j *judged) Fix(v track.Verdict) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.of == nil {
		j.of = map[track.Verdict]int{}
	}
	j.of[v]++
}

func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{
		grid: fleet.NewGrid(presence.TransporterLife),
		t:    t, people: actortest.SmallWorld(), hub: &actortest.Hub{}, rows: &rows{of: map[fleet.UserID]access.Row{}},
		presence: memory.NewPresence(), spots: memory.NewPositions(), tracks: beliefs{}, trips: actortest.NewProbe(protocol.KindTrip),
	}
	y.start(y.hub)
	return y
}

// start is another task over the same stores; the one before lives on unheard.
func (y *yard) start(publisher protocol.Publisher) {
	y.t.Helper()
	holder := &lateRouter{}
	writer := actors.NewPresenceWriter(y.presence, y.spots, actors.LostTo(holder), nil, discard)
	y.sys = actortest.Start(y.t, actors.Config{}, y.trips.Kind(),
		actors.DriverActors(actors.DriverConfig{
			Publisher: publisher, Users: y.people, Trips: y.rows, Presence: y.presence, Positions: y.spots, Tracks: y.tracks,
			Writer: writer, Rules: track.DefaultRules(), Fixes: &y.judged,
		}),
		actors.TransporterActors(actors.TransporterConfig{
			Users: y.people, Presence: y.presence, Writer: writer, Vehicles: y.people, Grid: y.grid, Came: y.arrivals.came,
		}))
	holder.Router = y.sys
	run(y.t, writer.Run)
	y.drivers, y.owners = actors.NewDrivers(y.sys), actors.NewTransporters(y.sys)
}

// another is a second task beside the first.
func (y *yard) another() *actors.System {
	y.t.Helper()
	sys, drivers, owners := y.sys, y.drivers, y.owners
	y.start(y.hub)
	other := y.sys
	y.sys, y.drivers, y.owners = sys, drivers, owners
	return other
}

var discard = slog.New(slog.DiscardHandler)

// lateRouter is a router that is known only after the kinds are.
type lateRouter struct{ actors.Router }

func (y *yard) attach() protocol.DriverLink {
	y.t.Helper()
	l, err := y.drivers.Attach(y.t.Context(), "D1", "T1")
	if err != nil {
		y.t.Fatal(err)
	}
	return l
}

func (y *yard) driver() *protocol.Driver {
	y.t.Helper()
	d, err := y.drivers.Get(y.t.Context(), "D1")
	if err != nil {
		y.t.Fatal(err)
	}
	return d
}

func (y *yard) available(yes bool) {
	y.t.Helper()
	u := y.people.Users["D1"]
	u.Available = yes
	y.people.Users["D1"] = u
	if err := y.drivers.SetAvailable(y.t.Context(), "D1", yes); err != nil {
		y.t.Fatal(err)
	}
}

// said lists the soft events as user:event:what.
func (y *yard) said() []string {
	synctest.Wait()
	var all []string
	for _, n := range y.hub.Notes() {
		what := ""
		switch data := n.Data.(type) {
		case protocol.DriverStatusData:
			what = data.Action
		case protocol.ConnectivityData:
			what = data.Kind
		}
		all = append(all, string(n.User)+":"+n.Event+":"+what)
	}
	return all
}

func (y *yard) wantSaid(want ...string) {
	y.t.Helper()
	if diff := cmp.Diff(want, y.said()); diff != "" {
		y.t.Fatalf("said (-want +got):\n%s", diff)
	}
}

// onTrip puts the driver on an accepted trip, by row alone.
func (y *yard) onTrip() trip.State {
	s := trip.State{
		ID: "trip-1", Status: trip.InTransit, Live: true, DriverID: "D1", VehicleID: "V1", TransporterID: "T1", CustomerID: "C1",
		Names: trip.Names{Driver: "Ravi"}, Vehicle: trip.Vehicle{Number: "KA01AB0001"},
	}
	y.rows.set(s, 4)
	return s
}

func fixAt(at time.Time, lat, lng float64) track.Fix {
	return track.Fix{TS: at.UnixMilli(), Lat: lat, Lng: lng, Accuracy: 8}
}

func TestPositionOfAMovingTripIsShown(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.onTrip()
		l := y.attach()
		fix := fixAt(time.Now(), 12.97, 77.59)
		l.Report(fix)
		synctest.Wait()
		fix.ReceivedMS = time.Now().UnixMilli()
		want := []protocol.Position{{TripID: "trip-1", Driver: "D1", Transporter: "T1", Customer: "C1", Fix: fix}}
		if diff := cmp.Diff(want, y.hub.Positions()); diff != "" {
			t.Fatalf("shown (-want +got):\n%s", diff)
		}
		if got := y.driver(); got.Live == nil || got.Trip == nil || got.Trip.TripID != "trip-1" {
			t.Fatalf("driver = %+v", got)
		}
	})
}

func TestOnlyBelievedFixesMoveThePosition(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.onTrip()
		l := y.attach()
		now := time.Now()
		report := func(f track.Fix) { l.Report(f); synctest.Wait() }
		report(fixAt(now, 12.97, 77.59))
		report(fixAt(now, 12.98, 77.59))                      // the same time again
		report(fixAt(now.Add(-2*time.Second), 12.96, 77.59))  // overtaken
		report(fixAt(now.Add(time.Second), 28.61, 77.20))     // Delhi, a second later
		report(fixAt(now.Add(-5*time.Minute), 12.95, 77.59))  // old
		mock := fixAt(now.Add(2*time.Second), 12.9701, 77.59) // simulated
		mock.Mock = true
		report(mock)
		report(fixAt(now.Add(3*time.Second), 12.9702, 77.59))
		if got := y.hub.Positions(); len(got) != 2 || got[1].Fix.Lat != 12.9702 {
			t.Fatalf("shown = %+v, want the first and the last", got)
		}
		want := map[track.Verdict]int{track.Moved: 2, track.Late: 2, track.Jump: 1, track.Old: 1, track.Mock: 1}
		if diff := cmp.Diff(want, y.judged.of); diff != "" {
			t.Fatalf("verdicts (-want +got):\n%s", diff)
		}
	})
}

// gated is a publisher that holds the actor in its turn.
type gated struct {
	*actortest.Hub
	gate chan struct{}
}

func (g gated) Position(p protocol.Position) {
	<-g.gate
	g.Hub.Position(p)
}

func TestSlowActorNeverQueuesMoreThanOneFix(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.onTrip()
		slow := gated{y.hub, make(chan struct{})}
		y.start(slow)
		l := y.attach()
		now := time.Now()
		l.Report(fixAt(now, 12.97, 77.59))
		synctest.Wait() // the actor stands in Position
		for n := range 10_000 {
			l.Report(fixAt(now.Add(time.Duration(n+1)*time.Millisecond), 12.97, 77.59))
		}
		close(slow.gate)
		synctest.Wait()
		got := y.hub.Positions()
		if len(got) != 2 || got[1].Fix.TS != now.Add(10*time.Second).UnixMilli() {
			t.Fatalf("%d shown, want the first and the newest", len(got))
		}
	})
}

func TestTripsAreFollowed(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		l := y.attach()
		n := 0
		shown := func() int {
			n++
			l.Report(fixAt(time.Now().Add(time.Duration(n)*time.Second), 12.97, 77.59))
			synctest.Wait()
			return len(y.hub.Positions())
		}
		tell := func(msg any) {
			if err := y.sys.Tell(t.Context(), protocol.DriverAddress("D1"), msg); err != nil {
				t.Fatal(err)
			}
		}
		if shown() != 0 {
			t.Fatal("shown without a trip")
		}
		lt := protocol.LiveTrip{TripID: "trip-1", Driver: "D1", Transporter: "T1"}
		tell(&protocol.TripTaken{Trip: lt, Version: 1})
		if shown() != 0 {
			t.Fatal("shown before the driver accepted")
		}
		moving := lt
		moving.Moving = true
		tell(&protocol.TripTaken{Trip: moving, Version: 2})
		tell(&protocol.TripTaken{Trip: lt, Version: 1}) // late
		if shown() != 1 {
			t.Fatal("not shown on a moving trip")
		}
		tell(&protocol.TripLeft{TripID: "another"})
		if shown() != 1 {
			t.Fatal("the end of another trip ended this one")
		}
		tell(&protocol.TripLeft{TripID: "trip-1"})
		tell(&protocol.TripTaken{Trip: moving, Version: 2}) // late
		if shown() != 0 {
			t.Fatal("shown after the end")
		}
	})
}

func TestTripHearsASample(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.onTrip()
		l := y.attach()
		for step := range 61 { // five minutes
			l.Report(fixAt(time.Now(), 12.97+float64(step)*0.0001, 77.59))
			<-time.After(5 * time.Second)
		}
		if told := y.trips.Take(); len(told) != 11 {
			t.Fatalf("the trip heard %d positions in five minutes, want one in 30 s", len(told))
		}
		if shown := y.hub.Positions(); len(shown) != 61 {
			t.Fatalf("%d shown, want every one of 61", len(shown))
		}
	})
}
