package actors_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/access"
	"weelo/internal/fleet"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// counting is a hub that only counts positions.
type counting struct {
	actortest.Hub
	n atomic.Int64
}

func (c *counting) Position(protocol.Position) { c.n.Add(1) }

// benchDriver is a driver on a moving trip, with a socket.
func benchDriver(b testing.TB) (protocol.DriverLink, *counting) {
	b.Helper()
	s := trip.State{ID: "trip-1", Status: trip.InTransit, Live: true, DriverID: "D1", TransporterID: "T1", CustomerID: "C1"}
	stored := &rows{of: map[fleet.UserID]access.Row{"D1": {Trip: s, Version: 4}}}
	hub := &counting{}
	people := actortest.SmallWorld()
	sys := actortest.Start(b, actors.Config{}, actortest.NewProbe(protocol.KindTrip).Kind(),
		actors.TransporterActors(actors.TransporterConfig{Users: people}),
		actors.DriverActors(actors.DriverConfig{Publisher: hub, Users: people, Trips: stored, Rules: track.DefaultRules()}))
	l, err := actors.NewDrivers(sys).Attach(b.Context(), "D1", "T1")
	if err != nil {
		b.Fatal(err)
	}
	return l, hub
}

// BenchmarkReport is what a read loop pays for one position: the slot and, when none is on its way,
// the wake-up. The actor coalesces what it cannot follow.
func BenchmarkReport(b *testing.B) {
	l, _ := benchDriver(b)
	now := time.Now().UnixMilli()
	fix := track.Fix{ReceivedMS: now, Lat: 12.97, Lng: 77.59, Accuracy: 8}
	b.ReportAllocs()
	for n := int64(0); b.Loop(); n++ {
		fix.TS = now - 50_000 + n
		l.Report(fix)
	}
}

// BenchmarkReportShown is one position from the socket's hand to the hub's, the actor's turn
// included: each is waited for, so none is coalesced.
func BenchmarkReportShown(b *testing.B) {
	l, hub := benchDriver(b)
	start := time.Now().UnixMilli() - 50_000
	b.ReportAllocs()
	for n := int64(1); b.Loop(); n++ {
		showOne(l, hub, start+n)
	}
}

// showOne reports one believable fix and waits until the hub has it.
func showOne(l protocol.DriverLink, hub *counting, ts int64) {
	before := hub.n.Load()
	l.Report(track.Fix{TS: ts, ReceivedMS: ts, Lat: 12.97, Lng: 77.59, Accuracy: 8})
	for hub.n.Load() == before {
		runtime.Gosched()
	}
}

// A position allocates nothing between the socket and the hub, but for the closure with which the
// actor library schedules a mailbox that was idle. Not parallel: allocations are counted for the
// whole process.
//
//nolint:paralleltest // see above
func TestAPositionCostsOneScheduling(t *testing.T) {
	l, hub := benchDriver(t)
	ts := time.Now().UnixMilli() - 50_000
	if n := testing.AllocsPerRun(2000, func() {
		ts++
		showOne(l, hub, ts)
	}); n > 1 {
		t.Fatalf("%v allocations for a position, want the one of scheduling", n)
	}
}

// BenchmarkFleet is the load of a task: positions of 2,000 drivers one after the other, each shown.
func BenchmarkFleet(b *testing.B) {
	const drivers = 2_000
	people, hub := actortest.SmallWorld(), &counting{}
	live := &rows{of: map[fleet.UserID]access.Row{}}
	ids := make([]fleet.UserID, drivers)
	for i := range ids {
		ids[i] = fleet.UserID(fmt.Sprintf("driver-%08d", i))
		people.Users[ids[i]] = fleet.User{ID: ids[i], Role: fleet.Driver, TransporterID: "T1", Available: true}
		live.set(trip.State{ID: "trip-" + string(ids[i]), Status: trip.InTransit, Live: true, DriverID: ids[i], TransporterID: "T1"}, 4)
	}
	sys := actortest.Start(b, actors.Config{}, actortest.NewProbe(protocol.KindTrip).Kind(),
		actors.TransporterActors(actors.TransporterConfig{Users: people}),
		actors.DriverActors(actors.DriverConfig{Publisher: hub, Users: people, Trips: live, Rules: track.DefaultRules()}))
	links := make([]protocol.DriverLink, drivers)
	for i := range links {
		l, err := actors.NewDrivers(sys).Attach(b.Context(), ids[i], "T1")
		if err != nil {
			b.Fatal(err)
		}
		links[i] = l
	}
	b.ReportAllocs()
	b.ResetTimer()
	ts := int64(0)
	for n := range b.N {
		if n%drivers == 0 { // a round at a time, so that none is coalesced
			awaitShown(b, hub, int64(n))
			ts = max(ts+1, time.Now().UnixMilli())
		}
		links[n%drivers].Report(track.Fix{TS: ts, ReceivedMS: ts, Lat: 12.97, Lng: 77.59, Accuracy: 8})
	}
	awaitShown(b, hub, int64(b.N))
}

// awaitShown waits until the hub has seen so many positions.
func awaitShown(b *testing.B, hub *counting, n int64) {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Second); hub.n.Load() < n; runtime.Gosched() {
		if time.Now().After(deadline) {
			b.Fatalf("%d positions shown, want %d", hub.n.Load(), n)
		}
	}
}

// BenchmarkIdleDrivers reports what one connected, silent driver costs in memory, actor and link.
func BenchmarkIdleDrivers(b *testing.B) {
	const drivers = 20_000
	people := actortest.SmallWorld()
	for b.Loop() {
		sys := actortest.Start(b, actors.Config{}, actortest.NewProbe(protocol.KindTrip).Kind(),
			actors.TransporterActors(actors.TransporterConfig{Users: people}),
			actors.DriverActors(actors.DriverConfig{
				Publisher: &counting{}, Users: people, Trips: &rows{of: map[fleet.UserID]access.Row{}}, Rules: track.DefaultRules(),
			}))
		before := heap()
		links := make([]protocol.DriverLink, drivers)
		for i := range links {
			id := fleet.UserID(fmt.Sprintf("driver-%08d", i))
			people.Users[id] = fleet.User{ID: id, Role: fleet.Driver, TransporterID: "T1"}
		}
		for i := range links {
			l, err := actors.NewDrivers(sys).Attach(b.Context(), fleet.UserID(fmt.Sprintf("driver-%08d", i)), "T1")
			if err != nil {
				b.Fatal(err)
			}
			links[i] = l
		}
		for sys.Live("driver") < drivers {
			runtime.Gosched()
		}
		b.ReportMetric(float64(heap()-before)/drivers, "B/driver")
		runtime.KeepAlive(links)
	}
}

// heap is what is reachable.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
