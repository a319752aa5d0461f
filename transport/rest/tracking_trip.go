package rest

import (
	"context"
	"net/http"
)

// TrackedTrip is where the truck of a trip is, for the Captain app's live screen: it reads trip where
// every other screen reads data, so both say the same.
type TrackedTrip struct {
	Success bool      `json:"success" example:"true"`
	Data    TrackData `json:"data"`
	Trip    TrackData `json:"trip"`
}

// registerTrackedTrip adds the address under which the Captain app's live screen asks.
func (d Tracking) registerTrackedTrip(a *API) {
	register(a, Route{Method: http.MethodGet, Path: "/api/v1/trips/{tripId}", Name: "trip", Tag: "tracking",
		Summary: "The same as GET tracking/{tripId}, named trip as well"}, d.trackedTrip)
}

func (d Tracking) trackedTrip(ctx context.Context, in *tripIDInput) (TrackedTrip, error) {
	data, err := d.one(ctx, in)
	return TrackedTrip{Success: true, Data: data, Trip: data}, err
}
