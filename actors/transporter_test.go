package actors_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// arrivals are the transporters who could be offered what was open before.
type arrivals struct {
	mu  sync.Mutex
	who []string
}

func (a *arrivals) came(id fleet.UserID, _ geo.Point, keys []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.who = append(a.who, string(id)+" "+strings.Join(keys, " "))
}

func (a *arrivals) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { a.who = nil }()
	return slices.Clone(a.who)
}

// report is a heartbeat of T1 at a place in Bengaluru.
func (y *yard) report() *protocol.Transporter {
	y.t.Helper()
	now := time.Now().UnixMilli()
	got, err := y.owners.Report(y.t.Context(), "T1", track.Fix{TS: now, ReceivedMS: now, Lat: 12.97, Lng: 77.59})
	if err != nil {
		y.t.Fatal(err)
	}
	return got
}

// wants is the switch of T1: the row and the message.
func (y *yard) wants(available bool) {
	y.t.Helper()
	u := y.people.Users["T1"]
	u.Available = available
	y.people.Users["T1"] = u
	if err := y.owners.SetAvailable(y.t.Context(), "T1", available); err != nil {
		y.t.Fatal(err)
	}
}

// near is who is found for an open truck of 17 feet, around that place.
func (y *yard) near() (ids []fleet.UserID) {
	for _, l := range y.grid.Nearest(fleet.Query{Key: "open_17ft", At: geo.Point{Lat: 12.98, Lng: 77.58}, RadiusKM: 5, Now: time.Now()}) {
		ids = append(ids, l.Transporter)
	}
	return ids
}

func (y *yard) wantNear(when string, want ...fleet.UserID) {
	y.t.Helper()
	synctest.Wait()
	if got := y.near(); !slices.Equal(got, want) {
		y.t.Fatalf("%s: %v are found, want %v", when, got, want)
	}
}

func (y *yard) wantCame(when string, want ...string) {
	y.t.Helper()
	synctest.Wait()
	if got := y.arrivals.take(); !slices.Equal(got, want) {
		y.t.Fatalf("%s: %v came, want %v", when, got, want)
	}
}

func TestOrdersFindTransportersWhileTheyAreOnline(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		got := y.report()
		want := protocol.TransporterFleet{Vehicles: 2, Keys: []string{"open_17ft"}, First: "V1", FirstKey: "open_17ft"}
		if diff := cmp.Diff(want, got.Fleet); diff != "" || got.Online || !got.FleetKnown {
			t.Fatalf("offline: %+v (-want +got):\n%s", got, diff)
		}
		y.wantNear("offline")
		y.wants(true)
		y.wantNear("online, where he reported before", "T1")
		y.wantCame("online", "T1 open_17ft")
		for range 5 {
			<-time.After(5 * time.Second)
			y.report()
		}
		y.wantNear("beating", "T1")
		y.wantCame("still online")
		<-time.After(59 * time.Second)
		y.wantNear("59 s after the last beat", "T1")
		<-time.After(time.Second)
		y.wantNear("60 s after the last beat")
	})
}

func TestALateReportPutsNobodyBackWhereOrdersLook(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.wants(true)
		y.report()
		y.wantNear("online", "T1")
		<-time.After(time.Second)
		y.wants(false)
		y.wantNear("offline")
		for range 4 {
			if got := y.report(); got.Online {
				t.Fatal("revived by a heartbeat")
			}
			<-time.After(5 * time.Second)
		}
		y.wantNear("offline, and beating")
		y.wants(true)
		y.report()
		y.wantNear("online again", "T1")
	})
}

func TestAfterSilenceAReportBringsBackWhoWantsToBeThere(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.wants(true)
		y.report()
		y.wantCame("online", "T1 open_17ft")
		<-time.After(3 * time.Minute) // a tunnel
		y.wantNear("in the tunnel")
		y.report()
		y.wantNear("behind it", "T1")
		y.wantCame("behind it", "T1 open_17ft")
	})
}

func TestAFleetThatChangesIsPlacedAnewAndOfferedWhatIsOpen(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.wants(true)
		y.report()
		y.wantCame("online", "T1 open_17ft")
		change := func(subtype, status string) {
			for _, id := range []fleet.VehicleID{"V1", "V2"} {
				v := y.people.Trucks[id]
				v.Subtype, v.Status = subtype, status
				y.people.Trucks[id] = v
			}
			y.owners.FleetChanged("T1")
		}
		change("20 Feet", "available")
		y.wantNear("with other trucks")
		y.wantCame("with other trucks", "T1 open_20ft")
		change("17 Feet", "maintenance")
		y.wantNear("in the workshop")
		y.wantCame("in the workshop")
		if got := y.report(); got.Fleet.Vehicles != 2 || len(got.Fleet.Keys) != 0 || got.Fleet.First != "" || !got.Online {
			t.Fatalf("in the workshop: %+v", got)
		}
		change("17 Feet", "available")
		y.wantNear("repaired", "T1")
		y.wantCame("repaired", "T1 open_17ft")
	})
}

func TestAFleetThatAnotherTaskChangedIsSeenWithinAMinute(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.wants(true)
		y.report()
		y.wantNear("online", "T1")
		delete(y.people.Trucks, "V1")
		delete(y.people.Trucks, "V2")
		for range 13 {
			<-time.After(5 * time.Second)
			y.report()
		}
		y.wantNear("without trucks")
		if got := y.report(); got.Fleet.Vehicles != 0 || !got.FleetKnown {
			t.Fatalf("%+v", got)
		}
	})
}

func TestATripThatEndsTellsItsTransporter(t *testing.T) {
	in(t, func(t *testing.T) {
		r := newRoad(t, actortest.TripLedger())
		id := r.assign(wanted())
		r.owners.Take()
		r.must(id, trip.Decline{By: ravi, Reason: "far"})
		synctest.Wait()
		if diff := cmp.Diff([]actortest.Told{{To: "T1", Msg: protocol.FleetChanged{}}}, r.owners.Take()); diff != "" {
			t.Fatalf("told (-want +got):\n%s", diff)
		}
	})
}
