package actors_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/access"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// staffed is a road with the real actors of drivers. So the trip hears of positions as it does in life.
func staffed(t *testing.T, l *actortest.Ledger) (*road, *actors.Drivers) {
	t.Helper()
	r := newRoad(t, l)
	r.chauffeurs = actors.DriverActors(actors.DriverConfig{
		Publisher: r.hub, Users: actortest.SmallWorld(), Trips: &rows{of: map[fleet.UserID]access.Row{}}, Rules: track.DefaultRules(),
	})
	r.restart()
	return r, actors.NewDrivers(r.sys)
}

// judgedSteps are the steps that want the truck somewhere, and how they are refused elsewhere.
var judgedSteps = map[trip.Status]struct {
	at  trip.Place
	far *fault.Error
}{
	trip.AtPickup:      {bengaluru, fault.New(fault.FailedPrecondition, "TOO_FAR_FROM_PICKUP", "")},
	trip.ArrivedAtDrop: {chennai, fault.New(fault.FailedPrecondition, "TOO_FAR_FROM_DROP", "")},
	trip.Completed:     {chennai, fault.New(fault.FailedPrecondition, "TOO_FAR_FROM_DROP", "")},
}

// away is about a kilometre north of a place.
const away = 0.01

// A trip samples its driver's positions. A step is judged by the newest one all the same, be it for him
// or against him.
func TestAStepIsJudgedByTheNewestPosition(t *testing.T) {
	for to, want := range judgedSteps {
		t.Run(string(to), func(t *testing.T) {
			each(t, func(t *testing.T, l *actortest.Ledger) {
				r, drivers := staffed(t, l)
				id := r.assign(wanted())
				r.must(id, trip.Accept{By: ravi})
				synctest.Wait() // his actor knows that he is on the trip
				step := trip.ChangeStatus{By: ravi, To: to}

				drivers.Report("D1", fixAt(time.Now(), want.at.Latitude+away, want.at.Longitude))
				<-time.After(25 * time.Second)
				_, err := r.do(id, step)
				wantErr(t, err, want.far) // the trip has heard this one

				drivers.Report("D1", fixAt(time.Now(), want.at.Latitude, want.at.Longitude))
				<-time.After(5 * time.Second)
				r.heard(id, want.at.Latitude+away) // and not this one
				begun := time.Now()
				if got := r.must(id, step); got.State.Status != to {
					t.Errorf("from the place itself: %s, want %s", got.State.Status, to)
				}
				if took := time.Since(begun); took != 0 {
					t.Errorf("the step waited %v", took)
				}
			})
		})
	}
}

// heard checks which position the trip itself knows.
func (r *road) heard(id string, lat float64) {
	r.t.Helper()
	known, err := r.command(id, &protocol.GetTrip{})
	if err != nil || known.Live == nil || known.Live.Lat != lat {
		r.t.Fatalf("the trip knows of %+v, %v; want latitude %v", known.Live, err, lat)
	}
}

// A driver who was there and has left is somewhere else, whatever the trip heard last, and whatever a
// caller says of him.
func TestWhoHasLeftIsNotThere(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r, drivers := staffed(t, l)
		id := r.assign(wanted())
		r.must(id, trip.Accept{By: ravi})
		synctest.Wait()
		drivers.Report("D1", fixAt(time.Now(), chennai.Latitude, chennai.Longitude))
		<-time.After(25 * time.Second)
		drivers.Report("D1", fixAt(time.Now(), chennai.Latitude+away, chennai.Longitude))
		<-time.After(5 * time.Second)
		r.heard(id, chennai.Latitude)
		now := time.Now().UnixMilli()
		claimed := &track.Fix{TS: now, ReceivedMS: now, Lat: chennai.Latitude, Lng: chennai.Longitude}
		_, err := r.do(id, trip.ChangeStatus{By: ravi, To: trip.Completed, Fix: claimed})
		wantErr(t, err, judgedSteps[trip.Completed].far)
		r.must(id, trip.ChangeStatus{By: ravi, To: trip.InTransit}) // wants him nowhere
		<-time.After(2 * time.Minute)                               // nothing is known of where he is by then
		r.must(id, trip.ChangeStatus{By: ravi, To: trip.Completed})
	})
}

// silent is an actor that answers nothing.
type silent struct{ until <-chan struct{} }

func (s silent) Receive(_ context.Context, msg any, _ actors.Reply) {
	if _, asked := msg.(protocol.GetDriver); asked {
		<-s.until
	}
}

func (silent) Passivate(context.Context) bool { return true }

// A driver's actor that does not answer costs a second. Then the step is judged by what the trip has
// heard itself; only a step that wants the truck somewhere waits at all.
func TestAStepDoesNotWaitForASilentDriver(t *testing.T) {
	for name, c := range map[string]struct {
		lat  float64
		want *fault.Error
	}{
		"near": {lat: chennai.Latitude},
		"far":  {lat: chennai.Latitude + away, want: judgedSteps[trip.Completed].far},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, l *actortest.Ledger) {
				r := newRoad(t, l)
				over := make(chan struct{})
				defer close(over)
				r.chauffeurs = actors.Kind{
					Name: protocol.KindDriver, Queue: 10, Idle: time.Hour, MaxLive: 10,
					New: func(context.Context, *actors.Self) (actors.Actor, error) { return silent{over}, nil },
				}
				r.restart()
				id := r.assign(wanted())
				r.must(id, trip.Accept{By: ravi})
				r.drives(id, c.lat, chennai.Longitude)
				begun := time.Now()
				r.must(id, trip.ChangeStatus{By: ravi, To: trip.InTransit})
				if took := time.Since(begun); took != 0 {
					t.Errorf("a step that is not judged waited %v", took)
				}
				_, err := r.do(id, trip.ChangeStatus{By: ravi, To: trip.Completed})
				if took := time.Since(begun); took != time.Second {
					t.Errorf("the step took %v, want 1s", took)
				}
				if c.want != nil {
					wantErr(t, err, c.want)
				} else if err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// toldDriver checks what a driver's actor hears of a whole trip, and how often it is asked where he is.
func (r *road) toldDriver(id string) {
	r.t.Helper()
	var told []actortest.Told
	asked := 0
	for _, m := range r.drivers.Take() {
		if _, question := m.Msg.(protocol.GetDriver); question {
			asked++
			continue
		}
		told = append(told, m)
	}
	if len(told) != 6 || asked != 2 { // where he is: at the pickup, at the drop, and not when a step is repeated
		r.t.Fatalf("the driver's actor was told %d times, want 6, and asked %d times, want 2", len(told), asked)
	}
	first, last := told[0].Msg.(*protocol.TripTaken), told[5].Msg
	if first.Trip.Moving || first.Trip.TripID != id || first.Trip.Customer != "C1" {
		r.t.Errorf("first = %+v", first)
	}
	if second := told[1].Msg.(*protocol.TripTaken); !second.Trip.Moving || second.Version != 2 {
		r.t.Errorf("second = %+v", second)
	}
	if !cmp.Equal(last, &protocol.TripLeft{TripID: id}) {
		r.t.Errorf("last = %+v", last)
	}
}
