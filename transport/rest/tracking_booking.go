package rest

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	"weelo/internal/access"
	"weelo/internal/fleet"
	"weelo/internal/geo"
)

func (d Orders) registerTracking(a *API) {
	const base, tag = "/api/v1/tracking/booking/{bookingId}", "tracking"
	Handle(a, Route{Method: http.MethodGet, Path: base, Name: "track-order", Tag: tag, Limit: allowed.Track,
		Summary: "Where the trucks of an order are"}, d.track)
	Handle(a, Route{Method: http.MethodGet, Path: base + "/eta", Name: "order-eta", Tag: tag, Limit: allowed.Track,
		Summary: "When the trucks of an order reach their next stop, by trip"}, d.eta)
}

// OrderTrackData is where the trucks of an order are.
type OrderTrackData struct {
	BookingID string      `json:"bookingId"`
	Trucks    []TrackData `json:"trucks" nullable:"false"`
}

func (d Orders) track(ctx context.Context, in *bookingIDInput) (OrderTrackData, error) {
	seen, err := d.trucksOf(ctx, in.ID)
	if err != nil {
		return OrderTrackData{}, err
	}
	data := OrderTrackData{BookingID: in.ID, Trucks: make([]TrackData, len(seen))}
	for i, t := range seen {
		data.Trucks[i] = trackData(t, d.Now())
	}
	return data, nil
}

func (d Orders) trucksOf(ctx context.Context, id string) ([]access.Seen, error) {
	s, err := d.get(ctx, id)
	if err != nil {
		return nil, err
	}
	return d.tripsOf(ctx, s)
}

// ETAData tells for each truck whose position is known when it reaches the pickup, or with the goods on
// board the drop.
type ETAData struct {
	ETAs map[string]TruckETAData `json:"etas" doc:"By trip id"`
}

// TruckETAData is the way of one truck to its next stop.
type TruckETAData struct {
	DurationMinutes int    `json:"durationMinutes"`
	DistanceKm      int    `json:"distanceKm"`
	DurationText    string `json:"durationText"`
}

func (d Orders) eta(ctx context.Context, in *bookingIDInput) (ETAData, error) {
	seen, err := d.trucksOf(ctx, in.ID)
	if err != nil {
		return ETAData{}, err
	}
	data := ETAData{ETAs: map[string]TruckETAData{}}
	for _, t := range seen {
		if t.HasLast && t.Trip.Live {
			data.ETAs[t.Trip.ID] = truckETA(t)
		}
	}
	return data, nil
}

func truckETA(t access.Seen) TruckETAData {
	goal := t.Trip.Pickup
	if t.Trip.Status.Carrying() {
		goal = t.Trip.Drop
	}
	metres := geo.Distance(geo.Point{Lat: t.Last.Lat, Lng: t.Last.Lng}, goal.Point()) * fleet.RoadFactor
	minutes := int(math.Ceil(fleet.RoadTime(metres).Minutes()))
	return TruckETAData{DurationMinutes: minutes, DistanceKm: rounded(metres / 1000), DurationText: durationText(minutes)}
}

func durationText(minutes int) string {
	if minutes < 60 {
		return fmt.Sprintf("%d min", minutes)
	}
	whole := time.Duration(minutes) * time.Minute
	return fmt.Sprintf("%d h %d min", int(whole.Hours()), minutes%60)
}
