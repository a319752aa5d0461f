package rest

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/order"
)

// FuzzOrderBody: whatever is asked for reads the same in each of the spellings that the apps have, so
// that a key stands for the request and not for how it was written.
func FuzzOrderBody(f *testing.F) {
	f.Add(12.9716, 77.5946, 12.2958, 76.6394, 145.0, 9000.0, 2, "Yard A", "open", "17 Feet", false)
	f.Add(6.5, 97.5, 37.0, 68.0, 0.1, 0.5, -1, "", "", "x", true)
	f.Add(0.0, 1e308, 91.0, -181.0, 4999.6, 1e18, 1<<31, "\u00e9\x00", "OPEN ", "17\u2032", true)
	f.Fuzz(func(t *testing.T, fromLat, fromLng, toLat, toLng, km, price float64, trucks int, address, kind, subtype string, routed bool) {
		flat := func(lat, lng float64) *OrderPlaceInput {
			return &OrderPlaceInput{Latitude: &lat, Longitude: &lng, Address: address}
		}
		nested := func(lat, lng float64) *OrderPlaceInput {
			return &OrderPlaceInput{Coordinates: &whereInput{lat, lng}, Address: address}
		}
		needs := []needInput{{kind, subtype, trucks, price}}
		one := orderBody{Pickup: flat(fromLat, fromLng), Drop: flat(toLat, toLng), DistanceKm: km, VehicleRequirements: needs}
		other := orderBody{Pickup: nested(fromLat, fromLng), Drop: nested(toLat, toLng), DistanceKm: km, Trucks: needs}
		if routed {
			route := []routePointInput{{"PICKUP", *flat(fromLat, fromLng)}, {"DROP", *nested(toLat, toLng)}}
			one.RoutePoints, other.RoutePoints, other.Pickup, other.Drop = route, route, nil, nil
		}
		a, errA := one.order()
		b, errB := other.order()
		if (errA == nil) != (errB == nil) {
			t.Fatalf("one spelling is refused with %v, the other with %v", errA, errB)
		}
		if diff := cmp.Diff(a, b, cmp.AllowUnexported(order.NewOrder{})); errA == nil && diff != "" {
			t.Fatalf("two spellings (-flat +nested):\n%s", diff)
		}
		if _, err := json.Marshal(a); err == nil && bodyHash(a) != bodyHash(b) {
			t.Fatal("two spellings have two hashes")
		}
	})
}
