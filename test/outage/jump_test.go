package outage

import (
	"net/http"
	"testing"
	"time"

	"weelo/internal/client"
)

// TestJumpsAreNotShownFromHistory: without Redis, and with one that has forgotten all positions, a trip is shown
// where its track says. The track keeps a jump of 500 km, and nobody is shown it.
func TestJumpsAreNotShownFromHistory(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	s := w.serve(t)
	watches := w.phone("7010021001", "customer")
	tokens := watches.login(t, s)
	c := w.crew(t, s, "7010021002", "7010021003")
	answer := c.verifyDriver(t, s, c.driverCode(t, s))
	accepted(t, "the driver's login", answer)
	driver := c.driver.api(s).As(decode[client.Tokens](t, answer.Data).AccessToken)
	trip, err := c.boss.api(s).As(c.bossTokens.AccessToken).Assign(t.Context(), client.Assignment{
		VehicleID: c.vehicleID, DriverID: c.driverID, CustomerPhone: watches.number,
		Pickup: client.Place{Latitude: 12.9716, Longitude: 77.5946, Address: "MG Road"}, Drop: client.Place{Latitude: 13.0827, Longitude: 80.2707, Address: "Chennai"},
	})
	if err != nil {
		t.Fatalf("assign: %v", err)
	}
	if err := driver.Accept(t.Context(), trip); err != nil {
		t.Fatalf("accept: %v", err)
	}
	customer := watches.api(s).As(tokens.AccessToken)
	shown := func() (lat float64) {
		t.Helper()
		var seen struct{ Latitude float64 }
		if err := customer.Call(t.Context(), http.MethodGet, "tracking/"+trip, nil, &seen); err != nil {
			t.Fatal(err)
		}
		return seen.Latitude
	}
	begun := time.Now()
	point := func(lat float64, after time.Duration) map[string]any {
		return map[string]any{"latitude": lat, "longitude": 77.5946, "speed": 3, "bearing": 90, "accuracy": 8,
			"timestamp": begun.Add(after).UTC().Format("2006-01-02T15:04:05.000Z")}
	}

	w.redis.Kill(t)
	batch := map[string]any{"tripId": trip, "points": []any{point(12.9716, 0), point(17.4716, 10*time.Second)}}
	if err := driver.Call(t.Context(), http.MethodPost, "tracking/batch", batch, nil); err != nil {
		t.Fatalf("a batch without Redis: %v", err)
	}
	if lat := shown(); lat != 12.9716 {
		t.Errorf("without Redis the truck is shown at %v", lat)
	}
	var kept struct{ Fixes []struct{ Latitude float64 } }
	if err := customer.Call(t.Context(), http.MethodGet, "tracking/history/"+trip, nil, &kept); err != nil || len(kept.Fixes) != 2 {
		t.Fatalf("the track keeps %+v, %v; want both", kept, err)
	}
	w.redis.Start(t) // empty: this Redis keeps nothing
	if lat := shown(); lat != 12.9716 {
		t.Errorf("with an empty Redis the truck is shown at %v", lat)
	}
}
