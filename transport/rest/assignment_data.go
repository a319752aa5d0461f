package rest

import (
	"weelo/internal/fleet"
	"weelo/internal/trip"
)

// AssignmentData is a trip as both apps read it: every string is there, numbers that the apps keep as
// integers are integers, and places come in both spellings, whole and flat.
type AssignmentData struct {
	ID              string    `json:"id" doc:"The same as tripId"`
	TripID          string    `json:"tripId"`
	BookingID       string    `json:"bookingId" doc:"The order's id; empty without an order, never null"`
	OrderID         string    `json:"orderId"`
	TruckRequestID  string    `json:"truckRequestId"`
	TransporterID   string    `json:"transporterId"`
	TransporterName string    `json:"transporterName"`
	VehicleID       string    `json:"vehicleId"`
	VehicleNumber   string    `json:"vehicleNumber"`
	VehicleType     string    `json:"vehicleType"`
	VehicleSubtype  string    `json:"vehicleSubtype"`
	DriverID        string    `json:"driverId"`
	DriverName      string    `json:"driverName"`
	DriverPhone     string    `json:"driverPhone"`
	CustomerName    string    `json:"customerName"`
	CustomerPhone   string    `json:"customerPhone" doc:"Masked"`
	Status          string    `json:"status"`
	Reason          string    `json:"reason,omitempty" doc:"Why it was declined or cancelled"`
	AssignedAt      Timestamp `json:"assignedAt"`
	ExpiresAt       Timestamp `json:"expiresAt" doc:"Until when the driver may accept; null once he answered"`
	AcceptedAt      Timestamp `json:"driverAcceptedAt"`
	StartedAt       Timestamp `json:"startedAt"`
	CompletedAt     Timestamp `json:"completedAt"`
	Pickup          SpotData  `json:"pickup"`
	Drop            SpotData  `json:"drop"`
	PickupAddress   string    `json:"pickupAddress"`
	PickupLat       float64   `json:"pickupLat"`
	PickupLng       float64   `json:"pickupLng"`
	DropAddress     string    `json:"dropAddress"`
	DropLat         float64   `json:"dropLat"`
	DropLng         float64   `json:"dropLng"`
	RoutePoints     []Stop    `json:"routePoints" nullable:"false"`
	TotalStops      int       `json:"totalStops"`
	CurrentStop     int       `json:"currentRouteIndex"`
	DistanceKm      int       `json:"distanceKm"`
	PricePerTruck   int       `json:"pricePerTruck"`
	GoodsType       string    `json:"goodsType"`
}

// SpotData is a place in both spellings: the Captain app reads lat and lng, the customer app latitude
// and longitude.
type SpotData struct {
	Address   string  `json:"address"`
	City      string  `json:"city"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Lat       float64 `json:"lat"`
	Lng       float64 `json:"lng"`
}

// Stop is one point of the route.
type Stop struct {
	Type      string  `json:"type" enum:"PICKUP,STOP,DROP"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Lat       float64 `json:"lat"`
	Lng       float64 `json:"lng"`
	Address   string  `json:"address"`
	City      string  `json:"city"`
	StopIndex int     `json:"stopIndex"`
}

func assignmentData(t trip.State, viewer fleet.Role) AssignmentData {
	s := t.Summary(viewer)
	return AssignmentData{
		ID: s.ID, TripID: s.TripID, BookingID: s.BookingID, OrderID: s.OrderID, TruckRequestID: s.Slot,
		TransporterID: string(s.TransporterID), TransporterName: s.TransporterName,
		VehicleID: string(s.VehicleID), VehicleNumber: s.VehicleNumber, VehicleType: s.VehicleType, VehicleSubtype: s.VehicleSubtype,
		DriverID: string(s.DriverID), DriverName: s.DriverName, DriverPhone: national(s.DriverPhone),
		CustomerName: s.CustomerName, CustomerPhone: s.CustomerPhone, Status: s.Status, Reason: s.Reason,
		AssignedAt: AtMS(s.AssignedMS), ExpiresAt: AtMS(s.ExpiresMS), AcceptedAt: AtMS(s.AcceptedMS),
		StartedAt: AtMS(s.StartedMS), CompletedAt: AtMS(s.CompletedMS),
		Pickup: spotData(s.Pickup), Drop: spotData(s.Drop),
		PickupAddress: s.Pickup.Address, PickupLat: s.Pickup.Latitude, PickupLng: s.Pickup.Longitude,
		DropAddress: s.Drop.Address, DropLat: s.Drop.Latitude, DropLng: s.Drop.Longitude,
		RoutePoints: stops(s.Route), TotalStops: len(s.Route), CurrentStop: routeIndex(t),
		DistanceKm: s.DistanceKm, PricePerTruck: s.PricePerTruck, GoodsType: s.GoodsType,
	}
}

func spotData(p trip.Place) SpotData {
	return SpotData{Address: p.Address, City: p.City, Latitude: p.Latitude, Longitude: p.Longitude, Lat: p.Latitude, Lng: p.Longitude}
}

func stops(route []trip.Spot) []Stop {
	list := make([]Stop, len(route))
	for i, s := range route {
		list[i] = Stop{Type: s.Type, Latitude: s.Latitude, Longitude: s.Longitude, Lat: s.Lat, Lng: s.Lng,
			Address: s.Address, City: s.City, StopIndex: i}
	}
	return list
}

// routeIndex is the route point the driver is heading for: the pickup until the goods are on board.
func routeIndex(t trip.State) int {
	if t.Status.Carrying() || t.Status == trip.Completed || t.Status == trip.PartialDelivery {
		return 1
	}
	return 0
}
