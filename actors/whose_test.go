package actors_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// astray is a router that delivers to another actor than the one that was meant.
type astray struct {
	actors.Router
	to protocol.Address
}

func (a astray) Tell(ctx context.Context, _ protocol.Address, msg any) error {
	return a.Router.Tell(ctx, a.to, msg)
}

func (a astray) Ask(ctx context.Context, _ protocol.Address, msg any) (any, error) {
	return a.Router.Ask(ctx, a.to, msg)
}

// TestADriversActorHearsHisSessionsOnly: what another driver's session says moves nothing, wherever it arrives.
func TestADriversActorHearsHisSessionsOnly(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		y.available(false)
		lt := protocol.LiveTrip{TripID: "trip-1", Driver: "D1", Transporter: "T1", Moving: true}
		tell := func(msg any) {
			t.Helper()
			if err := y.sys.Tell(t.Context(), protocol.DriverAddress("D1"), msg); err != nil {
				t.Fatal(err)
			}
		}
		tell(&protocol.TripTaken{Trip: lt, Version: 1})
		own := y.attach()
		own.Report(fixAt(time.Now(), 12.97, 77.59))
		synctest.Wait()
		before := y.driver()
		if len(y.hub.Positions()) != 1 {
			t.Fatal("his own position was not shown")
		}

		<-time.After(time.Second)
		foreign := actors.NewDrivers(astray{y.sys, protocol.DriverAddress("D1")})
		l, err := foreign.Attach(t.Context(), "D2", "T1")
		if err != nil {
			t.Fatal(err)
		}
		l.Report(fixAt(time.Now(), 12.98, 77.59))
		l.Beat()
		l.Detach()
		foreign.Report("D2", fixAt(time.Now(), 12.98, 77.59))
		if err := foreign.SetAvailable(t.Context(), "D2", true); fault.From(err).Reason != "FORBIDDEN" {
			t.Errorf("made available by another: %v", err)
		}
		other := lt
		other.TripID, other.Driver = "trip-2", "D2"
		tell(&protocol.TripTaken{Trip: other, Version: 9})
		synctest.Wait()
		after := y.driver()
		if len(y.hub.Positions()) != 0 || after.Available || after.Sockets != 1 || after.SeenMS != before.SeenMS || *after.Live != *before.Live || after.Trip.TripID != "trip-1" {
			t.Errorf("before %+v, after %+v", before, after)
		}
		own.Report(fixAt(time.Now(), 12.9701, 77.59))
		synctest.Wait()
		if len(y.hub.Positions()) != 1 {
			t.Error("his own positions are not shown any more")
		}
	})
}

// TestASessionOfAFleetHeLeft: the rows decide whom he drives for. A session of another fleet is not heard; one of
// a fleet that he has joined meanwhile is, as soon as the rows were read again.
func TestASessionOfAFleetHeLeft(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		lt := protocol.LiveTrip{TripID: "trip-1", Driver: "D1", Transporter: "T1", Moving: true}
		take := func(version int64) {
			t.Helper()
			if err := y.sys.Tell(t.Context(), protocol.DriverAddress("D1"), &protocol.TripTaken{Trip: lt, Version: version}); err != nil {
				t.Fatal(err)
			}
		}
		take(1)
		old := y.attach()
		old.Report(fixAt(time.Now(), 12.97, 77.59))
		synctest.Wait()
		if d := y.driver(); d.Live == nil || d.Transporter != "T1" || len(y.hub.Positions()) != 1 {
			t.Fatalf("%+v", d)
		}
		<-time.After(10 * time.Second)
		u := y.people.Users["D1"]
		u.TransporterID = "T2"
		y.people.Users["D1"] = u
		fresh, err := y.drivers.Attach(t.Context(), "D1", "T2")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the rows are read again
		take(2)         // a trip of the fleet that he left should have ended before
		first := fixAt(time.Now(), 12.9702, 77.59)
		fresh.Report(first)
		synctest.Wait()
		if d := y.driver(); d.Transporter != "T2" || d.Live.TS != first.TS {
			t.Errorf("the new fleet's session was not heard: %+v", d)
		} else if shown := y.hub.Positions(); len(shown) != 0 || d.Trip == nil {
			t.Errorf("on a trip of the old fleet (%+v) the driver of the new one was shown: %+v", d.Trip, shown)
		}
		<-time.After(10 * time.Second)
		old.Report(fixAt(time.Now(), 12.9704, 77.59))
		old.Beat()
		if _, err := y.drivers.Attach(t.Context(), "D1", "T1"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if d := y.driver(); d.Live.TS != first.TS || d.Transporter != "T2" {
			t.Errorf("the old fleet's session was heard: %+v", d)
		}
	})
}

// TestATransportersActorHearsHimselfOnly.
func TestATransportersActorHearsHimselfOnly(t *testing.T) {
	in(t, func(t *testing.T) {
		y := newYard(t)
		foreign := actors.NewTransporters(astray{y.sys, protocol.TransporterAddress("T1")})
		now := time.Now().UnixMilli()
		before, err := y.owners.Get(t.Context(), "T1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := foreign.Report(t.Context(), "T2", track.Fix{TS: now, ReceivedMS: now, Lat: 12.97, Lng: 77.59}); fault.From(err).Reason != "FORBIDDEN" {
			t.Errorf("placed by another: %v", err)
		}
		if err := foreign.SetAvailable(t.Context(), "T2", true); fault.From(err).Reason != "FORBIDDEN" {
			t.Errorf("made available by another: %v", err)
		}
		after, err := y.owners.Get(t.Context(), "T1")
		if err != nil || after.SeenMS != before.SeenMS || after.Available != before.Available || after.Online != before.Online {
			t.Errorf("before %+v, after %+v, %v", before, after, err)
		}
	})
}

// TestATripHearsItsPeopleOnly: every command and question of somebody who is not on the trip, or not in that role
// there, is not found, and no driver but its own moves it.
func TestATripHearsItsPeopleOnly(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		id := r.assign(wanted())
		stranger := trip.By{User: "D2", Role: fleet.Driver, Fleet: "T1"}
		former := trip.By{User: "D1", Role: fleet.Driver, Fleet: "T2"} // its driver, who drives for another by now
		boss, customer, rival := trip.By{User: "T1", Role: fleet.Transporter}, trip.By{User: "C1", Role: fleet.Customer}, trip.By{User: "T2", Role: fleet.Transporter}
		refused := func(c trip.Command) {
			t.Helper()
			if _, err := r.do(id, c); !errors.Is(err, trip.ErrNotFound) {
				t.Errorf("%T %+v: %v", c, c, err)
			}
		}
		for _, by := range []trip.By{stranger, former, boss, customer, rival} {
			refused(trip.Accept{By: by})
			refused(trip.Decline{By: by})
		}
		r.must(id, trip.Accept{By: ravi})
		before := r.stored(id)
		for _, by := range []trip.By{stranger, former, boss, customer, rival} {
			refused(trip.ChangeStatus{By: by, To: trip.AtPickup})
		}
		refused(trip.BreakDown{By: customer})
		for _, by := range []trip.By{stranger, former, rival, ravi} {
			refused(trip.Cancel{By: by})
		}
		for _, by := range []trip.By{stranger, former, rival} {
			refused(trip.BreakDown{By: by})
			if _, err := r.command(id, &protocol.GetTrip{By: by}); !errors.Is(err, trip.ErrNotFound) {
				t.Errorf("read by %+v: %v", by, err)
			}
		}
		fix := fixAt(time.Now(), 12.98, 77.6)
		if err := r.sys.Tell(t.Context(), protocol.TripAddress(id), &protocol.DriverMoved{Driver: "D2", Fix: fix}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got, err := r.command(id, &protocol.GetTrip{})
		if err != nil || got.Live != nil || got.State.Status != before.Status || got.State.Count != before.Count {
			t.Errorf("before %+v, after %+v, %v", before, got, err)
		}
		if err := r.sys.Tell(t.Context(), protocol.TripAddress(id), &protocol.DriverMoved{Driver: "D1", Fix: fix}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got, err := r.command(id, &protocol.GetTrip{}); err != nil || got.Live == nil || got.Live.TS != fix.TS {
			t.Errorf("its own driver was not heard: %+v, %v", got, err)
		}
	})
}
