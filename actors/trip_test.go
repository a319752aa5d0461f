package actors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// road is a task with trips on a ledger in memory.
type road struct {
	t          *testing.T
	ledger     *actortest.Ledger
	hub        *actortest.Hub
	fixes      *actortest.Fixes
	tracks     actors.Tracks
	chauffeurs actors.Kind // the drivers' actors: a probe of them, unless a test needs others
	drivers    *actortest.Probe
	owners     *actortest.Probe
	sys        *actors.System
	births     *actors.Assignments
	ids        int
}

func newRoad(t *testing.T, l *actortest.Ledger) *road {
	t.Helper()
	r := &road{t: t, ledger: l, hub: &actortest.Hub{}, fixes: &actortest.Fixes{}, drivers: actortest.NewProbe(protocol.KindDriver), owners: actortest.NewProbe(protocol.KindTransporter)}
	r.tracks, r.chauffeurs = r.fixes, r.drivers.Kind()
	r.restart()
	return r
}

// restart starts another task over the same ledger; the one before is drained.
func (r *road) restart() {
	r.t.Helper()
	if r.sys != nil {
		if err := r.sys.Drain(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
	}
	r.sys = actortest.Start(r.t, actors.Config{}, actors.Trips(actors.TripConfig{
		Ledger: ports(r.ledger), Publisher: r.hub, Tracks: r.tracks, Policy: trip.DefaultPolicy(), Rules: track.DefaultRules(),
	}), r.chauffeurs, r.owners.Kind())
	people := actortest.SmallWorld()
	r.births = &actors.Assignments{
		Ledger: ports(r.ledger), Router: r.sys, Publisher: r.hub, Users: people, Trucks: people, Customers: people,
		Policy: trip.DefaultPolicy(), NewID: func() string { r.ids++; return fmt.Sprint("trip-", r.ids) },
	}
}

var (
	bengaluru = trip.Place{Latitude: 12.9716, Longitude: 77.5946, Address: "Bengaluru"}
	chennai   = trip.Place{Latitude: 13.0827, Longitude: 80.2707, Address: "Chennai"}
)

func wanted() protocol.NewAssignment {
	return protocol.NewAssignment{Transporter: "T1", Vehicle: "V1", Driver: "D1", Pickup: bengaluru, Drop: chennai, CustomerPhone: "98000 00001"}
}

func (r *road) assign(n protocol.NewAssignment) string {
	r.t.Helper()
	reply, err := r.births.Assign(r.t.Context(), n)
	if err != nil {
		r.t.Fatalf("assign: %v", err)
	}
	return reply.State.ID
}

func (r *road) do(id string, c trip.Command) (*protocol.TripReply, error) {
	r.t.Helper()
	return r.command(id, &protocol.TripCommand{Do: c})
}

func (r *road) command(id string, m any) (*protocol.TripReply, error) {
	r.t.Helper()
	v, err := ask(r.t, r.sys, protocol.TripAddress(id), m)
	if err != nil {
		return nil, err
	}
	return v.(*protocol.TripReply), nil
}

func (r *road) must(id string, c trip.Command) *protocol.TripReply {
	r.t.Helper()
	reply, err := r.do(id, c)
	if err != nil {
		r.t.Fatalf("%T: %v", c, err)
	}
	return reply
}

// stored is the trip as its row says.
func (r *road) stored(id string) trip.State {
	r.t.Helper()
	row, ok := r.ledger.Row(ledger.Ref{Kind: ledger.Trip, ID: id})
	if !ok {
		r.t.Fatalf("no trip %s", id)
	}
	s, err := trip.Load(row.State)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// events are the types that a recipient has in his inbox, with their status where they have one.
func (r *road) events(recipient string) []string {
	r.t.Helper()
	entries, err := r.ledger.Read(r.t.Context(), recipient, 1, 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		var data struct{ Status string }
		if err := json.Unmarshal(e.Event.Data, &data); err != nil {
			r.t.Fatal(err)
		}
		name := e.Event.Type
		if data.Status != "" {
			name += ":" + data.Status
		}
		all = append(all, name)
	}
	return all
}

var ravi = trip.By{User: "D1", Role: fleet.Driver, Fleet: "T1"}

func TestTripFromAssignmentToItsEnd(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		id := r.assign(wanted())
		if got := r.must(id, trip.Accept{By: ravi}); got.State.Status != trip.DriverAccepted || got.Replayed {
			t.Fatalf("accepted = %+v", got)
		}
		for _, step := range []trip.Status{trip.AtPickup, trip.LoadingComplete, trip.InTransit, trip.Completed} {
			r.must(id, trip.ChangeStatus{By: ravi, To: step})
			if again := r.must(id, trip.ChangeStatus{By: ravi, To: step}); !again.Replayed {
				t.Fatalf("%s again = %+v, want a replay", step, again)
			}
		}
		synctest.Wait()
		if diff := cmp.Diff([]string{
			"trip_status:driver_accepted", "trip_status:at_pickup", "trip_status:loading_complete", "trip_status:in_transit", "trip_status:completed",
		}, r.events("C1")); diff != "" {
			t.Errorf("the customer's inbox (-want +got):\n%s", diff)
		}
		if got := r.events("D1"); len(got) != 6 || got[0] != "trip_assigned" {
			t.Errorf("the driver's inbox = %v", got)
		}
		r.published(id)
		r.toldDriver(id)
	})
}

// published checks that each numbered event was handed to the hub once, after its commit, in order.
func (r *road) published(id string) {
	r.t.Helper()
	next := map[string]int64{}
	for _, d := range r.hub.Delivered() {
		for to, n := range d.Numbers {
			if next[to]++; n != next[to] {
				r.t.Errorf("%s got number %d, want %d", to, n, next[to])
			}
		}
	}
	if next["C1"] != 5 || next["D1"] != 6 || next["T1"] != 5 {
		r.t.Errorf("delivered = %v", next)
	}
	views := r.hub.Views()
	if len(views) != 6 || views[0].Status != "pending" || views[5].Status != "completed" || views[5].EndedMS == 0 {
		r.t.Errorf("views = %+v", views)
	}
	if got := r.hub.Ended(); !cmp.Equal(got, []protocol.TripEnded{{TripID: id, Reason: "ended"}}) {
		r.t.Errorf("ended = %v", got)
	}
}

func TestDriverAndVehicleAreOnOneLiveTrip(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		id := r.assign(wanted())
		busy := wanted()
		busy.Vehicle = "V2"
		_, err := r.births.Assign(t.Context(), busy)
		wantErr(t, err, actors.ErrDriverBusy)
		busy = wanted()
		busy.Driver = "D2"
		_, err = r.births.Assign(t.Context(), busy)
		wantErr(t, err, actors.ErrVehicleBusy)
		r.must(id, trip.Decline{By: ravi, Reason: "puncture"})
		r.assign(wanted()) // free again
	})
}

func TestForeignDriverAndVehicleAreUnknown(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		for name, c := range map[string]struct {
			change func(*protocol.NewAssignment)
			want   *fault.Error
		}{
			"foreign driver":  {func(n *protocol.NewAssignment) { n.Driver = "D3" }, actors.ErrDriverUnknown},
			"unknown driver":  {func(n *protocol.NewAssignment) { n.Driver = "D9" }, actors.ErrDriverUnknown},
			"not a driver":    {func(n *protocol.NewAssignment) { n.Driver = "C1" }, actors.ErrDriverUnknown},
			"foreign vehicle": {func(n *protocol.NewAssignment) { n.Vehicle = "V3" }, actors.ErrVehicleUnknown},
			"unknown vehicle": {func(n *protocol.NewAssignment) { n.Vehicle = "V9" }, actors.ErrVehicleUnknown},
			"no pickup":       {func(n *protocol.NewAssignment) { n.Pickup = trip.Place{} }, fault.Invalid("pickup", "")},
			"bad phone":       {func(n *protocol.NewAssignment) { n.CustomerPhone = "12" }, fault.Invalid("customerPhone", "")},
		} {
			n := wanted()
			c.change(&n)
			if _, err := r.births.Assign(t.Context(), n); fault.From(err).Reason != c.want.Reason {
				t.Errorf("%s: %v, want %s", name, err, c.want.Reason)
			}
		}
		if r.ledger.Commits() != 0 {
			t.Error("a refused assignment wrote something")
		}
	})
}

func TestAssignmentIsRepeatableByKey(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		lost := true
		r.ledger.Break(func(ledger.Transition) actortest.Fault {
			if lost {
				lost = false
				return actortest.LostReply
			}
			return actortest.NoFault
		})
		n := wanted()
		n.Key, n.Hash = "key", "hash"
		_, err := r.births.Assign(t.Context(), n)
		wantErr(t, err, actors.ErrInterrupted)
		again, err := r.births.Assign(t.Context(), n)
		if err != nil || again.State.ID != "trip-1" || !again.Replayed {
			t.Fatalf("again = %+v, %v, want the first trip", again, err)
		}
		people := actortest.SmallWorld() // he left the fleet meanwhile; the answer was given before
		driver := people.Users["D1"]
		driver.TransporterID = "T2"
		people.Users["D1"] = driver
		r.births.Users = people
		if again, err = r.births.Assign(t.Context(), n); err != nil || again.State.ID != "trip-1" || !again.Replayed {
			t.Fatalf("after he left the fleet = %+v, %v, want the first trip", again, err)
		}
		n.Hash = "another"
		_, err = r.births.Assign(t.Context(), n)
		wantErr(t, err, actors.ErrKeyReused)
	})
}

func TestAcceptTimerEndsTheWait(t *testing.T) {
	for name, die := range map[string]bool{"its own clock": false, "the sweeper after the task died": true} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, l *actortest.Ledger) {
				r := newRoad(t, l)
				id := r.assign(wanted())
				<-time.After(20 * time.Second)
				if die {
					r.restart()
					run(t, (&actors.Sweeper{Timers: r.ledger, Router: r.sys, Log: slog.New(slog.DiscardHandler)}).Run)
				}
				<-time.After(24 * time.Second)
				if got := r.stored(id).Status; got != trip.Pending {
					t.Fatalf("%s a second before the timer", got)
				}
				<-time.After(5 * time.Second)
				s := r.stored(id)
				if s.Status != trip.DriverDeclined || s.Reason != "timeout" || s.Live {
					t.Fatalf("after the timer: %+v", s)
				}
				if got := r.events("T1"); !cmp.Equal(got, []string{"trip_status:expired", "trip_timeout"}) {
					t.Fatalf("the transporter's inbox = %v", got)
				}
				_, err := r.do(id, trip.Accept{By: ravi})
				wantErr(t, err, trip.ErrStateChanged)
				r.assign(wanted()) // driver and vehicle are free
			})
		})
	}
}

// Accept and the timer meet at the same instant: exactly one of them wins, and everybody hears of it.
func TestAcceptRacesItsTimer(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		id := r.assign(wanted())
		<-time.After(45 * time.Second)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { _, _ = r.do(id, trip.Accept{By: ravi}) })
		}
		all.Wait()
		<-time.After(5 * time.Second)
		s := r.stored(id)
		accepted, expired := 0, 0
		for _, e := range r.events("T1") {
			switch e {
			case "trip_status:driver_accepted":
				accepted++
			case "trip_status:expired":
				expired++
			}
		}
		if accepted+expired != 1 || (accepted == 1) != (s.Status == trip.DriverAccepted) {
			t.Fatalf("accepted %d, expired %d, status %s", accepted, expired, s.Status)
		}
	})
}

func TestTripGoesOnAfterAnyCrash(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		id := r.assign(wanted())
		r.restart()
		r.must(id, trip.Accept{By: ravi})
		r.restart()
		if got := r.must(id, trip.Accept{By: ravi}); !got.Replayed {
			t.Fatalf("accept again after a restart = %+v, want a replay", got)
		}
		r.must(id, trip.ChangeStatus{By: ravi, To: trip.InTransit})
		r.restart()
		if got, err := r.command(id, &protocol.GetTrip{By: ravi}); err != nil || got.State.Status != trip.InTransit || got.Version != 3 {
			t.Fatalf("after the restart = %+v, %v", got, err)
		}
	})
}

func TestTripIsShownToThoseOnIt(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		id := r.assign(wanted())
		for _, by := range []trip.By{{}, ravi, {User: "C1", Role: fleet.Customer}, {User: "T1", Role: fleet.Transporter}, {User: "O1", Role: fleet.Ops}} {
			if _, err := r.command(id, &protocol.GetTrip{By: by}); err != nil {
				t.Errorf("%+v: %v", by, err)
			}
		}
		for _, by := range []trip.By{{User: "T2", Role: fleet.Transporter}, {User: "D2", Role: fleet.Driver, Fleet: "T1"}, {User: "D1", Role: fleet.Driver, Fleet: "T2"}} {
			_, err := r.command(id, &protocol.GetTrip{By: by})
			wantErr(t, err, trip.ErrNotFound)
			_, err = r.do(id, trip.Cancel{By: by})
			wantErr(t, err, trip.ErrNotFound)
		}
		_, err := r.command("nowhere", &protocol.GetTrip{})
		wantErr(t, err, trip.ErrNotFound)
	})
}

func TestSilentTripIsFlaggedNeverCancelled(t *testing.T) {
	for name, c := range map[string]struct {
		step trip.Status
		wait time.Duration
	}{
		"before transit": {trip.AtPickup, 6 * time.Hour},
		"in transit":     {trip.InTransit, 12 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, l *actortest.Ledger) {
				r := newRoad(t, l)
				id := r.assign(wanted())
				r.must(id, trip.Accept{By: ravi})
				r.must(id, trip.ChangeStatus{By: ravi, To: c.step})
				<-time.After(c.wait - time.Hour)
				r.moved(id, 0) // a sign of life moves the flag
				<-time.After(c.wait - time.Minute)
				if got := r.stored(id); got.FlaggedMS != 0 {
					t.Fatalf("flagged %v after a sign of life", c.wait-time.Minute)
				}
				run(t, (&actors.Sweeper{Timers: r.ledger, Router: r.sys, Log: slog.New(slog.DiscardHandler)}).Run)
				<-time.After(2 * time.Minute) // it has left memory long ago; its timer is a row
				got := r.stored(id)
				if got.FlaggedMS == 0 || !got.Live || got.Status != c.step {
					t.Fatalf("after the silence: %+v", got)
				}
				if all := r.events("T1"); all[len(all)-1] != "driver_connectivity" {
					t.Fatalf("the transporter's inbox = %v", all)
				}
				r.moved(id, 1)
				synctest.Wait()
				if got := r.stored(id); got.FlaggedMS != 0 {
					t.Fatal("a sign of life must take the flag away")
				}
			})
		})
	}
}

// moved puts a fix into history and tells the trip, as the driver's actor does.
func (r *road) moved(id string, step int) track.Fix {
	r.t.Helper()
	f := track.Fix{TS: time.Now().UnixMilli(), Lat: 12.97 + float64(step)*0.001, Lng: 77.59, Accuracy: 8}
	r.fixes.Add("D1", f)
	if err := r.sys.Tell(r.t.Context(), protocol.TripAddress(id), &protocol.DriverMoved{Driver: "D1", Fix: f}); err != nil {
		r.t.Fatal(err)
	}
	return f
}

func TestOdometerComesFromHistory(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		id := r.assign(wanted())
		r.must(id, trip.Accept{By: ravi})
		var all []track.Fix
		for step := range 60 { // ten minutes, a fix every 10 s, 111 m apart
			all = append(all, r.moved(id, step))
			<-time.After(10 * time.Second)
		}
		if n := r.fixes.Reads(); n > 22 {
			t.Fatalf("history was read %d times in ten minutes, want at most every 30 s", n)
		}
		reply, err := r.command(id, &protocol.GetTrip{})
		if err != nil || reply.State.Track.Whole.OdometerM() < 6000 || reply.Live == nil {
			t.Fatalf("on the way = %v m, live %v, %v", reply.State.Track.Whole.OdometerM(), reply.Live, err)
		}
		commits := r.ledger.Commits()
		if commits > 5 {
			t.Fatalf("%d commits in ten minutes of driving, want a handful", commits)
		}
		r.must(id, trip.ChangeStatus{By: ravi, To: trip.Completed})
		<-time.After(10 * time.Second)
		want := track.Track{}.Extend(all, track.DefaultRules())
		if got := r.stored(id).Track; !got.Equal(want) {
			t.Fatalf("stored at the end = %v m, want %v m", got.Whole.Meters, want.Whole.Meters)
		}
		r.lateFixes(id, all)
	})
}

// lateFixes: what a phone brings after the end, taken before it, is folded in as if it had been in time.
func (r *road) lateFixes(id string, all []track.Fix) {
	r.t.Helper()
	detour := all[3]
	detour.TS, detour.Lng = detour.TS+5000, detour.Lng+0.001
	r.fixes.Add("D1", detour)
	if err := r.sys.Tell(r.t.Context(), protocol.TripAddress(id), &protocol.FixesRecorded{OldestMS: detour.TS}); err != nil {
		r.t.Fatal(err)
	}
	<-time.After(time.Minute)
	want := track.Track{}.Extend(append(all, detour), track.DefaultRules())
	if got := r.stored(id).Track; !got.Equal(want) {
		r.t.Fatalf("after a late fix = %v m, want %v m", got.Whole.Meters, want.Whole.Meters)
	}
}

func TestCommandOfADriverWhoseCallerLeft(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		id := r.assign(wanted())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.sys.Ask(ctx, protocol.TripAddress(id), &protocol.TripCommand{Do: trip.Accept{By: ravi}}); err == nil {
			t.Fatal("answered to nobody")
		}
		synctest.Wait()
		if got := r.stored(id).Status; got != trip.DriverAccepted {
			t.Fatalf("status = %s: a command that was handed over is carried out", got)
		}
	})
}
