package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
)

// maxFeed bounds the orders of one feed; a transporter has fewer open offers than that.
const maxFeed = 100

var errGone = fault.New(fault.Gone, "DEPRECATED", "This call is no longer served. Please update the app.")

func (d Orders) registerFeeds(a *API) {
	const tag = "broadcasts"
	transporter := []fleet.Role{fleet.Transporter}
	Handle(a, Route{Method: http.MethodGet, Path: "/api/v1/bookings/requests/active", Name: "offered-orders", Tag: tag, Roles: transporter,
		Summary: "What is offered to the caller now, newest first"}, d.feed)
	Handle(a, Route{Method: http.MethodGet, Path: "/api/v1/bookings/orders/{orderId}/broadcast-snapshot", Name: "broadcast-snapshot", Tag: tag, Roles: transporter,
		Summary: "One order the caller was shown, as it is now"}, d.snapshot)
	register(a, Route{Method: http.MethodGet, Path: "/api/v1/broadcasts/active", Name: "active-broadcasts", Tag: tag, Roles: transporter,
		Summary: "The same as bookings/requests/active, in the older shape"}, d.broadcasts)
	register(a, Route{Method: http.MethodGet, Path: "/api/v1/broadcasts/{orderId}", Name: "broadcast", Tag: tag, Roles: transporter,
		Summary: "One order the caller was shown, as it was shown to him"}, d.broadcast)
	HandleAck(a, Route{Method: http.MethodPost, Path: "/api/v1/broadcasts/{orderId}/decline", Name: "decline-broadcast", Tag: tag, Roles: transporter,
		Summary: "The caller does not want the order", MaxBody: 4 << 10, Message: "Broadcast declined"}, d.decline)
	HandleAck(a, Route{Method: http.MethodPost, Path: "/api/v1/broadcasts/create", Name: "create-broadcast", Tag: tag, Roles: transporter,
		Summary: "No longer served"}, gone)
}

func gone(context.Context, *struct{}) error { return errGone }

type feedInput struct {
	Cursor string `query:"syncCursor" maxLength:"64" doc:"Of the answer before"`
}

// FeedData is what is offered to a transporter.
type FeedData struct {
	Orders    []OfferedOrderData `json:"orders" nullable:"false"`
	Count     int                `json:"count"`
	Cursor    string             `json:"syncCursor" doc:"Send it with the next call; opaque"`
	Unchanged bool               `json:"snapshotUnchanged" doc:"Nothing has changed since the cursor: orders is left empty"`
}

// OfferedOrderData is one order of it.
type OfferedOrderData struct {
	Order    OrderData          `json:"order"`
	Requests []TruckRequestData `json:"requests" nullable:"false"`
}

func (d Orders) feed(ctx context.Context, in *feedInput) (FeedData, error) {
	now := d.Now()
	offered, err := d.offered(ctx, now)
	if err != nil {
		return FeedData{}, err
	}
	data := FeedData{Orders: []OfferedOrderData{}, Cursor: cursorOf(offered, now)}
	if data.Unchanged = sameFeed(in.Cursor, data.Cursor); data.Unchanged {
		data.Cursor = in.Cursor
		return data, nil
	}
	by := asker(Caller(ctx))
	for _, s := range offered {
		data.Orders = append(data.Orders, OfferedOrderData{Order: orderData(s, by, now), Requests: truckRequests(s, by)})
	}
	data.Count = len(data.Orders)
	return data, nil
}

// offered reads what is offered to the caller, and notes that he has it now.
func (d Orders) offered(ctx context.Context, now time.Time) ([]order.State, error) {
	user := Caller(ctx).UserID
	offered, err := d.Reads.OfferedTo(ctx, user, now, maxFeed)
	if err != nil {
		return nil, err
	}
	open, err := d.Offers.Open(ctx, string(user), now, maxFeed)
	if err != nil {
		return nil, err
	}
	var receipts []ledger.OfferReceipt
	for _, o := range open {
		if o.Delivered.IsZero() {
			receipts = append(receipts, ledger.OfferReceipt{ID: o.ID, Recipient: o.Recipient, Delivered: now})
		}
	}
	d.receipt(ctx, receipts...)
	return offered, nil
}

// receipt keeps what became of offers. It is for explaining a dispatch: nobody waits for it to work.
func (d Orders) receipt(ctx context.Context, rs ...ledger.OfferReceipt) {
	if len(rs) == 0 {
		return
	}
	if err := d.Offers.Receipt(ctx, rs); err != nil {
		d.Log.WarnContext(ctx, "receipts of offers not kept", "error", err)
	}
}

// A cursor is the time of the answer and a fingerprint of what it showed: an order that left the feed
// leaves no time behind to compare with.
func cursorOf(offered []order.State, now time.Time) string {
	h := sha256.New()
	for _, s := range offered {
		fmt.Fprintf(h, "%s %d %d\n", s.ID, s.Count, s.Revision)
	}
	return At(now).String() + cursorMark + hex.EncodeToString(h.Sum(nil)[:8])
}

const cursorMark = "~"

func sameFeed(given, now string) bool {
	_, a, ok := strings.Cut(given, cursorMark)
	_, b, _ := strings.Cut(now, cursorMark)
	return ok && a == b
}

// shown reads an order that was shown to the calling transporter; any other is not there for him.
func (d Orders) shown(ctx context.Context, id string) (order.State, error) {
	s, err := d.get(ctx, id)
	if err == nil && s.OfferedTo(Caller(ctx).UserID) == nil {
		err = order.ErrNotFound
	}
	return s, err
}

// SnapshotData is one order as it is now, for an app that missed something.
type SnapshotData struct {
	OrderID      string             `json:"orderId"`
	State        string             `json:"state"`
	Status       string             `json:"status"`
	Dispatch     string             `json:"dispatchState"`
	ReasonCode   *string            `json:"reasonCode" nullable:"true"`
	Revision     int64              `json:"dispatchRevision"`
	Lifecycle    int64              `json:"orderLifecycleVersion"`
	EventVersion int64              `json:"eventVersion"`
	ServerTimeMS int64              `json:"serverTimeMs"`
	ExpiresAtMS  int64              `json:"expiresAtMs"`
	SyncCursor   Timestamp          `json:"syncCursor" doc:"Null: the cursor of the feed stays as it is"`
	Order        OrderData          `json:"order"`
	Requests     []TruckRequestData `json:"requests" nullable:"false"`
}

func (d Orders) snapshot(ctx context.Context, in *orderIDInput) (SnapshotData, error) {
	s, err := d.shown(ctx, in.ID)
	if err != nil {
		return SnapshotData{}, err
	}
	now, by := d.Now(), asker(Caller(ctx))
	return SnapshotData{
		OrderID: s.ID, State: string(s.Status), Status: string(s.Status), Dispatch: string(s.Dispatch), ReasonCode: optional(s.ReasonCode),
		Revision: s.Revision, Lifecycle: s.Count, EventVersion: s.Count, ServerTimeMS: now.UnixMilli(), ExpiresAtMS: s.ExpiresMS,
		Order: orderData(s, by, now), Requests: truckRequests(s, by),
	}, nil
}

// BroadcastData is an order as it is shown to one transporter.
type BroadcastData struct {
	BroadcastID    string                 `json:"broadcastId"`
	ID             string                 `json:"id"`
	OrderID        string                 `json:"orderId"`
	CustomerID     string                 `json:"customerId"`
	CustomerName   string                 `json:"customerName"`
	CustomerMobile string                 `json:"customerMobile" doc:"Masked"`
	CustomerPhone  string                 `json:"customerPhone" doc:"Masked"`
	Pickup         OrderSpot              `json:"pickup"`
	PickupLocation OrderSpot              `json:"pickupLocation"`
	Drop           OrderSpot              `json:"drop"`
	DropLocation   OrderSpot              `json:"dropLocation"`
	RoutePoints    []Stop                 `json:"routePoints" nullable:"false"`
	Distance       int                    `json:"distance"`
	DistanceKm     int                    `json:"distanceKm"`
	Minutes        int                    `json:"estimatedDuration" doc:"Minutes"`
	Requested      []RequestedVehicleData `json:"requestedVehicles" nullable:"false"`
	TrucksNeeded   int                    `json:"totalTrucksNeeded"`
	TrucksFilled   int                    `json:"trucksFilledSoFar"`
	StillNeeded    int                    `json:"trucksStillNeeded"`
	YouCanProvide  int                    `json:"trucksYouCanProvide"`
	YourAvailable  int                    `json:"yourAvailableTrucks"`
	YourTotal      int                    `json:"yourTotalTrucks"`
	PickupKm       float64                `json:"pickupDistanceKm"`
	PickupMinutes  int                    `json:"pickupEtaMinutes"`
	VehicleType    string                 `json:"vehicleType"`
	VehicleSubtype string                 `json:"vehicleSubtype"`
	GoodsType      string                 `json:"goodsType"`
	Weight         *string                `json:"weight" nullable:"true" doc:"Kilograms"`
	Notes          *string                `json:"notes" nullable:"true"`
	FarePerTruck   int                    `json:"farePerTruck"`
	TotalFare      int                    `json:"totalFare"`
	Status         string                 `json:"status"`
	IsUrgent       bool                   `json:"isUrgent"`
	ScheduledAt    Timestamp              `json:"scheduledAt"`
	CreatedAt      Timestamp              `json:"createdAt"`
	ExpiresAt      Timestamp              `json:"expiresAt"`
	BroadcastTime  int64                  `json:"broadcastTime"`
	ExpiryTime     int64                  `json:"expiryTime"`
	Revision       int64                  `json:"dispatchRevision"`
	Lifecycle      int64                  `json:"orderLifecycleVersion"`
	PayloadVersion string                 `json:"payloadVersion"`
}

// RequestedVehicleData is one kind of trucks that an order asks for.
type RequestedVehicleData struct {
	VehicleType    string  `json:"vehicleType"`
	VehicleSubtype string  `json:"vehicleSubtype"`
	Count          int     `json:"count"`
	FilledCount    int     `json:"filledCount"`
	FarePerTruck   int     `json:"farePerTruck"`
	CapacityTons   float64 `json:"capacityTons"`
}

// broadcastData is false for whom the order was never shown.
func (d Orders) broadcastData(s order.State, transporter fleet.UserID) (BroadcastData, bool) {
	o, ok := s.OfferData(transporter)
	if !ok {
		return BroadcastData{}, false
	}
	v := s.Info(order.By{User: transporter, Role: fleet.Transporter}, d.Now())
	data := BroadcastData{
		BroadcastID: s.ID, ID: s.ID, OrderID: s.ID, CustomerID: string(o.CustomerID), CustomerName: o.CustomerName,
		CustomerMobile: v.CustomerPhone, CustomerPhone: v.CustomerPhone,
		Pickup: orderSpot(s.Pickup), PickupLocation: orderSpot(s.Pickup), Drop: orderSpot(s.Drop), DropLocation: orderSpot(s.Drop),
		RoutePoints: orderStops(s.Route), Distance: o.DistanceKm, DistanceKm: o.DistanceKm,
		Minutes:   int(fleet.RoadTime(float64(o.DistanceKm) * 1000).Minutes()),
		Requested: make([]RequestedVehicleData, len(o.Requested)), TrucksNeeded: o.TrucksNeeded, TrucksFilled: o.TrucksFilled, StillNeeded: o.StillNeeded,
		YouCanProvide: o.YouCanProvide, YourAvailable: o.YourAvailable, YourTotal: o.YourTotal, PickupKm: o.PickupKm, PickupMinutes: o.PickupMinutes,
		VehicleType: o.VehicleType, VehicleSubtype: o.VehicleSubtype, GoodsType: o.GoodsType, Notes: optional(s.Notes), FarePerTruck: o.FarePerTruck, TotalFare: o.TotalFare,
		Status: string(s.Status), IsUrgent: o.IsUrgent, ScheduledAt: AtMS(o.ScheduledAt), CreatedAt: AtMS(o.CreatedAt), ExpiresAt: AtMS(o.ExpiresAt),
		BroadcastTime: o.CreatedAt, ExpiryTime: o.ExpiresAt, Revision: o.Revision, Lifecycle: o.Lifecycle, PayloadVersion: o.PayloadVersion,
	}
	for i, r := range o.Requested {
		data.Requested[i] = RequestedVehicleData(r)
	}
	if o.WeightKg > 0 {
		weight := strconv.Itoa(o.WeightKg)
		data.Weight = &weight
	}
	return data, true
}

// BroadcastList has no data key: the app reads it at the top.
type BroadcastList struct {
	Success    bool            `json:"success"`
	Broadcasts []BroadcastData `json:"broadcasts" nullable:"false"`
	Count      int             `json:"count"`
	Total      int             `json:"total"`
	HasMore    bool            `json:"hasMore"`
	Cursor     string          `json:"syncCursor"`
}

type broadcastsInput struct {
	Transporter string `query:"transporterId" maxLength:"64" doc:"Ignored: it is the caller"`
	Driver      string `query:"driverId" maxLength:"64" doc:"Ignored"`
	VehicleType string `query:"vehicleType" maxLength:"50"`
	Cursor      string `query:"syncCursor" maxLength:"64" doc:"Ignored: the answer is always whole"`
}

func (d Orders) broadcasts(ctx context.Context, in *broadcastsInput) (BroadcastList, error) {
	now := d.Now()
	offered, err := d.offered(ctx, now)
	if err != nil {
		return BroadcastList{}, err
	}
	list := BroadcastList{Success: true, Broadcasts: []BroadcastData{}, Cursor: cursorOf(offered, now)}
	for _, s := range offered {
		asks := func(n order.Need) bool { return strings.EqualFold(n.Type, in.VehicleType) }
		if in.VehicleType != "" && !slices.ContainsFunc(s.Needs, asks) {
			continue
		}
		if data, ok := d.broadcastData(s, Caller(ctx).UserID); ok {
			list.Broadcasts = append(list.Broadcasts, data)
		}
	}
	list.Count, list.Total = len(list.Broadcasts), len(list.Broadcasts)
	return list, nil
}

// OneBroadcast has no data key either.
type OneBroadcast struct {
	Success   bool          `json:"success"`
	Broadcast BroadcastData `json:"broadcast"`
}

func (d Orders) broadcast(ctx context.Context, in *orderIDInput) (OneBroadcast, error) {
	s, err := d.shown(ctx, in.ID)
	if err != nil {
		return OneBroadcast{}, err
	}
	user, now := Caller(ctx).UserID, d.Now()
	data, _ := d.broadcastData(s, user)
	d.receipt(ctx, ledger.OfferReceipt{ID: order.OfferID(s.ID, user), Recipient: string(user), Delivered: now, Seen: now})
	return OneBroadcast{Success: true, Broadcast: data}, nil
}

type declineOfferInput struct {
	ID   string `path:"orderId" maxLength:"64"`
	Body struct {
		DriverID string `json:"driverId,omitempty" maxLength:"64" doc:"Ignored: the transporter declines"`
		Reason   string `json:"reason,omitempty" maxLength:"200"`
		Notes    string `json:"notes,omitempty" maxLength:"280"`
	}
}

func (d Orders) decline(ctx context.Context, in *declineOfferInput) error {
	reason := strings.TrimSpace(in.Body.Reason + " " + in.Body.Notes)
	r, err := orderRequest(ctx, "decline", in.ID, reason)
	if err != nil {
		return err
	}
	_, err = d.Orders.Decline(ctx, r)
	return err
}
