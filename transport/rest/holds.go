package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/order"
)

func (d Orders) registerHolds(a *API) {
	const base, tag = "/api/v1/truck-hold", "holds"
	transporter := []fleet.Role{fleet.Transporter}
	at := func(method, path, name, summary, message string) Route {
		return Route{Method: method, Path: base + path, Name: name, Tag: tag, Roles: transporter, Summary: summary, Message: message, MaxBody: 16 << 10}
	}
	Handle(a, at(http.MethodPost, "/hold", "hold-trucks", "Reserve trucks of an order for a while", "Trucks held. Assign vehicles and drivers before the hold ends."), d.hold)
	Handle(a, at(http.MethodPost, "/confirm-with-assignments", "confirm-hold", "Make trips of a hold: a vehicle and a driver for each truck", "Trucks assigned"), d.confirm)
	HandleAck(a, at(http.MethodPost, "/release", "release-hold", "Give a hold up", "Hold released"), d.release)
	Handle(a, at(http.MethodPost, "/flex-hold/extend", "extend-hold", "Ask for more time", "Hold extended"), d.extend)
	Handle(a, at(http.MethodGet, "/my-active", "active-hold", "The caller's hold on trucks of one kind of an order, or null", ""), d.activeHold)
	Handle(a, at(http.MethodGet, "/availability/{orderId}", "order-availability", "How many trucks of each kind are left", ""), d.availability)
	HandleAck(a, at(http.MethodPost, "/confirm", "confirm-hold-bare", "No longer served: a confirmation names vehicles and drivers", ""), gone)
	progress := at(http.MethodGet, "/order-progress/{orderId}", "order-progress", "How far an order is filled", "")
	progress.Roles = nil
	Handle(a, progress, d.progress)
}

type holdInput struct {
	Body struct {
		OrderID        string `json:"orderId" minLength:"1" maxLength:"64"`
		VehicleType    string `json:"vehicleType" minLength:"1" maxLength:"50"`
		VehicleSubtype string `json:"vehicleSubtype" maxLength:"50"`
		Quantity       int    `json:"quantity" minimum:"1" maximum:"50"`
	}
}

// HoldData is a hold that was made, or had been.
type HoldData struct {
	HoldID       string    `json:"holdId"`
	OrderID      string    `json:"orderId"`
	ExpiresAt    Timestamp `json:"expiresAt"`
	HeldQuantity int       `json:"heldQuantity"`
	HoldState    string    `json:"holdState" enum:"reserved,confirmed,released,expired"`
	EventID      string    `json:"eventId"`
	EventVersion int64     `json:"eventVersion" doc:"Of the hold: 1, and one more for each extension"`
	ServerTimeMS int64     `json:"serverTimeMs"`
}

// holdStates are the apps' names for where a hold stands.
var holdStates = map[order.HoldStatus]string{
	order.HoldActive: "reserved", order.HoldConfirmed: "confirmed", order.HoldReleased: "released",
	order.HoldExpired: "expired", order.HoldCancelled: "released",
}

func (d Orders) hold(ctx context.Context, in *holdInput) (HoldData, error) {
	if err := d.limited(ctx, allowed.Hold); err != nil {
		return HoldData{}, err
	}
	b := in.Body
	if uuid.Validate(b.OrderID) != nil || len(b.OrderID) != 36 {
		return HoldData{}, order.ErrNotFound
	}
	reply, err := d.Orders.Hold(ctx, protocol.HoldRequest{
		OrderID: b.OrderID, By: asker(Caller(ctx)), Type: b.VehicleType, Subtype: b.VehicleSubtype, Quantity: b.Quantity, Repeat: repeat(ctx, b),
	})
	h, err := heldIn(reply, err)
	if err != nil {
		return HoldData{}, err
	}
	return HoldData{
		HoldID: h.ID, OrderID: reply.State.ID, ExpiresAt: AtMS(h.ExpiresMS), HeldQuantity: len(h.SlotIDs), HoldState: holdStates[h.Status],
		EventID: fmt.Sprintf("%s/%d", h.ID, h.CreatedMS), EventVersion: 1 + int64(h.Extensions), ServerTimeMS: d.Now().UnixMilli(),
	}, nil
}

var errHoldKey = fault.New(fault.Conflict, "IDEMPOTENCY_CONFLICT", "This request was already used for something else.")

// heldIn takes the hold out of an answer. A key that stands for something else has a name of its own
// among holds.
func heldIn(reply *protocol.OrderReply, err error) (order.Hold, error) {
	var refusal *fault.Error
	switch {
	case errors.As(err, &refusal) && refusal.Reason == "IDEMPOTENCY_KEY_REUSED":
		return order.Hold{}, errHoldKey
	case err != nil:
		return order.Hold{}, err
	case reply.Hold == nil:
		return order.Hold{}, fmt.Errorf("order %s answered a hold without one", reply.State.ID)
	}
	return *reply.Hold, nil
}

type holdIDInput struct {
	Body struct {
		HoldID string `json:"holdId" minLength:"1" maxLength:"64"`
	}
}

func (in holdIDInput) change(ctx context.Context, what string) protocol.HoldChange {
	return protocol.HoldChange{HoldID: in.Body.HoldID, By: asker(Caller(ctx)), Repeat: repeat(ctx, []string{what, in.Body.HoldID})}
}

func (d Orders) release(ctx context.Context, in *holdIDInput) error {
	_, err := heldIn(d.Orders.ReleaseHold(ctx, in.change(ctx, "release")))
	return err
}

// ExtendedHoldData answers an extension with all names that the app and its server had for it.
type ExtendedHoldData struct {
	HoldID           string    `json:"holdId"`
	OrderID          string    `json:"orderId"`
	Phase            string    `json:"phase" enum:"FLEX,CONFIRMED,EXPIRED,RELEASED"`
	ExpiresAt        Timestamp `json:"expiresAt"`
	NewExpiresAt     Timestamp `json:"newExpiresAt" doc:"The same as expiresAt"`
	RemainingSeconds int       `json:"remainingSeconds"`
	TotalSeconds     int       `json:"totalDurationSeconds"`
	AddedSeconds     int       `json:"addedSeconds"`
	Extended         int       `json:"extendedCount"`
	CanExtend        bool      `json:"canExtend"`
}

func (d Orders) extend(ctx context.Context, in *holdIDInput) (ExtendedHoldData, error) {
	reply, err := d.Orders.ExtendHold(ctx, in.change(ctx, "extend"))
	h, err := heldIn(reply, err)
	if err != nil {
		return ExtendedHoldData{}, err
	}
	// A repeat is answered as the first time was: as the hold was while it ran. Only what is left of it
	// counts down.
	now := d.Now()
	v, ok := reply.State.HoldView(h.ID, time.UnixMilli(min(now.UnixMilli(), h.ExpiresMS-1)), d.Policy)
	if !ok {
		return ExtendedHoldData{}, order.ErrHoldNotFound
	}
	if h.ExpiresMS <= now.UnixMilli() {
		v.RemainingSeconds = 0
	}
	return ExtendedHoldData{
		HoldID: h.ID, OrderID: v.OrderID, Phase: v.Phase, ExpiresAt: AtMS(v.ExpiresMS), NewExpiresAt: AtMS(v.ExpiresMS),
		RemainingSeconds: v.RemainingSeconds, TotalSeconds: v.TotalSeconds, AddedSeconds: d.added(v),
		Extended: v.Extensions, CanExtend: v.CanExtend,
	}, nil
}

// added is what the last extension gave: less than a whole one where the cap of a hold or the order's
// end came first.
func (d Orders) added(v order.HoldView) int {
	before := d.Policy.HoldFor + d.Policy.HoldExtension*time.Duration(max(0, v.Extensions-1))
	return max(0, min(int(d.Policy.HoldExtension.Seconds()), v.TotalSeconds-int(before.Seconds())))
}

type confirmInput struct {
	Body struct {
		HoldID      string      `json:"holdId" minLength:"1" maxLength:"64"`
		Assignments []pickInput `json:"assignments" minItems:"1" maxItems:"50" nullable:"false"`
	}
}

type pickInput struct {
	VehicleID string `json:"vehicleId" minLength:"1" maxLength:"64"`
	DriverID  string `json:"driverId" minLength:"1" maxLength:"64"`
}

// ConfirmedHoldData are the trips that were born, by the assignments of the request. An assignment's id
// is its trip's.
type ConfirmedHoldData struct {
	AssignmentIDs []string `json:"assignmentIds" nullable:"false"`
	TripIDs       []string `json:"tripIds" nullable:"false"`
}

func (d Orders) confirm(ctx context.Context, in *confirmInput) (ConfirmedHoldData, error) {
	if err := d.limited(ctx, allowed.Confirm); err != nil {
		return ConfirmedHoldData{}, err
	}
	picks := make([]order.Pick, len(in.Body.Assignments))
	for i, p := range in.Body.Assignments {
		picks[i] = order.Pick{VehicleID: fleet.VehicleID(p.VehicleID), DriverID: fleet.UserID(p.DriverID)}
	}
	h, err := heldIn(d.Orders.Confirm(ctx, protocol.ConfirmRequest{
		HoldID: in.Body.HoldID, By: asker(Caller(ctx)), Picks: picks, Repeat: repeat(ctx, in.Body),
	}))
	if err != nil {
		return ConfirmedHoldData{}, err
	}
	return ConfirmedHoldData{AssignmentIDs: append([]string{}, h.TripIDs...), TripIDs: append([]string{}, h.TripIDs...)}, nil
}

type activeHoldInput struct {
	OrderID        string `query:"orderId" required:"true" maxLength:"64"`
	VehicleType    string `query:"vehicleType" required:"true" maxLength:"50"`
	VehicleSubtype string `query:"vehicleSubtype" maxLength:"50"`
}

// ActiveHoldData is a hold as its transporter finds it again.
type ActiveHoldData struct {
	HoldID           string    `json:"holdId"`
	OrderID          string    `json:"orderId"`
	VehicleType      string    `json:"vehicleType"`
	VehicleSubtype   string    `json:"vehicleSubtype"`
	Quantity         int       `json:"quantity"`
	ExpiresAt        Timestamp `json:"expiresAt"`
	RemainingSeconds int       `json:"remainingSeconds"`
	Status           string    `json:"status"`
	Phase            string    `json:"phase" enum:"FLEX,CONFIRMED,EXPIRED,RELEASED"`
	CanExtend        bool      `json:"canExtend"`
}

// activeHold answers null for an order that is not there, too: whoever asks wants to know of a hold.
func (d Orders) activeHold(ctx context.Context, in *activeHoldInput) (Nullable[ActiveHoldData], error) {
	s, err := d.get(ctx, in.OrderID)
	if errors.Is(err, order.ErrNotFound) {
		return Nullable[ActiveHoldData]{}, nil
	}
	if err != nil {
		return Nullable[ActiveHoldData]{}, err
	}
	h := s.HoldOf(Caller(ctx).UserID, in.VehicleType, in.VehicleSubtype)
	if h == nil {
		return Nullable[ActiveHoldData]{}, nil
	}
	v, ok := s.HoldView(h.ID, d.Now(), d.Policy)
	if !ok || v.RemainingSeconds == 0 { // its timer is about to be heard
		return Nullable[ActiveHoldData]{}, nil
	}
	return Nullable[ActiveHoldData]{&ActiveHoldData{
		HoldID: v.ID, OrderID: v.OrderID, VehicleType: v.Type, VehicleSubtype: v.Subtype, Quantity: v.Quantity, ExpiresAt: AtMS(v.ExpiresMS),
		RemainingSeconds: v.RemainingSeconds, Status: string(v.Status), Phase: v.Phase, CanExtend: v.CanExtend,
	}}, nil
}

// AvailabilityData says what is left of an order.
type AvailabilityData struct {
	OrderID       string                  `json:"orderId"`
	CustomerName  string                  `json:"customerName"`
	CustomerPhone string                  `json:"customerPhone" doc:"Masked"`
	Pickup        OrderSpot               `json:"pickup"`
	Drop          OrderSpot               `json:"drop"`
	DistanceKm    int                     `json:"distanceKm"`
	GoodsType     string                  `json:"goodsType"`
	Trucks        []TruckAvailabilityData `json:"trucks" nullable:"false"`
	TotalValue    int                     `json:"totalValue"`
	IsFull        bool                    `json:"isFullyAssigned"`
}

// TruckAvailabilityData counts the trucks of one kind.
type TruckAvailabilityData struct {
	VehicleType    string `json:"vehicleType"`
	VehicleSubtype string `json:"vehicleSubtype"`
	TotalNeeded    int    `json:"totalNeeded"`
	Available      int    `json:"available"`
	Held           int    `json:"held"`
	Assigned       int    `json:"assigned"`
	FarePerTruck   int    `json:"farePerTruck"`
}

func (d Orders) availability(ctx context.Context, in *orderIDInput) (AvailabilityData, error) {
	s, err := d.shown(ctx, in.ID)
	if err != nil {
		return AvailabilityData{}, err
	}
	v := s.Info(asker(Caller(ctx)), d.Now())
	data := AvailabilityData{
		OrderID: s.ID, CustomerName: v.CustomerName, CustomerPhone: v.CustomerPhone, Pickup: orderSpot(v.Pickup), Drop: orderSpot(v.Drop),
		DistanceKm: v.DistanceKm, GoodsType: v.Goods, Trucks: make([]TruckAvailabilityData, len(s.Needs)), TotalValue: v.TotalRupees, IsFull: true,
	}
	for i, n := range s.Needs {
		data.Trucks[i] = TruckAvailabilityData{VehicleType: n.Type, VehicleSubtype: n.Subtype, TotalNeeded: n.Quantity, FarePerTruck: n.PriceRupees}
	}
	for _, slot := range s.Slots {
		t := &data.Trucks[slot.Need]
		switch {
		case slot.Status == order.SlotSearching:
			t.Available++
		case slot.Status == order.SlotHeld:
			t.Held++
		case slot.Status.OnTrip() || slot.Status.Filled():
			t.Assigned++
		}
		data.IsFull = data.IsFull && !slot.Status.Open()
	}
	return data, nil
}

// ProgressData says how far an order is filled.
type ProgressData struct {
	OrderID     string                   `json:"orderId"`
	Needed      int                      `json:"trucksNeeded"`
	Filled      int                      `json:"trucksFilled"`
	Remaining   int                      `json:"trucksRemaining"`
	IsFull      bool                     `json:"isFullyFilled"`
	Assignments []ProgressAssignmentData `json:"assignments" nullable:"false"`
}

// ProgressAssignmentData is one truck that the caller may know of.
type ProgressAssignmentData struct {
	AssignmentID  string `json:"assignmentId"`
	DriverName    string `json:"driverName"`
	VehicleNumber string `json:"vehicleNumber"`
	Status        string `json:"status"`
}

func (d Orders) progress(ctx context.Context, in *orderIDInput) (ProgressData, error) {
	s, err := d.get(ctx, in.ID)
	if err != nil {
		return ProgressData{}, err
	}
	t := s.Tally()
	data := ProgressData{OrderID: s.ID, Needed: t.Total, Filled: t.Filled, Remaining: t.Total - t.Filled, IsFull: t.Filled == t.Total, Assignments: []ProgressAssignmentData{}}
	for _, r := range s.Requests(asker(Caller(ctx))) {
		if r.TripID != "" {
			data.Assignments = append(data.Assignments, ProgressAssignmentData{
				AssignmentID: r.TripID, DriverName: r.DriverName, VehicleNumber: r.VehicleNumber, Status: slotStatus(r.Status),
			})
		}
	}
	return data, nil
}
