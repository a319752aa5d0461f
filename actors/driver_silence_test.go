package actors_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors/protocol"
	"weelo/internal/track"
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
		told := &protocol.TripTaken{Trip: protocol.LiveTrip{TripID: s.ID, Transporter: "T1", Customer: "C1", Moving: true}, Version: 4}
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
