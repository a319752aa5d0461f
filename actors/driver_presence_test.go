package actors_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors"
	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/presence"
	"weelo/store/memory"
)

func TestPresenceFollowsSignsOfLife(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		l := y.attach()
		y.wantSaid("T1:driver_status:online")
		for range 10 {
			<-time.After(30 * time.Second)
			l.Beat()
		}
		if got := y.driver(); !got.Online || got.Sockets != 1 {
			t.Fatalf("driver = %+v", got)
		}
		<-time.After(35 * time.Second)
		y.wantSaid()
		<-time.After(2 * time.Second)
		y.wantSaid("T1:driver_status:offline")
		l.Beat()
		y.wantSaid("T1:driver_status:reconnected")
		l.Detach()
		<-time.After(time.Minute)
		y.wantSaid("T1:driver_status:offline")
		y.drivers.Beat("D1")
		y.wantSaid() // without a socket a beat renews and never creates
		<-time.After(20 * time.Minute)
		y.attach()
		y.wantSaid("T1:driver_status:online")
	})
}

func TestGoingOfflineWinsOverEveryBeat(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		l := y.attach()
		y.wantSaid("T1:driver_status:online")
		y.available(false)
		y.wantSaid("T1:driver_status:offline")
		for range 5 {
			l.Beat()
			l.Report(fixAt(time.Now(), 12.97, 77.59))
			<-time.After(10 * time.Second)
		}
		y.wantSaid()
		if got, err := y.presence.Read(t.Context(), []fleet.UserID{"D1"}, time.Now()); err != nil || len(got) != 0 {
			t.Fatalf("the store says %v, %v", got, err)
		}
		y.attach() // nor does a new socket
		y.wantSaid()
		y.available(true)
		y.wantSaid("T1:driver_status:online")
	})
}

func TestSilenceOnATripIsTold(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.onTrip()
		l := y.attach()
		l.Report(fixAt(time.Now(), 12.97, 77.59))
		y.wantSaid("T1:driver_status:online")
		<-time.After(59 * time.Second)
		y.wantSaid("T1:driver_status:offline")
		<-time.After(2 * time.Second)
		y.wantSaid("T1:driver_connectivity:driver_may_be_offline")
		<-time.After(58 * time.Second)
		y.wantSaid()
		<-time.After(2 * time.Second)
		y.wantSaid("C1:driver_connectivity:driver_connectivity_issue")
		l.Report(fixAt(time.Now(), 12.98, 77.59))
		y.wantSaid("T1:driver_status:reconnected")
		<-time.After(3 * time.Minute) // silent again, but they were told less than five minutes ago
		y.wantSaid("T1:driver_status:offline")
		l.Report(fixAt(time.Now(), 12.99, 77.59))
		<-time.After(3 * time.Minute)
		y.wantSaid("T1:driver_status:reconnected", "T1:driver_status:offline",
			"T1:driver_connectivity:driver_may_be_offline", "C1:driver_connectivity:driver_connectivity_issue")
	})
}

func TestRestartOfADriverLosesNothing(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		s := y.onTrip()
		l := y.attach()
		first := fixAt(time.Now(), 12.97, 77.59)
		l.Report(first)
		<-time.After(2 * time.Second)
		before := y.driver()
		y.start(y.hub) // another task, the same stores
		after := y.driver()
		if !after.Online || after.SinceMS != before.SinceMS || after.Trip == nil || after.Trip.TripID != s.ID || after.Transporter != "T1" {
			t.Fatalf("after the restart = %+v, before %+v", after, before)
		}
		y.said()
		y.attach().Report(fixAt(time.Now(), 12.971, 77.59))
		synctest.Wait()
		if got := y.hub.Positions(); len(got) != 2 {
			t.Fatalf("%d shown, want one before and one after", len(got))
		}
		y.wantSaid()
	})
}

func TestOutageOfTheRowsHidesNothingThatTheTripTells(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.onTrip()
		y.rows.outage(true)
		l := y.attach()
		l.Report(fixAt(time.Now(), 12.97, 77.59))
		synctest.Wait()
		if got := y.hub.Positions(); len(got) != 0 {
			t.Fatal("shown to whom?")
		}
		y.rows.outage(false)
		<-time.After(10 * time.Second)
		l.Report(fixAt(time.Now(), 12.97, 77.591))
		synctest.Wait()
		if got := y.hub.Positions(); len(got) != 1 {
			t.Fatal("the rows were not asked again after the outage")
		}
	})
}

func TestLostTripMessagesAreRepairedFromTheRows(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		l := y.attach()
		y.onTrip() // and nobody tells the driver's actor
		for range 70 {
			l.Beat()
			<-time.After(5 * time.Second)
		}
		if got := y.driver(); got.Trip == nil || got.Trip.TripID != "trip-1" {
			t.Fatalf("driver = %+v", got)
		}
	})
}

func TestEmptiedPresenceStoreIsFilledAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		l := y.attach()
		y.wantSaid("T1:driver_status:online")
		if _, err := y.presence.Leave(t.Context(), "D1", time.Now()); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			<-time.After(5 * time.Second)
			l.Beat()
		}
		got, err := y.presence.Read(t.Context(), []fleet.UserID{"D1"}, time.Now())
		if err != nil || len(got) != 1 {
			t.Fatalf("the store says %v, %v", got, err)
		}
		y.wantSaid()
	})
}

// He went offline by another task: his row says so and his presence is gone. This task's actor finds
// out with the next renewal and does not put him back.
func TestOfflineByAnotherTaskIsNotRevived(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		l := y.attach()
		y.wantSaid("T1:driver_status:online")
		u := y.people.Users["D1"]
		u.Available = false
		y.people.Users["D1"] = u
		if _, err := y.presence.Leave(t.Context(), "D1", time.Now()); err != nil {
			t.Fatal(err)
		}
		for range 6 {
			l.Beat()
			<-time.After(5 * time.Second)
		}
		y.wantSaid("T1:driver_status:offline")
		if got, err := y.presence.Read(t.Context(), []fleet.UserID{"D1"}, time.Now()); err != nil || len(got) != 0 {
			t.Fatalf("the store says %v, %v", got, err)
		}
	})
}

func TestIdleDriverLeavesMemory(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		l := y.attach()
		<-time.After(20 * time.Minute)
		if y.sys.Live("driver") != 1 {
			t.Fatal("a connected driver left memory")
		}
		l.Detach()
		<-time.After(10 * time.Minute)
		if y.sys.Live("driver") != 0 {
			t.Fatal("an offline driver without socket stayed")
		}
	})
}

func TestTransporterPresence(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		owner := func() *protocol.Transporter {
			got, err := y.owners.Get(t.Context(), "T1")
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		set := func(yes bool) {
			u := y.people.Users["T1"]
			u.Available = yes
			y.people.Users["T1"] = u
			if err := y.owners.SetAvailable(t.Context(), "T1", yes); err != nil {
				t.Fatal(err)
			}
		}
		detach, err := y.owners.Attach(t.Context(), "T1")
		if err != nil {
			t.Fatal(err)
		}
		if owner().Online {
			t.Fatal("online without wanting to be")
		}
		set(true)
		for range 6 {
			<-time.After(50 * time.Second)
			y.owners.Beat("T1")
		}
		if got := owner(); !got.Online || got.Sockets != 1 {
			t.Fatalf("transporter = %+v", got)
		}
		<-time.After(61 * time.Second)
		if owner().Online {
			t.Fatal("online 61 s after the last beat")
		}
		y.owners.Beat("T1") // his app beats over HTTP: back, because his row says available
		synctest.Wait()
		if !owner().Online {
			t.Fatal("a beat did not bring back who wants to be there")
		}
		set(false)
		<-time.After(10 * time.Second)
		y.owners.Beat("T1")
		synctest.Wait()
		if owner().Online {
			t.Fatal("a late beat revived who went offline")
		}
		detach()
		detach()
		if got := owner(); got.Sockets != 0 {
			t.Fatalf("%d sockets", got.Sockets)
		}
	})
}

func TestTransporterHearsOfHisDrivers(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.attach()
		synctest.Wait()
		got, err := y.owners.Get(t.Context(), "T1")
		if err != nil || got.DriversOnline != 1 {
			t.Fatalf("transporter = %+v, %v", got, err)
		}
		y.available(false)
		synctest.Wait()
		if got, err := y.owners.Get(t.Context(), "T1"); err != nil || got.DriversOnline != 0 {
			t.Fatalf("transporter = %+v, %v", got, err)
		}
	})
}

func TestReportWithoutASocketMovesThePosition(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.onTrip()
		y.drivers.Report("D1", fixAt(time.Now(), 12.97, 77.59))
		synctest.Wait()
		if got := y.hub.Positions(); len(got) != 1 {
			t.Fatalf("%d shown, want one", len(got))
		}
		y.wantSaid() // and nobody comes online by it
	})
}

// TestWithoutALastPositionTheTrackIsGoneOnFrom: an activation that finds the store of positions empty, or away, does
// not believe the first fix that comes, wherever it is.
func TestWithoutALastPositionTheTrackIsGoneOnFrom(t *testing.T) {
	for name, known := range map[string]bool{"the track knows": true, "nothing is known": false} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				y := newYard(t)
				s := y.onTrip()
				last := fixAt(time.Now(), 12.97, 77.59)
				if known {
					y.tracks[s.ID] = last
				}
				<-time.After(10 * time.Second)
				y.drivers.Report("D1", fixAt(time.Now(), 17.47, 77.59)) // 500 km
				synctest.Wait()
				shown := y.hub.Positions()
				if d := y.driver(); known && (len(shown) != 0 || d.Live == nil || *d.Live != last) {
					t.Fatalf("a jump was shown: %+v, the driver is at %+v", shown, d.Live)
				} else if !known && len(shown) != 1 {
					t.Fatalf("%d shown, want the first fix of all", len(shown))
				}
				if !known {
					return
				}
				near := fixAt(time.Now(), 12.9705, 77.59)
				near.TS++
				y.drivers.Report("D1", near)
				synctest.Wait()
				if got := y.hub.Positions(); len(got) != 1 || got[0].Fix.Lat != 12.9705 {
					t.Errorf("shown %+v, want where he went on", got)
				}
			})
		})
	}
}

func TestEmptiedStoreIsFilledWithTransportersAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		u := y.people.Users["T1"]
		u.Available = true
		y.people.Users["T1"] = u
		if _, err := y.owners.Attach(t.Context(), "T1"); err != nil {
			t.Fatal(err)
		}
		beat := func() map[fleet.UserID]presence.Entry {
			for range 4 {
				y.owners.Beat("T1")
				<-time.After(5 * time.Second)
			}
			got, err := y.presence.Read(t.Context(), []fleet.UserID{"T1"}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if len(beat()) != 1 {
			t.Fatal("not present")
		}
		if _, err := y.presence.Leave(t.Context(), "T1", time.Now()); err != nil {
			t.Fatal(err)
		}
		if len(beat()) != 1 {
			t.Fatal("the emptied store was not filled again")
		}
		u.Available = false // by another task
		y.people.Users["T1"] = u
		if _, err := y.presence.Leave(t.Context(), "T1", time.Now()); err != nil {
			t.Fatal(err)
		}
		if len(beat()) != 0 {
			t.Fatal("revived who went offline by another task")
		}
	})
}

// shaky is a presence store with outages.
type shaky struct {
	*memory.Presence
	down  atomic.Bool
	calls atomic.Int64
}

func (s *shaky) Move(ctx context.Context, moves []presence.Move, now time.Time) error {
	s.calls.Add(1)
	if s.down.Load() {
		<-ctx.Done() // it hangs
		return ctx.Err()
	}
	<-time.After(time.Second) // and is slow at its best
	return s.Presence.Move(ctx, moves, now)
}

// A shift begins and the store is slow: everybody is present a moment later all the same, and the
// last round of a task that stops is as short.
func TestManyArriveAtASlowStore(t *testing.T) {
	in(t, func(t *testing.T) {
		store := &shaky{Presence: memory.NewPresence()}
		w := actors.NewPresenceWriter(store, memory.NewPositions(), func(presence.Person) {}, nil, discard)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		for i := range 900 {
			w.Enter(presence.Person{User: fleet.UserID(fmt.Sprint("D", i)), Role: fleet.Driver})
		}
		go func() { ended <- w.Run(ctx) }()
		<-time.After(4 * time.Second)
		if all, err := store.All(t.Context(), time.Now()); err != nil || len(all) != 900 {
			t.Fatalf("%d present after 4 s, %v, want 900", len(all), err)
		}
		store.down.Store(true)
		for i := range 900 {
			w.Leave(presence.Person{User: fleet.UserID(fmt.Sprint("D", i)), Role: fleet.Driver})
		}
		began := time.Now()
		stop()
		if err := <-ended; err != nil || time.Since(began) > 10*time.Second {
			t.Fatalf("the last round took %s, %v", time.Since(began), err)
		}
	})
}

func TestPresenceIsWrittenAfterAnOutage(t *testing.T) {
	in(t, func(t *testing.T) {
		store := &shaky{Presence: memory.NewPresence()}
		w := actors.NewPresenceWriter(store, memory.NewPositions(), func(presence.Person) {}, nil, discard)
		run(t, w.Run)
		store.down.Store(true)
		for _, id := range []fleet.UserID{"D1", "D2", "D3"} {
			w.Enter(presence.Person{User: id, Role: fleet.Driver})
		}
		w.Leave(presence.Person{User: "D2", Role: fleet.Driver})
		<-time.After(30 * time.Second)
		if n := store.calls.Load(); n > 12 {
			t.Fatalf("%d calls in 30 s of an outage, want one in 3 s", n)
		}
		store.down.Store(false)
		<-time.After(5 * time.Second)
		got, err := store.Read(t.Context(), []fleet.UserID{"D1", "D2", "D3"}, time.Now())
		if err != nil || len(got) != 2 {
			t.Fatalf("present after the outage: %v, %v, want D1 and D3", got, err)
		}
	})
}
