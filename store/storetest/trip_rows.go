package storetest

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"

	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// TripRowReader reads trips for the steps of their order.
type TripRowReader interface {
	TripRows(ctx context.Context, ids []string) ([]order.TripRow, error)
}

// TripRows is the conformance suite of reading trips with what their rows are fenced by.
func TripRows(t *testing.T, open func(t *testing.T) (TripRowReader, ledger.Writer, ledger.Claimer)) {
	t.Helper()
	t.Run("trips come with their version and epoch", func(t *testing.T) {
		t.Parallel()
		r, w, claimer := open(t)
		state := func(id, driver string) trip.State {
			return trip.State{
				ID: id, Status: trip.Pending, Live: true, DriverID: driverA, VehicleID: "v", TransporterID: "t1", OrderID: "o1", Slot: id,
				Reached: map[trip.Status]int64{}, Timers: map[string]trip.Timer{}, AssignedMS: 1, Names: trip.Names{Driver: driver},
			}
		}
		born := func(s trip.State) {
			snapshot, err := s.Snapshot()
			must(t, err)
			o := w.Commit(t.Context(), []ledger.Transition{{Ref: ledger.Ref{Kind: ledger.Trip, ID: s.ID}, State: snapshot, At: time.UnixMilli(1_790_000_000_000)}})
			if o[0].Status != ledger.Committed {
				t.Fatalf("birth of %s: %+v", s.ID, o[0])
			}
		}
		owned, fresh, other := state("trip-1", "Ravi"), state("trip-2", "Suresh"), state("trip-3", "Imran")
		fresh.DriverID, fresh.VehicleID = "d2", "v2"
		other.DriverID, other.VehicleID, other.Live, other.Status = "d3", "v3", false, trip.Cancelled
		for _, s := range []trip.State{owned, fresh, other} {
			born(s)
		}
		claimed, err := claimer.Claim(t.Context(), ledger.Ref{Kind: ledger.Trip, ID: owned.ID}, "node")
		must(t, err)

		got, err := r.TripRows(t.Context(), []string{"trip-3", "trip-1", "trip-9", "trip-2"})
		must(t, err)
		slices.SortFunc(got, func(a, b order.TripRow) int { return cmp.Compare(a.State.ID, b.State.ID) })
		want := []order.TripRow{{State: owned, Version: 1, Epoch: claimed.Epoch}, {State: fresh, Version: 1}, {State: other, Version: 1}}
		if d := diff.Diff(want, got); d != "" {
			t.Errorf("rows (-want +got):\n%s", d)
		}
		if got, err := r.TripRows(t.Context(), nil); err != nil || len(got) != 0 {
			t.Errorf("nothing asked: %v, %v", got, err)
		}
	})
}
