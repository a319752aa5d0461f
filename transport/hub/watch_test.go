package hub_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/transport/hub"
)

// TestChangesDuringTheStartOfAWatchAreShown: what changes between the answer of Access and the
// subscription comes after the answer, the newest state of each trip, and so does the end.
func TestChangesDuringTheStartOfAWatchAreShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		all := hub.Scope{Kind: hub.Fleet, ID: "fleet"}
		w.access.views[all] = []protocol.TripView{{TripID: "a", Status: "pending", Version: 1}, {TripID: "b", Status: "at_drop", Version: 7}}
		s, p := w.connect(t, "fleet", fleet.Transporter, "d", nil)
		w.access.hold = make(chan struct{})
		errs := make(chan error, 2)
		go func() { errs <- s.Watch(t.Context(), "w", all) }()
		synctest.Wait()
		for _, v := range []protocol.TripView{
			{TripID: "a", Status: "driver_accepted", Version: 2},
			{TripID: "a", Status: "en_route_pickup", Version: 3},
			{TripID: "b", Status: "in_transit", Version: 6}, // older than the answer
		} {
			v.Transporter = "fleet"
			w.TripChanged(v)
		}
		w.access.hold <- struct{}{}
		synctest.Wait()
		equal(t, p.take(), lines("trip a pending watch=w", "trip b at_drop watch=w", "trip a en_route_pickup watch=w"))

		// A trip that ends meanwhile: its last state, then the end of the watch.
		go func() { errs <- s.Watch(t.Context(), "v", hub.Scope{Kind: hub.Trip, ID: "c"}) }()
		synctest.Wait()
		w.TripChanged(protocol.TripView{TripID: "c", Status: "completed", Version: 9, EndedMS: 1})
		w.TripEnded(protocol.TripEnded{TripID: "c", Reason: "ended"})
		w.access.hold <- struct{}{}
		for range 2 {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		equal(t, p.take(), lines("trip c in_transit watch=v", "trip c completed watch=v", "unwatched v ended"))
		if s.Unwatch("v") {
			t.Error("the watch of an ended trip is still there")
		}
	})
}

// TestTooManyChangesDuringTheStartOfAWatch: what cannot be kept is refused, not lost.
func TestTooManyChangesDuringTheStartOfAWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s, _ := w.connect(t, "ops", fleet.Ops, "d", nil)
		w.access.hold = make(chan struct{})
		errs := make(chan error, 1)
		go func() { errs <- s.Watch(t.Context(), "w", hub.Scope{Kind: hub.All}) }()
		synctest.Wait()
		for i := range 501 {
			w.TripChanged(protocol.TripView{TripID: fmt.Sprint("t", i), Version: 1})
		}
		w.access.hold <- struct{}{}
		if f := fault.From(<-errs); f.Code != fault.Unavailable || s.Unwatch("w") {
			t.Errorf("got %v", f)
		}
	})
}

// TestASlowReaderStillGetsHisWatch: the state of 500 trips may take longer than the read of it.
func TestASlowReaderStillGetsHisWatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		every time.Duration // between two frames that the reader takes
		ready bool
	}{{30 * time.Millisecond, true}, {150 * time.Millisecond, false}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			views := make([]protocol.TripView, 500)
			for i := range views {
				views[i] = protocol.TripView{TripID: fmt.Sprint("t", i), Version: 1}
			}
			w.access.views[hub.Scope{Kind: hub.All}] = views
			s, p := w.connect(t, "ops", fleet.Ops, "d", nil)
			p.hold(make(chan struct{}))
			ended := make(chan struct{})
			var reader sync.WaitGroup
			reader.Go(func() {
				for {
					select {
					case p.waits() <- struct{}{}:
						<-time.After(c.every)
					case <-ended:
						return
					}
				}
			})
			err := s.Watch(t.Context(), "w", hub.Scope{Kind: hub.All})
			if (err == nil) != c.ready || err != nil && !fault.From(err).Retryable() {
				t.Errorf("every %v: %v", c.every, err)
			}
			if s.Unwatch("w") != c.ready {
				t.Errorf("every %v: a watch that failed is still there, or one that did not is gone", c.every)
			}
			close(ended)
			w.Detach(s)
			p.Close(0, "")
			reader.Wait()
		})
	}
}

func TestOpsSeeHowOrdersStand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.access.orders = []protocol.OrderView{{OrderID: "o3", Version: 4}, {OrderID: "o2", Version: 9}}
		ops, seen := w.connect(t, "ops", fleet.Ops, "d", nil)
		_, unasked := w.connect(t, "c1", fleet.Customer, "d", nil)
		if err := ops.Watch(t.Context(), "all", hub.Scope{Kind: hub.All}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		equal(t, seen.take(), "event 0 order_view\nevent 0 order_view") // what there is already
		if err := ops.Watch(t.Context(), "one", hub.Scope{Kind: hub.Order, ID: "o2"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		equal(t, seen.take(), "") // an order's trips are watched, not everybody's orders
		w.OrderChanged(protocol.OrderView{OrderID: "o1", Status: "active", RadiusKM: 5})
		synctest.Wait()
		equal(t, seen.take(), "event 0 order_view")
		equal(t, unasked.take(), "")
	})
}
