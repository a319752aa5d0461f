package rest

import (
	"context"

	"github.com/google/uuid"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/order"
)

var errKeyMissing = fault.New(fault.InvalidArgument, "MISSING_IDEMPOTENCY_KEY", "Send X-Idempotency-Key with a UUID, the same for every repeat of the request.")

// CreatedOrderData answers the creation of an order.
type CreatedOrderData struct {
	Order          OrderData          `json:"order"`
	TruckRequests  []TruckRequestData `json:"truckRequests" nullable:"false"`
	Broadcast      BroadcastSummary   `json:"broadcastSummary"`
	TimeoutSeconds int                `json:"timeoutSeconds"`
	Dispatch       string             `json:"dispatchState"`
	Attempts       int                `json:"dispatchAttempts"`
	Online         int                `json:"onlineCandidates"`
	Notified       int                `json:"notifiedTransporters"`
	ReasonCode     *string            `json:"reasonCode" nullable:"true"`
	RecoveryHint   *string            `json:"recoveryHint" nullable:"true"`
	ServerTimeMS   int64              `json:"serverTimeMs"`
}

// BroadcastSummary says how many transporters an order was shown to.
type BroadcastSummary struct {
	TotalRequests int              `json:"totalRequests"`
	TotalNotified int              `json:"totalTransportersNotified"`
	GroupedBy     []BroadcastGroup `json:"groupedBy" nullable:"false"`
}

// BroadcastGroup is one kind of trucks of a summary.
type BroadcastGroup struct {
	VehicleType    string `json:"vehicleType"`
	VehicleSubtype string `json:"vehicleSubtype"`
	Count          int    `json:"count"`
	Notified       int    `json:"transportersNotified"`
}

// creator makes the handler of one tree; in the second the key is a must, and a UUID.
func (d Orders) creator(keyed bool) func(context.Context, *createOrderInput) (CreatedOrderData, error) {
	return func(ctx context.Context, in *createOrderInput) (CreatedOrderData, error) {
		if keyed && uuid.Validate(RequestOf(ctx).IdempotencyKey) != nil {
			return CreatedOrderData{}, errKeyMissing
		}
		asked, err := in.Body.order()
		if err != nil {
			return CreatedOrderData{}, err
		}
		s, err := d.create(ctx, asked)
		if err != nil {
			return CreatedOrderData{}, err
		}
		return d.createdOrder(ctx, s), nil
	}
}

// create asks for an order in the caller's name. The key stands for what was asked, not for its
// spelling or its address.
func (d Orders) create(ctx context.Context, asked order.NewOrder) (order.State, error) {
	if err := d.limited(ctx, allowed.Order); err != nil {
		return order.State{}, err
	}
	asked.CustomerID = Caller(ctx).UserID
	reply, err := d.Orders.Create(ctx, protocol.NewOrder{By: asker(Caller(ctx)), Order: asked, Repeat: repeat(ctx, asked)})
	if err != nil {
		return order.State{}, err
	}
	return reply.State, nil
}

func (d Orders) createdOrder(ctx context.Context, s order.State) CreatedOrderData {
	now := d.Now()
	v, b, by := s.StatusView(now), s.Broadcast(), asker(Caller(ctx))
	data := CreatedOrderData{
		Order: orderData(s, by, now), TruckRequests: truckRequests(s, by),
		Broadcast:      BroadcastSummary{TotalRequests: b.Requests, TotalNotified: b.Notified, GroupedBy: make([]BroadcastGroup, len(b.Kinds))},
		TimeoutSeconds: int((s.ExpiresMS - s.OpensMS + 999) / 1000), Dispatch: string(v.Dispatch), Attempts: v.Attempts,
		Online: v.Online, Notified: v.Notified, ReasonCode: optional(v.ReasonCode), RecoveryHint: optional(v.RecoveryHint), ServerTimeMS: v.ServerMS,
	}
	for i, k := range b.Kinds {
		data.Broadcast.GroupedBy[i] = BroadcastGroup{VehicleType: k.Type, VehicleSubtype: k.Subtype, Count: k.Count, Notified: k.Notified}
	}
	return data
}

// repeat names a request by its key and by what it asks for. Without a key there is nothing to name.
func repeat(ctx context.Context, asked any) protocol.Repeat {
	key := RequestOf(ctx).IdempotencyKey
	if key == "" {
		return protocol.Repeat{}
	}
	return protocol.Repeat{Key: key, Hash: bodyHash(asked)}
}
