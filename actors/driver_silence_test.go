package actors_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors"
	"weelo/actors/protocol"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// connectivity lists what was said about silence: to whom, what, and the age of the last position.
func (y *yard) connectivity() []protocol.ConnectivityData {
	y.t.Helper()
	var all []protocol.ConnectivityData
	for _, n := range y.hub.Notes() {
		if data, ok := n.Data.(protocol.ConnectivityData); ok {
			all = append(all, data)
		}
	}
	return all
}

// The phone answers every ping and has no position: GPS is off, or the app's permission was taken.
// He is present, and yet whoever watches his truck is told.
func TestPhoneWithoutPositionIsTold(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.onTrip()
		l := y.attach()
		l.Report(fixAt(time.Now(), 12.97, 77.59))
		y.wantSaid("T1:driver_status:online")
		beat := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); {
				<-time.After(5 * time.Second)
				l.Beat()
			}
		}
		beat(55 * time.Second)
		y.wantSaid()
		beat(10 * time.Second)
		y.wantSaid("T1:driver_connectivity:driver_may_be_offline")
		beat(50 * time.Second)
		y.wantSaid()
		beat(10 * time.Second)
		y.wantSaid("C1:driver_connectivity:driver_connectivity_issue")
		if got := y.driver(); !got.Online {
			t.Fatalf("driver = %+v, want present", got)
		}
	})
}

// What nobody believes moves no position: a simulated one does not end the silence either.
func TestDisbelievedFixesAreSilence(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.onTrip()
		l := y.attach()
		l.Report(fixAt(time.Now(), 12.97, 77.59))
		for range 13 {
			<-time.After(5 * time.Second)
			f := fixAt(time.Now(), 12.98, 77.59)
			f.Mock = true
			l.Report(f)
		}
		y.wantSaid("T1:driver_status:online", "T1:driver_connectivity:driver_may_be_offline")
		if got := y.judged.of; got[track.Mock] != 13 {
			t.Fatalf("verdicts %v", got)
		}
	})
}

// An old position is no alarm by itself: a minute is waited from the moment the trip moves, or its
// driver is known here. What is said then is the true age.
func TestSilenceBeginsWithTheMovingTrip(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		l := y.attach()
		l.Report(fixAt(time.Now(), 12.97, 77.59))
		<-time.After(10 * time.Minute)
		s := y.onTrip()
		told := &protocol.TripTaken{Trip: protocol.LiveTrip{TripID: s.ID, Driver: "D1", Transporter: "T1", Customer: "C1", Moving: true}, Version: 4}
		if err := y.sys.Tell(t.Context(), protocol.DriverAddress("D1"), told); err != nil {
			t.Fatal(err)
		}
		y.said()
		<-time.After(59 * time.Second)
		y.wantSaid()
		<-time.After(2 * time.Second)
		var ages []int64
		for _, c := range y.connectivity() {
			ages = append(ages, c.LastSeenSeconds)
		}
		if diff := cmp.Diff([]int64{660}, ages); diff != "" {
			t.Fatalf("said (-want +got):\n%s", diff)
		}
	})
}

// The task died while the phone was off-line, and the phone never comes back: the next task tells
// the same people, because it reads the moving trips at its start.
func TestSilentDriverIsWatchedAfterARestart(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		s := y.onTrip()
		s.ID, s.DriverID, s.Status = "trip-2", "D2", trip.Pending // waits for its driver, who is no matter yet
		y.rows.set(s, 1)
		y.attach().Report(fixAt(time.Now(), 12.97, 77.59))
		<-time.After(2 * time.Second)
		y.said()
		if err := y.sys.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		y.rows.outage(true) // and its store is late
		y.start(y.hub)
		run(t, (&actors.MovingTrips{Trips: y.rows, Router: y.sys, Log: discard}).Run)
		<-time.After(7 * time.Second)
		y.rows.outage(false)
		<-time.After(130 * time.Second)
		var told []string
		for _, c := range y.connectivity() {
			told = append(told, c.TripID+" "+c.Kind)
		}
		if diff := cmp.Diff([]string{"trip-1 driver_may_be_offline", "trip-1 driver_connectivity_issue"}, told); diff != "" {
			t.Fatalf("said (-want +got):\n%s", diff)
		}
		if n := y.sys.Live(protocol.KindDriver); n != 1 {
			t.Fatalf("%d drivers in memory, want the one on the road", n)
		}
	})
}

// Two tasks know him, and his socket is with one of them: the other asks the shared store before it
// says that nobody hears him.
func TestDriverHeardElsewhereIsNotSilent(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.onTrip()
		l := y.attach()
		other := y.another()
		run(t, (&actors.MovingTrips{Trips: y.rows, Router: other, Log: discard}).Run)
		for range 60 {
			l.Report(fixAt(time.Now(), 12.97, 77.59))
			<-time.After(5 * time.Second)
		}
		if other.Live(protocol.KindDriver) != 1 {
			t.Fatal("the second task does not watch him")
		}
		y.wantSaid("T1:driver_status:online")
		<-time.After(65 * time.Second)
		if got := y.connectivity(); len(got) == 0 {
			t.Fatal("silence with both is not told")
		}
	})
}
