package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"weelo/internal/client"
	"weelo/internal/track"
	"weelo/transport/wire"
)

// watcher is a trip's customer on a socket of his own.
type watcher struct {
	ride  *ride
	meter *meter

	mu       sync.Mutex
	last     track.Fix       // the last position on his screen
	statuses map[string]bool // those he got as events
	resynced bool            // he was told that events were left out
}

// connect opens the watcher's socket, named apart from his other ones, and watches the trip.
func (w *watcher) connect(ctx context.Context, wait *sync.WaitGroup, token tokenSource, device string) error {
	r := w.ride
	s := client.NewSession(client.Config{BaseURL: r.api.rest.BaseURL, Token: token.of(r.customer), Device: device, HTTP: r.api.rest.HTTP, Queue: 16})
	if err := s.Watch(ctx, "w", "trip", r.tripID); err != nil {
		return err
	}
	return runSession(ctx, wait, s, w.meter, "watcher", &w.meter.watchers, w.take)
}

func (w *watcher) take(f client.Frame) {
	if f.Received == nil {
		w.takePositions(f.Positions)
		return
	}
	switch f.T {
	case "event":
		if f.Trip == w.ride.tripID {
			w.takeEvent(f.Received)
		}
	case "welcome":
		w.mu.Lock()
		defer w.mu.Unlock()
		w.resynced = w.resynced || f.Mode == "resync"
	case "trip":
		w.mu.Lock()
		defer w.mu.Unlock()
		if p := f.Pos; p != nil && f.Trip == w.ride.tripID && p.TS > w.last.TS {
			w.last = track.Fix{TS: p.TS, Lat: p.Lat, Lng: p.Lng}
		}
	}
}

func (w *watcher) takePositions(all []wire.Position) {
	now := time.Now()
	for _, p := range all {
		if p.Trip != w.ride.tripID {
			w.meter.fail("watcher", errors.New("a position of a trip that is not watched"))
			continue
		}
		w.meter.delivered.Add(1)
		if late, known := w.ride.lateness(p.Fix.TS, now); known {
			w.meter.late.add(late)
		}
		w.mu.Lock()
		if p.Fix.TS < w.last.TS {
			w.meter.fail("watcher", errors.New("the position went back in time"))
		}
		w.last = p.Fix
		w.mu.Unlock()
	}
}

func (w *watcher) takeEvent(e *wire.Received) {
	w.meter.events.Add(1)
	if e.Type != "trip_status" {
		return
	}
	var data struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		w.meter.fail("watcher", fmt.Errorf("event data: %w", err))
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.statuses[data.Status] = true
}

// verdict is what a watcher's screen shows against what it must.
type verdict struct {
	judged bool // the driver sent at least one good fix
	right  bool
	missed int // acknowledged steps he has not heard of
	why    string
}

func (w *watcher) judge() verdict {
	want, steps := w.ride.wanted()
	w.mu.Lock()
	defer w.mu.Unlock()
	v := verdict{judged: want.TS != 0}
	for _, s := range steps {
		if !w.statuses[s] && !w.resynced {
			v.missed++
		}
	}
	v.right = w.last.TS == want.TS && near(w.last.Lat, want.Lat) && near(w.last.Lng, want.Lng)
	if !v.right {
		v.why = fmt.Sprintf("shows the fix of %+d ms, %s", w.last.TS-want.TS, whereIs(w.last, want))
	}
	return v
}

// near allows for the six decimals of the wire.
func near(a, b float64) bool { return a-b < 1e-6 && b-a < 1e-6 }

func whereIs(p track.Fix, want track.Fix) string {
	if near(p.Lat, want.Lat) && near(p.Lng, want.Lng) {
		return "at the right place"
	}
	return "at another place"
}
