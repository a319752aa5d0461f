package rest

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"weelo/actors/protocol"
	"weelo/internal/access"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/limit"
	"weelo/internal/order"
	"weelo/internal/token"
)

// OrderTrips reads the trips of orders: *access.Reads.
type OrderTrips interface {
	ByID(ctx context.Context, who token.Identity, ids []string) (map[string]access.Row, error)
	WithPosition(ctx context.Context, rows []access.Row) ([]access.Seen, error)
}

// OfferReads reads what is offered to transporters and keeps what became of it: ledger.Offers.
type OfferReads interface {
	Open(ctx context.Context, recipient string, now time.Time, limit int) ([]ledger.Offer, error)
	Receipt(ctx context.Context, rs []ledger.OfferReceipt) error
}

// Orders is what the routes of orders, offers and holds need.
type Orders struct {
	Orders   protocol.Orders
	Reads    order.Reads
	Offers   OfferReads
	Narrator Narrator
	Trips    OrderTrips
	Limits   limit.Limiter // nil: nothing is limited
	Policy   order.Policy
	Log      *slog.Logger
	Now      func() time.Time
}

// The two trees of orders. The customer app turns to the second when the first refuses a call.
var orderTrees = []struct{ base, suffix string }{{"/api/v1/bookings/orders", ""}, {"/api/v1/orders", "-alias"}}

// RegisterOrders adds the routes of orders, bookings, offers, holds and their tracking.
func RegisterOrders(a *API, d Orders) {
	customer := []fleet.Role{fleet.Customer}
	for _, tree := range orderTrees {
		at := func(method, path, name, summary string, roles []fleet.Role) Route {
			return Route{Method: method, Path: tree.base + path, Name: name + tree.suffix, Tag: "orders", Summary: summary, Roles: roles, MaxBody: 4 << 10}
		}
		create := at(http.MethodPost, "", "create-order", "Ask for trucks", customer)
		create.Status, create.MaxBody, create.Message = http.StatusCreated, 64<<10, "Order created"
		Handle(a, create, d.creator(tree.suffix != ""))
		Handle(a, at(http.MethodGet, "", "orders", "The caller's orders, newest first", customer), d.list)
		Handle(a, at(http.MethodGet, "/{orderId}", "order", "One order with its trucks", nil), d.one)
		Handle(a, at(http.MethodGet, "/{orderId}/status", "order-status", "How far the search is", nil), d.status)
		Handle(a, at(http.MethodPost, "/{orderId}/continue-partial", "continue-partial", "Go on with the trucks there are", customer), d.continuePartial)
		Handle(a, at(http.MethodPost, "/{orderId}/search-again", "search-again", "Search anew for the trucks that are missing", customer), d.searchAgain)
		d.registerCancel(a, at)
	}
	Handle(a, Route{Method: http.MethodGet, Path: "/api/v1/orders/check-active", Name: "active-order", Tag: "orders", Roles: customer,
		Summary: "The caller's order that searches, if there is one"}, d.checkActive)
	Handle(a, Route{Method: http.MethodGet, Path: "/api/v1/orders/{orderId}/route", Name: "order-route", Tag: "orders",
		Summary: "The points of the journey and how far it is"}, d.route)
	d.registerExplain(a)
	d.registerBookings(a)
	d.registerFeeds(a)
	d.registerReplay(a)
	d.registerHolds(a)
	d.registerTracking(a)
}

type orderIDInput struct {
	ID string `path:"orderId" maxLength:"64"`
}

type pageInput struct {
	Page   int    `query:"page" minimum:"1" maximum:"100000" default:"1"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
	Status string `query:"status" maxLength:"40"`
}

func (in pageInput) page() (order.Page, error) {
	q := order.Page{Offset: (in.Page - 1) * in.Limit, Limit: in.Limit}
	if in.Status == "" {
		return q, nil
	}
	status, err := order.ParseFilter(in.Status)
	q.Statuses = []order.Status{status}
	return q, err
}

type ordersPage struct {
	Orders  []ListedOrderData `json:"orders" nullable:"false"`
	Total   int               `json:"total"`
	HasMore bool              `json:"hasMore"`
}

// ListedOrderData is an order in a list.
type ListedOrderData struct {
	OrderData
	Requests RequestsSummary `json:"requestsSummary"`
}

// RequestsSummary counts the trucks of an order by what became of them.
type RequestsSummary struct {
	Total     int `json:"total"`
	Searching int `json:"searching"`
	Assigned  int `json:"assigned"`
	Completed int `json:"completed"`
	Expired   int `json:"expired"`
}

func (d Orders) list(ctx context.Context, in *pageInput) (ordersPage, error) {
	q, err := in.page()
	if err != nil {
		return ordersPage{}, err
	}
	found, total, err := d.Reads.OfCustomer(ctx, Caller(ctx).UserID, q)
	if err != nil {
		return ordersPage{}, err
	}
	page := ordersPage{Orders: make([]ListedOrderData, len(found)), Total: total, HasMore: q.Offset+len(found) < total}
	for i, s := range found {
		t := s.Tally()
		page.Orders[i] = ListedOrderData{OrderData: orderData(s, asker(Caller(ctx)), d.Now()), Requests: RequestsSummary{
			Total: t.Total, Searching: t.Searching + t.Held, Assigned: t.Assigned + t.Filled - t.Completed, Completed: t.Completed, Expired: t.Expired,
		}}
	}
	return page, nil
}

// get reads an order that the caller may see. An id that no order can have never reaches an actor.
func (d Orders) get(ctx context.Context, id string) (order.State, error) {
	if uuid.Validate(id) != nil || len(id) != 36 {
		return order.State{}, order.ErrNotFound
	}
	reply, err := d.Orders.Get(ctx, id, asker(Caller(ctx)))
	if err != nil {
		return order.State{}, err
	}
	return reply.State, nil
}

func (d Orders) one(ctx context.Context, in *orderIDInput) (OrderDetailData, error) {
	s, err := d.get(ctx, in.ID)
	if err != nil {
		return OrderDetailData{}, err
	}
	return orderDetail(s, asker(Caller(ctx)), d.Now()), nil
}

func (d Orders) status(ctx context.Context, in *orderIDInput) (OrderStatusData, error) {
	s, err := d.get(ctx, in.ID)
	if err != nil {
		return OrderStatusData{}, err
	}
	return orderStatus(s, d.Now()), nil
}

// ActiveOrderData tells a customer whether he has an order that searches.
type ActiveOrderData struct {
	HasActiveOrder bool                         `json:"hasActiveOrder"`
	ActiveOrder    Nullable[ActiveOrderRefData] `json:"activeOrder"`
}

// ActiveOrderRefData is that order.
type ActiveOrderRefData struct {
	OrderID   string    `json:"orderId"`
	Status    string    `json:"status"`
	CreatedAt Timestamp `json:"createdAt"`
}

func (d Orders) checkActive(ctx context.Context, _ *struct{}) (ActiveOrderData, error) {
	s, ok, err := d.Reads.Active(ctx, Caller(ctx).UserID)
	if err != nil || !ok {
		return ActiveOrderData{}, err
	}
	return ActiveOrderData{HasActiveOrder: true, ActiveOrder: Nullable[ActiveOrderRefData]{&ActiveOrderRefData{
		OrderID: s.ID, Status: string(s.Status), CreatedAt: AtMS(s.CreatedMS),
	}}}, nil
}

// OrderRouteData is the journey of an order.
type OrderRouteData struct {
	OrderID     string `json:"orderId"`
	Status      string `json:"status"`
	RoutePoints []Stop `json:"routePoints" nullable:"false"`
	TotalStops  int    `json:"totalStops"`
	CurrentStop int    `json:"currentRouteIndex" doc:"The point that the first truck is heading for"`
	DistanceKm  int    `json:"distanceKm"`
}

func (d Orders) route(ctx context.Context, in *orderIDInput) (OrderRouteData, error) {
	s, err := d.get(ctx, in.ID)
	if err != nil {
		return OrderRouteData{}, err
	}
	data := OrderRouteData{OrderID: s.ID, Status: string(s.Status), RoutePoints: orderStops(s.Route), TotalStops: len(s.Route), DistanceKm: s.DistanceKm}
	for _, slot := range s.Slots {
		switch slot.Status {
		case order.SlotInProgress:
			data.CurrentStop = max(data.CurrentStop, 1)
		case order.SlotCompleted, order.SlotPartial:
			data.CurrentStop = len(s.Route) - 1
		default: // not on its way yet, or not any more
		}
	}
	return data, nil
}

type emptyBody struct{}

// bareOrderInput is a request about an order that says no more.
type bareOrderInput struct {
	ID   string `path:"orderId" maxLength:"64"`
	Body *emptyBody
}

func (d Orders) searchAgain(ctx context.Context, in *bareOrderInput) (OrderDetailData, error) {
	return d.ask(ctx, "search-again", in.ID, d.Orders.SearchAgain)
}

func (d Orders) continuePartial(ctx context.Context, in *bareOrderInput) (OrderDetailData, error) {
	return d.ask(ctx, "continue-partial", in.ID, d.Orders.ContinuePartial)
}

// ask sends an order what needs no more than its name.
func (d Orders) ask(ctx context.Context, what, id string, do func(context.Context, protocol.OrderRequest) (*protocol.OrderReply, error)) (OrderDetailData, error) {
	r, err := orderRequest(ctx, what, id, "")
	if err != nil {
		return OrderDetailData{}, err
	}
	reply, err := do(ctx, r)
	if err != nil {
		return OrderDetailData{}, err
	}
	return orderDetail(reply.State, r.By, d.Now()), nil
}

// orderRequest names an order, who asks and what for. An id that no order can have is refused here.
func orderRequest(ctx context.Context, what, id, reason string) (protocol.OrderRequest, error) {
	if uuid.Validate(id) != nil || len(id) != 36 {
		return protocol.OrderRequest{}, order.ErrNotFound
	}
	return protocol.OrderRequest{OrderID: id, By: asker(Caller(ctx)), Reason: reason, Repeat: repeat(ctx, []string{what, id, reason})}, nil
}
