package actors_test

import (
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/ledger"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// drives tells the trip's actor where its driver is now.
func (r *road) drives(id string, lat, lng float64) {
	r.t.Helper()
	now := time.Now().UnixMilli()
	fix := track.Fix{TS: now, ReceivedMS: now, Lat: lat, Lng: lng}
	if err := r.sys.Tell(r.t.Context(), protocol.TripAddress(id), &protocol.DriverMoved{Driver: "D1", Fix: fix}); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

// TestWhereTheTruckIs: the customer hears once that it is near, and a step is judged by the newest fix
// while that is fresh.
func TestWhereTheTruckIs(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		id := r.assign(wanted())
		r.must(id, trip.Accept{By: ravi})
		r.drives(id, 13.1, 77.5946)
		_, err := r.do(id, trip.ChangeStatus{By: ravi, To: trip.AtPickup})
		wantErr(t, err, fault.New(fault.FailedPrecondition, "TOO_FAR_FROM_PICKUP", ""))
		<-time.After(time.Second)
		r.drives(id, 12.98, 77.5946)
		<-time.After(time.Second)
		r.drives(id, 12.9717, 77.5946)
		near := 0
		for _, e := range r.events("C1") {
			if e == "driver_approaching" {
				near++
			}
		}
		if near != 1 {
			t.Errorf("the customer was told %d times that the truck is near: %v", near, r.events("C1"))
		}
		r.must(id, trip.ChangeStatus{By: ravi, To: trip.AtPickup})
		r.must(id, trip.ChangeStatus{By: ravi, To: trip.InTransit})
		_, err = r.do(id, trip.ChangeStatus{By: ravi, To: trip.Completed})
		wantErr(t, err, fault.New(fault.FailedPrecondition, "TOO_FAR_FROM_DROP", ""))
		<-time.After(2 * time.Minute) // nothing is known of where it is by then
		r.must(id, trip.ChangeStatus{By: ravi, To: trip.Completed})
	})
}

func TestABreakdownEndsTheTrip(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		id := r.assign(wanted())
		r.must(id, trip.Accept{By: ravi})
		broken := trip.BreakDown{By: ravi, Note: "gearbox"}
		if got := r.must(id, broken); got.State.Status != trip.Cancelled || got.State.Reason != trip.BrokenDown || got.Replayed {
			t.Errorf("broken down = %+v", got.State)
		}
		if again := r.must(id, broken); !again.Replayed {
			t.Error("the second report was not a replay")
		}
		if got := r.hub.Ended(); len(got) != 1 || got[0].Reason != protocol.WatchEnded {
			t.Errorf("watchers of a trip without an order were told %v", got)
		}
		r.assign(wanted()) // driver and vehicle are free
	})
}

// TestAcceptFindsItsTripCancelled: the order's transaction writes a trip that somebody else owns. The owner
// is told by a hint, or learns it from its own write: either way the accept is refused, and nothing is written.
func TestAcceptFindsItsTripCancelled(t *testing.T) {
	for name, hinted := range map[string]bool{"told": true, "not told": false} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, l *actortest.Ledger) {
				r := newRoad(t, l)
				id := r.assign(wanted())
				ref := ledger.Ref{Kind: ledger.Trip, ID: id}
				if _, err := r.command(id, &protocol.GetTrip{}); err != nil { // the actor owns the row now
					t.Fatal(err)
				}
				synctest.Wait()
				row, _ := r.ledger.Row(ref)
				d, err := trip.Decide(r.stored(id), trip.Cancel{Reason: "customer_cancelled"}, time.Now(), trip.DefaultPolicy())
				if err != nil {
					t.Fatal(err)
				}
				step, _, err := d.Transition(row.Version, row.Epoch)
				if err != nil {
					t.Fatal(err)
				}
				if got := r.ledger.CommitTogether(t.Context(), []ledger.Transition{step}); got[0].Status != ledger.Committed {
					t.Fatalf("cancel = %+v", got)
				}
				if hinted {
					if err := r.sys.Tell(t.Context(), protocol.TripAddress(id), protocol.Hint{Version: row.Version + 1}); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				_, err = r.do(id, trip.Accept{By: ravi})
				wantErr(t, err, trip.ErrStateChanged)
				if after, _ := r.ledger.Row(ref); after.Version != row.Version+1 || r.stored(id).Status != trip.Cancelled {
					t.Errorf("after the accept: version %d, %s", after.Version, r.stored(id).Status)
				}
			})
		})
	}
}
