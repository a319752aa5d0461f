package rest

import (
	"context"
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"weelo/internal/access"
	"weelo/internal/fleet"
)

// Nullable is a value that may be null.
type Nullable[T any] struct{ Value *T }

// MarshalJSON writes the value or null.
func (n Nullable[T]) MarshalJSON() ([]byte, error) { return json.Marshal(n.Value) }

// UnmarshalJSON reads the value or null.
func (n *Nullable[T]) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &n.Value) }

// Schema describes the value or null.
func (n Nullable[T]) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{r.Schema(reflect.TypeFor[T](), true, ""), {Type: "null"}}}
}

// ActiveTripData is what a driver's phone needs to go on after a crash.
type ActiveTripData struct {
	AssignmentData
	Odometer     int64                      `json:"odometerMeters"`
	LastLocation Nullable[LastLocationData] `json:"lastLocation"`
}

// LastLocationData is a position as the Captain app restores it.
type LastLocationData struct {
	Latitude    float64   `json:"latitude"`
	Longitude   float64   `json:"longitude"`
	Speed       float64   `json:"speed"`
	Bearing     float64   `json:"bearing"`
	LastUpdated Timestamp `json:"lastUpdated"`
}

type activeTripData struct {
	AssignmentID string `json:"assignmentId"`
	ActiveTripData
}

func (d Tracking) activeTrip(ctx context.Context, _ *struct{}) (Nullable[activeTripData], error) {
	rows, err := d.Trips.Live(ctx, Caller(ctx))
	if err != nil || len(rows) == 0 {
		return Nullable[activeTripData]{}, err
	}
	seen, err := d.Trips.WithPosition(ctx, rows[:1])
	if err != nil {
		return Nullable[activeTripData]{}, err
	}
	return Nullable[activeTripData]{&activeTripData{
		AssignmentID: rows[0].Trip.ID,
		ActiveTripData: ActiveTripData{
			AssignmentData: assignmentData(rows[0].Trip, fleet.Driver),
			Odometer:       rows[0].Trip.Summary(fleet.Driver).OdometerM,
			LastLocation:   lastLocation(seen[0]),
		},
	}}, nil
}

func lastLocation(t access.Seen) Nullable[LastLocationData] {
	if !t.HasLast {
		return Nullable[LastLocationData]{}
	}
	return Nullable[LastLocationData]{&LastLocationData{
		Latitude: t.Last.Lat, Longitude: t.Last.Lng, Speed: t.Last.Speed, Bearing: t.Last.Bearing, LastUpdated: AtMS(t.Last.TS),
	}}
}
