package simulate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"weelo/internal/simulate"
	"weelo/internal/trace"
	"weelo/internal/world"
)

// someWorld has transporters with four drivers each.
func someWorld(drivers, customers int) *world.File {
	w := &world.File{}
	for i := range drivers / 4 {
		t := world.FileTransporter{ID: fmt.Sprint("t", i), Token: fmt.Sprint("tt", i)}
		for j := range 4 {
			n := fmt.Sprint(i, "-", j)
			t.Drivers = append(t.Drivers, world.FilePerson{ID: "d" + n, Token: "dt" + n})
			t.Vehicles = append(t.Vehicles, world.FileVehicle{ID: "v" + n})
		}
		w.Transporters = append(w.Transporters, t)
	}
	for i := range customers {
		w.Customers = append(w.Customers, world.FilePerson{ID: fmt.Sprint("c", i), Phone: fmt.Sprint(7000000000 + i), Token: fmt.Sprint("ct", i)})
	}
	return w
}

func quick(w *world.File) simulate.Options {
	faults := trace.DefaultFaults()
	faults.BurstLag = 100 * time.Millisecond
	return simulate.Options{
		World: *w, Drivers: 12, Watchers: 12, Duration: time.Second, Ramp: 50 * time.Millisecond,
		Interval: 25 * time.Millisecond, Seed: 3, Faults: &faults, Settle: time.Second,
	}
}

func run(t *testing.T, o simulate.Options) (simulate.Summary, string) {
	t.Helper()
	var out bytes.Buffer
	s, err := simulate.Run(t.Context(), o, &out)
	if err != nil {
		t.Fatal(err)
	}
	return s, out.String()
}

// TestHonestServer: against a server that does it right, the judge finds nothing; a second run ends
// what is left of trips and goes on; every n-th request refused with 503 is tried again.
func TestHonestServer(t *testing.T) {
	t.Parallel()
	w := someWorld(12, 12)
	s := newServer(t, w)
	s.refuseEvery = 7
	o := quick(w)
	o.Watchers = 18 // some trips have two
	for range 2 {
		sum, text := run(t, o)
		if !sum.OK() || sum.Checked != 18 || sum.Right != 18 || sum.EventsMissed != 0 {
			t.Fatalf("%s\n%+v", text, sum)
		}
		if sum.Batches == 0 || sum.Singles == 0 || sum.Duplicate == 0 || sum.Delivered < 18 || sum.LateP99 <= 0 || sum.Events < 18*5 {
			t.Fatalf("too little happened: %+v", sum)
		}
		if !strings.Contains(text, "last position right for 18 of 18") {
			t.Errorf("the summary says\n%s", text)
		}
	}
}

// TestLeftBehind: a trip that an earlier run left behind is ended first.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	w := someWorld(12, 12)
	newServer(t, w)
	o := quick(w)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := simulate.Run(ctx, o, &bytes.Buffer{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("an interrupted run ended with %v", err)
	}
	if sum, text := run(t, o); !sum.OK() {
		t.Errorf("%s", text)
	}
}

// TestDishonestServers: each way of being wrong is found. These are the controls of the judge.
func TestDishonestServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*server)
		about string
	}{
		"shows coarse fixes":    {func(s *server) { s.showCoarse = true }, "last position"},
		"goes back in time":     {func(s *server) { s.showLate = true }, "went back in time"},
		"loses an event":        {func(s *server) { s.keepEvent = "in_transit" }, "events missed"},
		"loses the last event":  {func(s *server) { s.keepEvent = "completed" }, "events missed"},
		"acks more than it got": {func(s *server) { s.wrongCounts = true }, "counts of its ack"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := someWorld(12, 12)
			s := newServer(t, w)
			c.spoil(s)
			o := quick(w)
			if s.showCoarse {
				o.Faults.Coarse = 0.5
			}
			sum, text := run(t, o)
			if sum.OK() || !strings.Contains(strings.Join(sum.Reasons, "\n"), c.about) {
				t.Errorf("not found:\n%s", text)
			}
		})
	}
}

// TestRefusals: what cannot be simulated is said before anything begins.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := someWorld(4, 0)
	round := []trace.Trace{{Name: "round"}}
	for name, o := range map[string]simulate.Options{
		"too many drivers":    {World: *w, Drivers: 5, Watchers: -1},
		"nobody to watch":     {World: *w, Drivers: 1, Watchers: 1},
		"an empty world":      {},
		"too fast":            {World: *w, Interval: time.Millisecond},
		"traces lead nowhere": {World: *someWorld(4, 4), Traces: round},
	} {
		if _, err := simulate.Run(t.Context(), o, &bytes.Buffer{}); err == nil {
			t.Errorf("%s: no refusal", name)
		}
	}
}
