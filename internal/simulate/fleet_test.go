package simulate_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/simulate"
	"weelo/internal/track"
	"weelo/internal/world"
)

// demoFleet runs a fleet until stop and waits for its end.
func demoFleet(t *testing.T, w *world.File, speed float64) (stop func()) {
	t.Helper()
	tokens := map[fleet.UserID]string{}
	for _, tr := range w.Transporters {
		tokens[fleet.UserID(tr.ID)] = tr.Token
		for _, d := range tr.Drivers {
			tokens[fleet.UserID(d.ID)] = d.Token
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		err := simulate.Fleet(ctx, simulate.FleetOptions{
			World: *w, Speed: speed, Interval: 20 * time.Millisecond, Seed: 1, Log: slog.New(slog.DiscardHandler),
			Token: func(_ context.Context, user fleet.UserID) (string, error) { return tokens[user], nil },
		})
		if err != nil {
			t.Errorf("the fleet ended with %v", err)
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// until polls the server's state.
func (s *server) until(what string, ok func() bool) {
	s.t.Helper()
	deadline, tick := time.After(60*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		done := ok()
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("never: %s", what)
		}
	}
}

// TestFleetNeverStops: each driver is put on trips one after another, each completed before the next,
// which begins where the last one ended.
func TestFleetNeverStops(t *testing.T) {
	t.Parallel()
	w := someWorld(4, 2)
	s := newServer(t, w)
	stop := demoFleet(t, w, 100_000)
	trips := func(driver string) (of []*served) {
		for _, tr := range s.order {
			if tr.driver == driver {
				of = append(of, tr)
			}
		}
		return of
	}
	s.until("three trips of every driver", func() bool {
		for _, d := range w.Transporters[0].Drivers {
			if len(trips(d.ID)) < 3 {
				return false
			}
		}
		return true
	})
	stop()
	s.mu.Lock() // sockets may still be ending
	defer s.mu.Unlock()
	for _, d := range w.Transporters[0].Drivers {
		for i, tr := range trips(d.ID)[1:] {
			before := trips(d.ID)[i]
			if string(tr.pickup) != string(before.drop) || before.status != "completed" {
				t.Errorf("%s drove to %s (%s), then from %s", d.ID, before.drop, before.status, tr.pickup)
			}
		}
	}
}

// TestFleetGoesOn: a fleet that was ended goes on with the trips that were under way, from where the
// trucks were seen last.
func TestFleetGoesOn(t *testing.T) {
	t.Parallel()
	w := someWorld(4, 2)
	s := newServer(t, w)
	moving := func() bool {
		n := 0
		for _, tr := range s.order {
			if tr.last.TS != 0 {
				n++
			}
		}
		return n == 4
	}
	stop := demoFleet(t, w, 1)
	s.until("four moving trucks", moving)
	stop()
	before := map[string]track.Fix{}
	s.mu.Lock()
	for _, tr := range s.order {
		before[tr.id] = tr.last
	}
	s.mu.Unlock()
	stop = demoFleet(t, w, 1)
	s.until("the trucks move again", func() bool {
		for _, tr := range s.order {
			if tr.last.TS == before[tr.id].TS {
				return false
			}
		}
		return true
	})
	stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.order) != 4 {
		t.Errorf("there are %d trips; want the four there were", len(s.order))
	}
	for _, tr := range s.order {
		if off := geo.Distance(before[tr.id].Point(), tr.last.Point()); off > 1200 { // each may be a coarse fix, 500 m off
			t.Errorf("%s went on %.0f m away", tr.id, off)
		}
	}
}
