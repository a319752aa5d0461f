package trip

import (
	"fmt"
	"math"
	"time"

	"weelo/internal/fleet"
)

// notice is one event as people get it: the fields of the apps' contract §2.4, times in ms, both
// coordinate spellings, the customer's phone masked. No recipients: history only.
type notice struct {
	kind    string
	to      []string
	expires time.Time
	data    any
}

func notices(s State, e Event) []notice {
	switch e.What {
	case Assigned:
		return []notice{s.assignedNotice()}
	case Accepted:
		return []notice{s.statusNotice(e, "The driver has accepted the trip.")}
	case Declined:
		return []notice{s.statusNotice(e, "The driver has declined the trip.")}
	case TimedOut:
		return []notice{s.statusNotice(e, "The driver did not answer in time."), s.timeoutNotice(e)}
	case StepReached:
		out := []notice{s.statusNotice(e, stepMessage[e.To])}
		if e.Code != "" && s.CustomerID != "" {
			out = append(out, s.codeNotice(e))
		}
		return out
	case BrokeDown:
		return []notice{s.statusNotice(e, "The vehicle has broken down."), s.cancelledNotice(e)}
	case CameNear:
		if s.CustomerID == "" {
			return []notice{{kind: "trip_" + string(e.What), data: e}}
		}
		return []notice{s.nearNotice(e)}
	case WasCancelled:
		return []notice{s.statusNotice(e, "The trip was cancelled."), s.cancelledNotice(e)}
	case WentSilent:
		return []notice{s.silentNotice(e)}
	default: // Heard, TrackFolded, CodeRefused: nobody is told
		return []notice{{kind: "trip_" + string(e.What), data: e}}
	}
}

var stepMessage = map[Status]string{
	EnRoutePickup:   "The driver is on the way to the pickup.",
	AtPickup:        "The driver has arrived at the pickup.",
	LoadingComplete: "Loading is complete.",
	InTransit:       "The trip has started.",
	ArrivedAtDrop:   "The driver has arrived at the drop.",
	Completed:       "The trip is completed.",
	PartialDelivery: "The trip ended with a partial delivery.",
}

// Spot is a place as both apps read it: lat/lng for one, latitude/longitude for the other.
type Spot struct {
	Type      string  `json:"type,omitempty"`
	Address   string  `json:"address"`
	City      string  `json:"city"`
	Lat       float64 `json:"lat"`
	Lng       float64 `json:"lng"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// Spot is the place in both spellings.
func (p Place) Spot() Spot {
	return Spot{Address: p.Address, City: p.City, Lat: p.Latitude, Lng: p.Longitude, Latitude: p.Latitude, Longitude: p.Longitude}
}

// Route is the pickup and the drop as route points.
func (s State) Route() []Spot {
	pickup, drop := s.Pickup.Spot(), s.Drop.Spot()
	pickup.Type, drop.Type = "PICKUP", "DROP"
	return []Spot{pickup, drop}
}

// AssignedData is the data of trip_assigned.
type AssignedData struct {
	AssignmentID   string `json:"assignmentId"`
	TripID         string `json:"tripId"`
	OrderID        string `json:"orderId"`
	BookingID      string `json:"bookingId"`
	TruckRequestID string `json:"truckRequestId"`
	Pickup         Spot   `json:"pickup"`
	Drop           Spot   `json:"drop"`
	RoutePoints    []Spot `json:"routePoints"`
	VehicleNumber  string `json:"vehicleNumber"`
	VehicleType    string `json:"vehicleType"`
	VehicleSubtype string `json:"vehicleSubtype"`
	FarePerTruck   int    `json:"farePerTruck"`
	DistanceKm     int    `json:"distanceKm"`
	CustomerName   string `json:"customerName"`
	CustomerPhone  string `json:"customerPhone"`
	AssignedAt     int64  `json:"assignedAt"`
	ExpiresAt      int64  `json:"expiresAt"`
	TimeoutSeconds int    `json:"driverAcceptTimeoutSeconds"`
	Message        string `json:"message"`
}

func (s State) assignedNotice() notice {
	due := s.Timers[AcceptTimer].DueMS
	return notice{
		kind: "trip_assigned", to: []string{string(s.DriverID)}, expires: time.UnixMilli(due).UTC(),
		data: AssignedData{
			AssignmentID: s.ID, TripID: s.ID, OrderID: s.OrderID, BookingID: s.OrderID, TruckRequestID: s.Slot,
			Pickup: s.Pickup.Spot(), Drop: s.Drop.Spot(), RoutePoints: s.Route(),
			VehicleNumber: s.Vehicle.Number, VehicleType: s.Vehicle.Type, VehicleSubtype: s.Vehicle.Subtype,
			FarePerTruck: s.Cargo.FareRupees, DistanceKm: s.Cargo.DistanceKm,
			CustomerName: s.Names.Customer, CustomerPhone: ShortPhone(s.Names.CustomerPhone),
			AssignedAt: s.AssignedMS, ExpiresAt: due, TimeoutSeconds: int((due - s.AssignedMS + 999) / 1000),
			Message: "You have a new trip.",
		},
	}
}

// StatusData is the data of trip_status.
type StatusData struct {
	AssignmentID  string       `json:"assignmentId"`
	TripID        string       `json:"tripId"`
	OrderID       string       `json:"orderId"`
	BookingID     string       `json:"bookingId"`
	Slot          string       `json:"truckRequestId,omitempty"` // absent for a trip that no order's search made
	Status        string       `json:"status"`                   // the apps' name; expired for an acceptance that timed out
	DriverID      fleet.UserID `json:"driverId"`
	DriverName    string       `json:"driverName"`
	VehicleNumber string       `json:"vehicleNumber"`
	Reason        string       `json:"reason,omitempty"`
	Timestamp     int64        `json:"timestamp"`
	Message       string       `json:"message"`
}

func (s State) statusNotice(e Event, message string) notice {
	status := s.Status.App()
	if e.What == TimedOut {
		status = "expired"
	}
	return notice{kind: "trip_status", to: s.everybody(), data: StatusData{
		AssignmentID: s.ID, TripID: s.ID, OrderID: s.OrderID, BookingID: s.OrderID, Slot: s.Slot, Status: status,
		DriverID: s.DriverID, DriverName: s.Names.Driver, VehicleNumber: s.Vehicle.Number,
		Reason: e.Reason, Timestamp: e.AtMS, Message: message,
	}}
}

// TimeoutData is the data of trip_timeout.
type TimeoutData struct {
	AssignmentID  string       `json:"assignmentId"`
	TripID        string       `json:"tripId"`
	OrderID       string       `json:"orderId"`
	DriverID      fleet.UserID `json:"driverId"`
	DriverName    string       `json:"driverName"`
	VehicleNumber string       `json:"vehicleNumber"`
	Reason        string       `json:"reason"`
	Message       string       `json:"message"`
}

func (s State) timeoutNotice(e Event) notice {
	return notice{kind: "trip_timeout", to: []string{string(s.TransporterID)}, data: TimeoutData{
		AssignmentID: s.ID, TripID: s.ID, OrderID: s.OrderID, DriverID: s.DriverID,
		DriverName: s.Names.Driver, VehicleNumber: s.Vehicle.Number, Reason: e.Reason,
		Message: s.Names.Driver + " did not answer in time.",
	}}
}

// CancelledData is the data of trip_cancelled.
type CancelledData struct {
	OrderID            string `json:"orderId"`
	TripID             string `json:"tripId"`
	AssignmentID       string `json:"assignmentId"`
	Reason             string `json:"reason"`
	Message            string `json:"message"`
	CancelledAt        int64  `json:"cancelledAt"`
	CancelledBy        string `json:"cancelledBy"`
	CustomerName       string `json:"customerName"`
	CustomerPhone      string `json:"customerPhone"`
	PickupAddress      string `json:"pickupAddress"`
	DropAddress        string `json:"dropAddress"`
	CompensationAmount int    `json:"compensationAmount"`
	SettlementState    string `json:"settlementState"`
}

func (s State) cancelledNotice(e Event) notice {
	settlement := "none"
	if e.Rupees > 0 {
		settlement = "pending"
	}
	return notice{kind: "trip_cancelled", to: []string{string(s.DriverID)}, data: CancelledData{
		OrderID: s.OrderID, TripID: s.ID, AssignmentID: s.ID, Reason: e.Reason,
		Message: "The trip was cancelled.", CancelledAt: e.AtMS, CancelledBy: e.By,
		CustomerName: s.Names.Customer, CustomerPhone: ShortPhone(s.Names.CustomerPhone),
		PickupAddress: s.Pickup.Address, DropAddress: s.Drop.Address,
		CompensationAmount: e.Rupees, SettlementState: settlement,
	}}
}

// SilentData is the data of the driver_connectivity event of a trip that went silent: the fields of
// the apps' assignment_stale.
type SilentData struct {
	Kind            string       `json:"kind"` // assignment_stale
	AssignmentID    string       `json:"assignmentId"`
	TripID          string       `json:"tripId"`
	DriverID        fleet.UserID `json:"driverId"`
	DriverName      string       `json:"driverName"`
	VehicleNumber   string       `json:"vehicleNumber"`
	LastSeenSeconds int64        `json:"lastSeenSeconds"`
	Timestamp       int64        `json:"timestamp"`
	Message         string       `json:"message"`
}

func (s State) silentNotice(e Event) notice {
	return notice{kind: "driver_connectivity", to: []string{string(s.TransporterID)}, data: SilentData{
		Kind: "assignment_stale", AssignmentID: s.ID, TripID: s.ID, DriverID: s.DriverID,
		DriverName: s.Names.Driver, VehicleNumber: s.Vehicle.Number,
		LastSeenSeconds: (e.AtMS - max(e.HeardMS, s.StatusMS)) / 1000, Timestamp: e.AtMS,
		Message: "Nothing was heard from " + s.Names.Driver + " for a long time. Please check the trip.",
	}}
}

// NearData is the data of driver_approaching.
type NearData struct {
	TripID        string       `json:"tripId"`
	OrderID       string       `json:"orderId"`
	BookingID     string       `json:"bookingId"`
	DriverID      fleet.UserID `json:"driverId"`
	DriverName    string       `json:"driverName"`
	VehicleNumber string       `json:"vehicleNumber"`
	DistanceKm    float64      `json:"distanceKm"` // by road, one decimal
	Minutes       int64        `json:"durationMinutes"`
	DurationText  string       `json:"durationText"`
	Timestamp     int64        `json:"timestamp"`
}

func (s State) nearNotice(e Event) notice {
	minutes := max(1, (e.Seconds+59)/60)
	text := fmt.Sprintf("%d mins", minutes)
	if minutes == 1 {
		text = "1 min"
	}
	return notice{
		kind: "driver_approaching", to: []string{string(s.CustomerID)}, expires: time.UnixMilli(e.AtMS).Add(time.Hour).UTC(),
		data: NearData{
			TripID: s.ID, OrderID: s.OrderID, BookingID: s.OrderID, DriverID: s.DriverID, DriverName: s.Names.Driver,
			VehicleNumber: s.Vehicle.Number, DistanceKm: math.Round(e.WayM/100) / 10, Minutes: minutes, DurationText: text, Timestamp: e.AtMS,
		},
	}
}

// CodeData is the data of delivery_code, which only the customer gets.
type CodeData struct {
	TripID        string `json:"tripId"`
	OrderID       string `json:"orderId"`
	BookingID     string `json:"bookingId"`
	VehicleNumber string `json:"vehicleNumber"`
	DriverName    string `json:"driverName"`
	Code          string `json:"code"`
	Message       string `json:"message"`
}

func (s State) codeNotice(e Event) notice {
	return notice{kind: "delivery_code", to: []string{string(s.CustomerID)}, data: CodeData{
		TripID: s.ID, OrderID: s.OrderID, BookingID: s.OrderID, VehicleNumber: s.Vehicle.Number, DriverName: s.Names.Driver,
		Code: e.Code, Message: "Give this code to the driver when your goods have arrived.",
	}}
}

// everybody is who hears of every status: the driver, the transporter and the known customer.
func (s State) everybody() []string {
	to := []string{string(s.DriverID), string(s.TransporterID)}
	if s.CustomerID != "" {
		to = append(to, string(s.CustomerID))
	}
	return to
}
