package simulate

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"weelo/internal/client"
	"weelo/internal/world"
)

// place is an address with its city, as POST /assignments takes it and active-trip gives it.
type place struct {
	client.Place
	City string `json:"city,omitempty"`
}

func placeOf(s world.Stop) place {
	return place{client.Place{Latitude: s.At.Lat, Longitude: s.At.Lng, Address: s.Address}, s.City.Name}
}

// activeTrip is what a driver's app gets back after a crash.
type activeTrip struct {
	TripID       string `json:"tripId"`
	Status       string `json:"status"`
	Pickup       place  `json:"pickup"`
	Drop         place  `json:"drop"`
	LastLocation *place `json:"lastLocation"`
}

// assign puts the crew on a trip. A trip that an earlier run left behind is ended first.
func (a *api) assign(ctx context.Context, c crew, lane world.Lane) (tripID string, err error) {
	body := struct {
		VehicleID     string `json:"vehicleId"`
		DriverID      string `json:"driverId"`
		Pickup        place  `json:"pickup"`
		Drop          place  `json:"drop"`
		CustomerPhone string `json:"customerPhone,omitempty"`
	}{c.vehicle.ID, c.driver.ID, placeOf(lane.From), placeOf(lane.To), c.customer.Phone}
	var out struct {
		TripID string `json:"tripId"`
	}
	err = a.call(ctx, http.MethodPost, "assignments", c.transporter.Token, body, &out)
	if refusedWith(err, "DRIVER_BUSY", "VEHICLE_UNAVAILABLE") {
		if err := a.release(ctx, c); err != nil {
			return "", fmt.Errorf("end the trip an earlier run left: %w", err)
		}
		err = a.call(ctx, http.MethodPost, "assignments", c.transporter.Token, body, &out)
	}
	return out.TripID, err
}

// release ends whatever trip the driver is on.
func (a *api) release(ctx context.Context, c crew) error {
	t, err := a.active(ctx, c)
	if err != nil || t == nil {
		return err
	}
	if t.Status == "pending" {
		return a.decline(ctx, c, t.TripID)
	}
	return a.step(ctx, c, t.TripID, "completed")
}

// active is the driver's live trip, nil when he has none.
func (a *api) active(ctx context.Context, c crew) (*activeTrip, error) {
	var t *activeTrip
	err := a.call(ctx, http.MethodGet, "tracking/active-trip", c.driver.Token, nil, &t)
	return t, err
}

// accept takes the trip and waits until this machine's clock has passed the acceptance as the server's
// clock has it: earlier fixes would not belong to the trip.
func (a *api) accept(ctx context.Context, c crew, tripID string) error {
	var out struct {
		AcceptedAt time.Time `json:"driverAcceptedAt"`
	}
	if err := a.call(ctx, http.MethodPatch, "assignments/"+tripID+"/accept", c.driver.Token, nil, &out); err != nil {
		return err
	}
	if behind := time.Until(out.AcceptedAt); behind >= 0 {
		pause(ctx, min(behind+time.Millisecond, maxClockWait))
	}
	return nil
}

// maxClockWait bounds the wait for a server whose clock is ahead; a fix may be 30 s ahead of it, never
// behind its trip.
const maxClockWait = 10 * time.Second

func (a *api) decline(ctx context.Context, c crew, tripID string) error {
	body := map[string]string{"reason": "The simulation starts anew."}
	return a.call(ctx, http.MethodPatch, "assignments/"+tripID+"/decline", c.driver.Token, body, nil)
}

// step reports a status, by its name in the apps.
func (a *api) step(ctx context.Context, c crew, tripID, status string) error {
	body := map[string]string{"status": status}
	if status == "partial_delivery" {
		body["reason"] = "Two crates are damaged and stay on the truck."
	}
	return a.call(ctx, http.MethodPut, "tracking/trip/"+tripID+"/status", c.driver.Token, body, nil)
}
