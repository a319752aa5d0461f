package rest

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weelo/internal/access"
	"weelo/internal/fleet"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// BookingData is an order as the apps' older screens read it: one kind of truck, its first.
type BookingData struct {
	ID             string    `json:"id"`
	CustomerID     string    `json:"customerId"`
	CustomerName   string    `json:"customerName"`
	CustomerPhone  string    `json:"customerPhone"`
	Pickup         OrderSpot `json:"pickup"`
	Drop           OrderSpot `json:"drop"`
	VehicleType    string    `json:"vehicleType"`
	VehicleSubtype string    `json:"vehicleSubtype"`
	TrucksNeeded   int       `json:"trucksNeeded"`
	TrucksFilled   int       `json:"trucksFilled"`
	PricePerTruck  int       `json:"pricePerTruck"`
	TotalAmount    int       `json:"totalAmount"`
	DistanceKm     int       `json:"distanceKm"`
	GoodsType      string    `json:"goodsType"`
	Notes          *string   `json:"notes" nullable:"true"`
	Status         string    `json:"status"`
	ScheduledAt    Timestamp `json:"scheduledAt"`
	CreatedAt      Timestamp `json:"createdAt"`
	UpdatedAt      Timestamp `json:"updatedAt"`
	ExpiresAt      Timestamp `json:"expiresAt"`
	CompletedAt    Timestamp `json:"completedAt"`
	IsRated        bool      `json:"isRated"`
	HasUnrated     bool      `json:"hasUnratedTrips"`
}

type oneBookingData struct {
	Booking BookingData `json:"booking"`
}

type bookingsPage struct {
	Bookings []BookingData `json:"bookings" nullable:"false"`
	Total    int           `json:"total"`
	HasMore  bool          `json:"hasMore"`
}

func (d Orders) registerBookings(a *API) {
	const base, tag = "/api/v1/bookings", "bookings"
	customer := []fleet.Role{fleet.Customer}
	Handle(a, Route{Method: http.MethodPost, Path: base, Name: "create-booking", Tag: tag, Roles: customer, Status: http.StatusCreated,
		Summary: "Ask for trucks of one kind; the booking is an order", MaxBody: 16 << 10, Message: "Booking created"}, d.book)
	Handle(a, Route{Method: http.MethodGet, Path: base, Name: "bookings", Tag: tag, Roles: customer,
		Summary: "The caller's orders as bookings, newest first"}, d.bookings)
	Handle(a, Route{Method: http.MethodGet, Path: base + "/{bookingId}", Name: "booking", Tag: tag,
		Summary: "One order as a booking"}, d.booking)
	// Neither of /bookings/{id}/trucks and /bookings/orders/{id} is the more exact one, which the mux does
	// not take: it is given a pattern that yields to every other, and the document the address.
	const part = base + "/{bookingId}/{part}"
	Handle(a, Route{Method: http.MethodGet, Path: part, Name: "booking-trucks", Tag: tag,
		Summary: "The trucks of an order"}, d.trucks)
	a.documented(part, "part", base+"/{bookingId}/trucks")
	Handle(a, Route{Method: http.MethodPatch, Path: base + "/{bookingId}/cancel", Name: "cancel-booking", Tag: tag, Roles: customer,
		Summary: "End the order and its trips", MaxBody: 4 << 10, Message: "Booking cancelled"}, d.cancelBooking)
}

type bookInput struct {
	Body struct {
		Pickup         OrderPlaceInput `json:"pickup"`
		Drop           OrderPlaceInput `json:"drop"`
		VehicleType    string          `json:"vehicleType" minLength:"1" maxLength:"50"`
		VehicleSubtype string          `json:"vehicleSubtype" minLength:"2" maxLength:"50"`
		TrucksNeeded   int             `json:"trucksNeeded" minimum:"1" maximum:"20"`
		DistanceKm     float64         `json:"distanceKm" minimum:"0.1" maximum:"5000"`
		PricePerTruck  float64         `json:"pricePerTruck" minimum:"1" maximum:"1000000"`
		GoodsType      *string         `json:"goodsType,omitempty" nullable:"true" maxLength:"200"`
		CargoWeightKg  *float64        `json:"cargoWeightKg,omitempty" nullable:"true" minimum:"0" maximum:"1000000"`
		Notes          *string         `json:"notes,omitempty" nullable:"true" maxLength:"500"`
		ScheduledAt    *string         `json:"scheduledAt,omitempty" nullable:"true" maxLength:"40"`
	}
}

func (d Orders) book(ctx context.Context, in *bookInput) (oneBookingData, error) {
	b := in.Body
	asked, err := orderBody{
		Pickup: &b.Pickup, Drop: &b.Drop, DistanceKm: b.DistanceKm, GoodsType: b.GoodsType, CargoWeightKg: b.CargoWeightKg, Notes: b.Notes, ScheduledAt: b.ScheduledAt,
		Trucks: []needInput{{b.VehicleType, b.VehicleSubtype, b.TrucksNeeded, b.PricePerTruck}},
	}.order()
	if err != nil {
		return oneBookingData{}, err
	}
	s, err := d.create(ctx, asked)
	if err != nil {
		return oneBookingData{}, err
	}
	return oneBookingData{bookingOf(s, asker(Caller(ctx)), d.Now())}, nil
}

func bookingOf(s order.State, by order.By, now time.Time) BookingData {
	v := s.Info(by, now)
	data := BookingData{
		ID: v.ID, CustomerID: string(v.CustomerID), CustomerName: v.CustomerName, CustomerPhone: national(v.CustomerPhone),
		Pickup: orderSpot(v.Pickup), Drop: orderSpot(v.Drop), VehicleType: v.VehicleType, VehicleSubtype: v.VehicleSubtype,
		TrucksNeeded: v.TotalTrucks, TrucksFilled: v.TrucksFilled, PricePerTruck: v.PricePerTruck, TotalAmount: v.TotalRupees,
		DistanceKm: v.DistanceKm, GoodsType: v.Goods, Notes: optional(s.Notes), Status: string(v.Status), ScheduledAt: AtMS(v.ScheduledMS),
		CreatedAt: AtMS(v.CreatedMS), UpdatedAt: AtMS(v.UpdatedMS), ExpiresAt: AtMS(v.ExpiresMS),
	}
	if v.Status == order.Completed {
		data.CompletedAt = AtMS(v.EndedMS)
	}
	return data
}

func (d Orders) bookings(ctx context.Context, in *pageInput) (bookingsPage, error) {
	q, err := in.page()
	if err != nil {
		return bookingsPage{}, err
	}
	found, total, err := d.Reads.OfCustomer(ctx, Caller(ctx).UserID, q)
	if err != nil {
		return bookingsPage{}, err
	}
	page := bookingsPage{Bookings: make([]BookingData, len(found)), Total: total, HasMore: q.Offset+len(found) < total}
	for i, s := range found {
		page.Bookings[i] = bookingOf(s, asker(Caller(ctx)), d.Now())
	}
	return page, nil
}

type bookingIDInput struct {
	ID string `path:"bookingId" maxLength:"64"`
}

func (d Orders) booking(ctx context.Context, in *bookingIDInput) (oneBookingData, error) {
	s, err := d.get(ctx, in.ID)
	if err != nil {
		return oneBookingData{}, err
	}
	return oneBookingData{bookingOf(s, asker(Caller(ctx)), d.Now())}, nil
}

type cancelBookingInput struct {
	ID   string `path:"bookingId" maxLength:"64"`
	Body *struct {
		Reason *string `json:"reason,omitempty" nullable:"true" maxLength:"500"`
	}
}

func (d Orders) cancelBooking(ctx context.Context, in *cancelBookingInput) (oneBookingData, error) {
	reason := ""
	if in.Body != nil {
		reason = text(in.Body.Reason)
	}
	s, err := d.cancelled(ctx, in.ID, reason)
	if err != nil {
		return oneBookingData{}, err
	}
	return oneBookingData{bookingOf(s, asker(Caller(ctx)), d.Now())}, nil
}

// TrucksData are the trucks that drive for an order.
type TrucksData struct {
	Trucks []AssignedTruckData `json:"trucks" nullable:"false"`
}

// AssignedTruckData is one of them. assignmentId is the trip's id, as in every event about it.
type AssignedTruckData struct {
	AssignmentID    string              `json:"assignmentId"`
	TripID          string              `json:"tripId"`
	VehicleNumber   string              `json:"vehicleNumber"`
	VehicleType     string              `json:"vehicleType"`
	VehicleSubtype  string              `json:"vehicleSubtype"`
	DriverName      string              `json:"driverName"`
	DriverPhone     string              `json:"driverPhone" doc:"Masked for everybody but the driver's fleet"`
	DriverPhoto     *string             `json:"driverProfilePhotoUrl" nullable:"true"`
	DriverRating    *float64            `json:"driverRating" nullable:"true"`
	DriverRatings   int                 `json:"driverTotalRatings"`
	CustomerRating  *int                `json:"customerRating" nullable:"true"`
	Status          string              `json:"status"`
	AssignedAt      Timestamp           `json:"assignedAt"`
	CurrentLocation Nullable[WhereData] `json:"currentLocation"`
}

type bookingPartInput struct {
	ID   string `path:"bookingId" maxLength:"64"`
	Part string `path:"part" maxLength:"64"`
}

func (d Orders) trucks(ctx context.Context, in *bookingPartInput) (TrucksData, error) {
	if in.Part != "trucks" {
		return TrucksData{}, errNoRoute
	}
	s, err := d.get(ctx, in.ID)
	if err != nil {
		return TrucksData{}, err
	}
	seen, err := d.tripsOf(ctx, s)
	if err != nil {
		return TrucksData{}, err
	}
	role := Caller(ctx).Role
	data := TrucksData{Trucks: make([]AssignedTruckData, len(seen))}
	for i, t := range seen {
		v := t.Trip.Summary(role)
		data.Trucks[i] = AssignedTruckData{
			AssignmentID: v.ID, TripID: v.TripID, VehicleNumber: v.VehicleNumber, VehicleType: v.VehicleType, VehicleSubtype: v.VehicleSubtype,
			DriverName: v.DriverName, DriverPhone: national(v.DriverPhone), Status: v.Status, AssignedAt: AtMS(v.AssignedMS),
		}
		if t.HasLast {
			data.Trucks[i].CurrentLocation.Value = &WhereData{t.Last.Lat, t.Last.Lng}
		}
	}
	return data, nil
}

// tripsOf gives the trips of an order that the caller may see and whose driver has accepted: those under
// way and those that delivered, in the order of the slots. They are read at once: apps poll this.
func (d Orders) tripsOf(ctx context.Context, s order.State) ([]access.Seen, error) {
	var ids []string
	for _, slot := range s.Slots {
		if slot.TripID != "" {
			ids = append(ids, slot.TripID)
		}
	}
	found, err := d.Trips.ByID(ctx, Caller(ctx), ids)
	if err != nil {
		return nil, err
	}
	rows := []access.Row{}
	for _, id := range ids {
		if row, ok := found[id]; ok && row.Trip.AcceptedMS != 0 && row.Trip.Status != trip.Cancelled {
			rows = append(rows, row)
		}
	}
	return d.Trips.WithPosition(ctx, rows)
}

// documented gives a route that ends in a parameter the address in the document that it is called by.
func (a *API) documented(path, parameter, address string) {
	doc := a.huma.OpenAPI()
	item := doc.Paths[path]
	item.Get.Parameters = slices.DeleteFunc(item.Get.Parameters, func(p *huma.Param) bool { return p.Name == parameter })
	delete(doc.Paths, path)
	doc.Paths[address] = item
}
