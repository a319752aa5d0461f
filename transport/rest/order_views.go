package rest

import (
	"strconv"
	"time"

	"weelo/internal/access"
	"weelo/internal/order"
	"weelo/internal/token"
	"weelo/internal/trip"
)

// OrderSpot is a place in every spelling: the customer app reads coordinates, the Captain app
// latitude and longitude, or lat and lng.
type OrderSpot struct {
	Coordinates WhereData `json:"coordinates"`
	Latitude    float64   `json:"latitude"`
	Longitude   float64   `json:"longitude"`
	Lat         float64   `json:"lat"`
	Lng         float64   `json:"lng"`
	Address     string    `json:"address"`
	City        string    `json:"city"`
	State       string    `json:"state"`
}

// OrderData is an order as both apps read it. Distances are whole kilometres, money whole rupees.
type OrderData struct {
	ID            string    `json:"id"`
	CustomerID    string    `json:"customerId"`
	CustomerName  string    `json:"customerName"`
	CustomerPhone string    `json:"customerPhone" doc:"Masked for everybody but the customer"`
	Pickup        OrderSpot `json:"pickup"`
	Drop          OrderSpot `json:"drop"`
	RoutePoints   []Stop    `json:"routePoints" nullable:"false"`
	DistanceKm    int       `json:"distanceKm"`
	TotalTrucks   int       `json:"totalTrucks"`
	TrucksFilled  int       `json:"trucksFilled" doc:"Trucks whose driver has accepted"`
	TotalAmount   int       `json:"totalAmount"`
	GoodsType     string    `json:"goodsType"`
	Weight        *string   `json:"weight" nullable:"true" doc:"Kilograms"`
	Status        string    `json:"status"`
	Dispatch      string    `json:"dispatchState"`
	Attempts      int       `json:"dispatchAttempts" doc:"Waves of the broadcast"`
	Online        int       `json:"onlineCandidates"`
	Notified      int       `json:"notifiedTransporters"`
	ReasonCode    *string   `json:"reasonCode" nullable:"true"`
	ScheduledAt   Timestamp `json:"scheduledAt"`
	ExpiresAt     Timestamp `json:"expiresAt" doc:"When the search ends"`
	ExpiresIn     int       `json:"expiresIn" doc:"Seconds until then"`
	CreatedAt     Timestamp `json:"createdAt"`
	UpdatedAt     Timestamp `json:"updatedAt"`
	Revision      int64     `json:"dispatchRevision" doc:"Rises whenever the offers of the order change"`
	Lifecycle     int64     `json:"lifecycleEventVersion"`
	LifecycleToo  int64     `json:"orderLifecycleVersion" doc:"The same as lifecycleEventVersion"`
}

// TruckRequestData is one truck of an order.
type TruckRequestData struct {
	ID              string    `json:"id"`
	OrderID         string    `json:"orderId"`
	Number          int       `json:"requestNumber"`
	VehicleType     string    `json:"vehicleType"`
	VehicleSubtype  string    `json:"vehicleSubtype"`
	PricePerTruck   int       `json:"pricePerTruck"`
	Status          string    `json:"status" enum:"searching,held,assigned,accepted,in_progress,completed,cancelled,expired"`
	TransporterID   *string   `json:"assignedTransporterId" nullable:"true"`
	TransporterName *string   `json:"assignedTransporterName" nullable:"true"`
	VehicleID       *string   `json:"assignedVehicleId" nullable:"true"`
	VehicleNumber   *string   `json:"assignedVehicleNumber" nullable:"true"`
	DriverID        *string   `json:"assignedDriverId" nullable:"true"`
	DriverName      *string   `json:"assignedDriverName" nullable:"true"`
	DriverPhone     *string   `json:"assignedDriverPhone" nullable:"true" doc:"Whole for the driver's fleet, masked for others"`
	TripID          *string   `json:"tripId" nullable:"true"`
	AssignmentID    *string   `json:"assignmentId" nullable:"true" doc:"The same as tripId"`
	AssignedAt      Timestamp `json:"assignedAt"`
	CreatedAt       Timestamp `json:"createdAt"`
	UpdatedAt       Timestamp `json:"updatedAt"`
}

// OrderSummaryData counts the trucks of one order.
type OrderSummaryData struct {
	TotalTrucks     int `json:"totalTrucks"`
	TrucksFilled    int `json:"trucksFilled"`
	TrucksSearching int `json:"trucksSearching"`
	TrucksExpired   int `json:"trucksExpired"`
}

// OrderDetailData is an order with its trucks.
type OrderDetailData struct {
	Order    OrderData          `json:"order"`
	Requests []TruckRequestData `json:"requests" nullable:"false"`
	Summary  OrderSummaryData   `json:"summary"`
	Dispute  *OrderDisputeData  `json:"dispute,omitempty" doc:"Once the customer has raised one; for transporters and drivers once it is resolved"`
}

// OrderDisputeData is the customer's dispute about an order.
type OrderDisputeData struct {
	ID         string    `json:"disputeId"`
	Status     string    `json:"status" enum:"open,resolved"`
	Stage      string    `json:"stage"`
	Resolution *string   `json:"resolution" nullable:"true" doc:"upheld, settled or rejected"`
	RaisedAt   Timestamp `json:"raisedAt"`
	ResolvedAt Timestamp `json:"resolvedAt"`
}

func orderDispute(d *order.DisputeOutcome) *OrderDisputeData {
	if d == nil {
		return nil
	}
	data := &OrderDisputeData{ID: d.DisputeID, Status: "open", Stage: string(d.Stage), Resolution: optional(string(d.Resolution)),
		RaisedAt: AtMS(d.RaisedAt), ResolvedAt: AtMS(d.ResolvedAt)}
	if d.Resolution != "" {
		data.Status = "resolved"
	}
	return data
}

// asker names who asks, for what an order shows of other people.
func asker(who token.Identity) order.By { return access.Principal(who) }

func orderData(s order.State, by order.By, now time.Time) OrderData {
	v := s.Info(by, now)
	data := OrderData{
		ID: v.ID, CustomerID: string(v.CustomerID), CustomerName: v.CustomerName, CustomerPhone: national(v.CustomerPhone),
		Pickup: orderSpot(v.Pickup), Drop: orderSpot(v.Drop), RoutePoints: orderStops(v.Route), DistanceKm: v.DistanceKm,
		TotalTrucks: v.TotalTrucks, TrucksFilled: v.TrucksFilled, TotalAmount: v.TotalRupees, GoodsType: v.Goods,
		Status: string(v.Status), Dispatch: string(v.Dispatch), Attempts: s.Wave, Online: s.Online, Notified: s.Notified,
		ReasonCode: optional(v.ReasonCode), ScheduledAt: AtMS(v.ScheduledMS), ExpiresAt: AtMS(v.ExpiresMS), ExpiresIn: v.ExpiresInSeconds,
		CreatedAt: AtMS(v.CreatedMS), UpdatedAt: AtMS(v.UpdatedMS),
		Revision: v.Revision, Lifecycle: v.Lifecycle, LifecycleToo: v.Lifecycle,
	}
	if v.WeightKg > 0 {
		weight := strconv.Itoa(v.WeightKg)
		data.Weight = &weight
	}
	return data
}

func orderSpot(p trip.Place) OrderSpot {
	return OrderSpot{
		Coordinates: WhereData{p.Latitude, p.Longitude}, Latitude: p.Latitude, Longitude: p.Longitude, Lat: p.Latitude, Lng: p.Longitude,
		Address: p.Address, City: p.City, State: p.State,
	}
}

func orderStops(route []order.Stop) []Stop {
	list := make([]Stop, len(route))
	for i, p := range route {
		list[i] = Stop{Type: p.Type, Latitude: p.Latitude, Longitude: p.Longitude, Lat: p.Latitude, Lng: p.Longitude,
			Address: p.Address, City: p.City, StopIndex: i}
	}
	return list
}

func truckRequests(s order.State, by order.By) []TruckRequestData {
	requests := s.Requests(by)
	list := make([]TruckRequestData, len(requests))
	for i, r := range requests {
		list[i] = TruckRequestData{
			ID: r.ID, OrderID: r.OrderID, Number: r.Number, VehicleType: r.Type, VehicleSubtype: r.Subtype,
			PricePerTruck: r.PriceRupees, Status: slotStatus(r.Status),
			TransporterID: optional(string(r.TransporterID)), TransporterName: optional(r.Transporter),
			VehicleID: optional(string(r.VehicleID)), VehicleNumber: optional(r.VehicleNumber),
			DriverID: optional(string(r.DriverID)), DriverName: optional(r.DriverName), DriverPhone: optional(national(r.DriverPhone)),
			TripID: optional(r.TripID), AssignmentID: optional(r.TripID), AssignedAt: AtMS(r.AssignedMS),
			CreatedAt: AtMS(s.CreatedMS), UpdatedAt: AtMS(max(s.CreatedMS, r.AssignedMS, r.AcceptedMS, r.EndedMS)),
		}
	}
	return list
}

// slotStatus is the apps' name of a slot's status: they know one good end of a delivery.
func slotStatus(s order.SlotStatus) string {
	if s == order.SlotPartial {
		return string(order.SlotCompleted)
	}
	return string(s)
}

func orderDetail(s order.State, by order.By, now time.Time) OrderDetailData {
	t := s.Tally()
	return OrderDetailData{
		Order: orderData(s, by, now), Requests: truckRequests(s, by),
		Summary: OrderSummaryData{TotalTrucks: t.Total, TrucksFilled: t.Filled, TrucksSearching: t.Searching + t.Held, TrucksExpired: t.Expired},
		Dispute: orderDispute(s.DisputeFor(by)),
	}
}

// OrderStatusData is what the customer app asks for whenever it comes back.
type OrderStatusData struct {
	OrderID          string    `json:"orderId"`
	Status           string    `json:"status"`
	RemainingSeconds int       `json:"remainingSeconds"`
	IsActive         bool      `json:"isActive" doc:"True also for an order that is full or under way"`
	ExpiresAt        Timestamp `json:"expiresAt"`
	Dispatch         string    `json:"dispatchState"`
	Attempts         int       `json:"dispatchAttempts"`
	Notified         int       `json:"notifiedTransporters"`
	Online           int       `json:"onlineCandidates"`
	ReasonCode       *string   `json:"reasonCode" nullable:"true"`
	RecoveryHint     *string   `json:"recoveryHint" nullable:"true" doc:"For people"`
	TrucksFilled     int       `json:"trucksFilled"`
	TotalTrucks      int       `json:"totalTrucks"`
	Revision         int64     `json:"dispatchRevision"`
	Lifecycle        int64     `json:"orderLifecycleVersion"`
	ServerTimeMS     int64     `json:"serverTimeMs"`
}

func orderStatus(s order.State, now time.Time) OrderStatusData {
	v := s.StatusView(now)
	return OrderStatusData{
		OrderID: v.OrderID, Status: string(v.Status), RemainingSeconds: v.RemainingSeconds, IsActive: v.IsActive, ExpiresAt: AtMS(v.ExpiresMS),
		Dispatch: string(v.Dispatch), Attempts: v.Attempts, Notified: v.Notified, Online: v.Online,
		ReasonCode: optional(v.ReasonCode), RecoveryHint: optional(v.RecoveryHint), TrucksFilled: v.TrucksFilled, TotalTrucks: v.TotalTrucks,
		Revision: v.Revision, Lifecycle: v.Lifecycle, ServerTimeMS: v.ServerMS,
	}
}
