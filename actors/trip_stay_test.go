package actors_test

import (
	"testing"
	"time"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/ledger"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// A live trip stays in memory, however rarely somebody asks: coming back would claim the row again.
// Once it has ended it is gone a minute after its last message.
func TestLiveTripStaysInMemory(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		id := r.assign(wanted())
		r.must(id, trip.Accept{By: ravi})
		epoch := func() int64 {
			row, ok := l.Row(ledger.Ref{Kind: ledger.Trip, ID: id})
			if !ok {
				t.Fatal("no such trip")
			}
			return row.Epoch
		}
		before := epoch()
		for range 3 {
			<-time.After(10 * time.Minute)
			if _, err := r.command(id, &protocol.GetTrip{By: ravi}); err != nil {
				t.Fatal(err)
			}
		}
		if after := epoch(); after != before || r.sys.Live(protocol.KindTrip) != 1 {
			t.Fatalf("claimed %d times in half an hour of questions", after-before)
		}
		r.must(id, trip.ChangeStatus{By: ravi, To: trip.Completed})
		<-time.After(3 * time.Minute)
		if n := r.sys.Live(protocol.KindTrip); n != 0 {
			t.Fatal("an ended trip stayed")
		}
	})
}

// When room runs short the idle ones go, so that nobody who is needed is refused.
func TestIdleLiveTripsMakeRoom(t *testing.T) {
	in(t, func(t *testing.T) {
		l := actortest.NewLedger()
		sys := actortest.Start(t, actors.Config{}, actors.Trips(actors.TripConfig{
			Ledger: ports(l), Publisher: &actortest.Hub{}, Policy: trip.DefaultPolicy(), Rules: track.DefaultRules(), MaxLive: 4,
		}), actortest.NewProbe(protocol.KindDriver).Kind())
		for i := range 12 {
			id := string(rune('a' + i))
			s := trip.State{ID: id, Status: trip.InTransit, Live: true, DriverID: "D1", TransporterID: "T1"}
			snapshot, err := s.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			birth := ledger.Transition{Ref: ledger.Ref{Kind: ledger.Trip, ID: id}, State: snapshot, At: time.Now()}
			if o := l.Commit(t.Context(), []ledger.Transition{birth})[0]; o.Status != ledger.Committed {
				t.Fatal(o)
			}
			if _, err := ask(t, sys, protocol.TripAddress(id), &protocol.GetTrip{}); err != nil {
				t.Fatalf("trip %d: %v", i, err)
			}
			<-time.After(3 * time.Minute)
		}
	})
}
