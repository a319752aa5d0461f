package rest

import (
	"context"
	"fmt"
	"net/http"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/order"
)

func (d Orders) registerCancel(a *API, at func(method, path, name, summary string, roles []fleet.Role) Route) {
	roles := []fleet.Role{fleet.Customer, fleet.Ops}
	cancel := at(http.MethodPost, "/{orderId}/cancel", "cancel-order", "End the order and its trips", roles)
	cancel.Message = "Order cancelled"
	Handle(a, cancel, d.cancel)
	again := at(http.MethodDelete, "/{orderId}/cancel", "delete-order", "Another name of the same", roles)
	again.Message = cancel.Message
	Handle(a, again, d.cancel)
	Handle(a, at(http.MethodGet, "/{orderId}/cancel-preview", "cancel-preview", "What cancelling would cost now", roles), d.preview)
	dispute := at(http.MethodPost, "/{orderId}/cancel/dispute", "dispute-order", "Complain about an order that can no longer be cancelled", []fleet.Role{fleet.Customer})
	dispute.MaxBody = 16 << 10
	Handle(a, dispute, d.dispute)
}

// CancelPolicyData is what the cancel policy says, for preview and cancellation alike. Whole rupees.
type CancelPolicyData struct {
	Stage          string              `json:"policyStage" enum:"SEARCHING,DRIVER_ASSIGNED,AT_PICKUP,LOADING_STARTED,IN_TRANSIT,UNLOADING_STARTED"`
	Decision       string              `json:"cancelDecision" enum:"allowed,allowed_with_penalty,blocked_dispute_only"`
	ReasonRequired bool                `json:"reasonRequired"`
	ReasonCode     *string             `json:"reasonCode" nullable:"true"`
	Penalty        CancelBreakdownData `json:"penaltyBreakdown"`
	Compensation   CancelBreakdownData `json:"driverCompensationBreakdown"`
	Settlement     string              `json:"settlementState"`
	Pending        int                 `json:"pendingPenaltyAmount"`
	EventVersion   int64               `json:"eventVersion"`
	ServerTimeMS   int64               `json:"serverTimeMs"`
}

// CancelBreakdownData says what an amount is made of.
type CancelBreakdownData struct {
	Base      int `json:"baseCancellationFee"`
	Waiting   int `json:"waitingCharges"`
	Percent   int `json:"percentageFareComponent"`
	Guarantee int `json:"driverMinimumGuarantee"`
	Final     int `json:"finalAmount"`
}

func (d Orders) policyData(q order.Quote, lifecycle int64) CancelPolicyData {
	data := CancelPolicyData{
		Stage: string(q.Stage), Decision: string(q.Verdict), ReasonRequired: q.ReasonRequired, ReasonCode: optional(q.ReasonCode),
		Penalty: CancelBreakdownData(q.Penalty), Compensation: CancelBreakdownData(q.Driver), Settlement: q.Settlement,
		EventVersion: lifecycle, ServerTimeMS: d.Now().UnixMilli(),
	}
	if q.Settlement == "pending" {
		data.Pending = q.Penalty.Final
	}
	return data
}

// CancelledOrderData answers a cancellation.
type CancelledOrderData struct {
	OrderID string `json:"orderId"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	CancelPolicyData
	EventID      string    `json:"eventId"`
	Transporters int       `json:"transportersNotified"`
	Drivers      int       `json:"driversNotified"`
	Assignments  int       `json:"assignmentsCancelled"`
	CancelledAt  Timestamp `json:"cancelledAt"`
}

type cancelInput struct {
	ID   string `path:"orderId" maxLength:"64"`
	Body *struct {
		Reason *string `json:"reason,omitempty" nullable:"true" maxLength:"500"`
	}
}

func (in cancelInput) reason() string {
	if in.Body == nil {
		return ""
	}
	return text(in.Body.Reason)
}

func (d Orders) cancel(ctx context.Context, in *cancelInput) (CancelledOrderData, error) {
	s, err := d.cancelled(ctx, in.ID, in.reason())
	if err != nil {
		return CancelledOrderData{}, err
	}
	c := s.Cancellation
	return CancelledOrderData{
		OrderID: s.ID, Status: string(s.Status), Reason: c.Reason, CancelPolicyData: d.policyData(c.Quote, s.Count),
		EventID: fmt.Sprintf("%s/cancelled", s.ID), Transporters: c.Notified, Drivers: c.DriversTold, Assignments: c.TripsEnded, CancelledAt: AtMS(c.AtMS),
	}, nil
}

func (d Orders) cancelled(ctx context.Context, id, reason string) (order.State, error) {
	r, err := orderRequest(ctx, "cancel", id, reason)
	if err != nil {
		return order.State{}, err
	}
	reply, err := d.Orders.Cancel(ctx, r)
	if err != nil {
		return order.State{}, err
	}
	if reply.State.Cancellation == nil {
		return order.State{}, fmt.Errorf("order %s answered a cancellation as %s", id, reply.State.Status)
	}
	return reply.State, nil
}

// CancelPreviewData says what cancelling would cost.
type CancelPreviewData struct {
	OrderID string `json:"orderId"`
	CancelPolicyData
}

type previewInput struct {
	ID     string `path:"orderId" maxLength:"64"`
	Reason string `query:"reason" maxLength:"500"`
}

func (d Orders) preview(ctx context.Context, in *previewInput) (CancelPreviewData, error) {
	s, err := d.get(ctx, in.ID)
	if err != nil {
		return CancelPreviewData{}, err
	}
	quote, err := d.Orders.CancelPreview(ctx, s.ID, asker(Caller(ctx)))
	if err != nil {
		return CancelPreviewData{}, err
	}
	return CancelPreviewData{OrderID: s.ID, CancelPolicyData: d.policyData(quote, s.Count)}, nil
}

// DisputeData answers a dispute.
type DisputeData struct {
	DisputeID string `json:"disputeId"`
	Stage     string `json:"stage"`
	Message   string `json:"message"`
}

type disputeInput struct {
	ID   string `path:"orderId" maxLength:"64"`
	Body struct {
		ReasonCode *string `json:"reasonCode,omitempty" nullable:"true" maxLength:"64"`
		Notes      *string `json:"notes,omitempty" nullable:"true" maxLength:"2000"`
	}
}

func (d Orders) dispute(ctx context.Context, in *disputeInput) (DisputeData, error) {
	code, notes := text(in.Body.ReasonCode), text(in.Body.Notes)
	r, err := orderRequest(ctx, "dispute", in.ID, "")
	if err != nil {
		return DisputeData{}, err
	}
	reply, err := d.Orders.Dispute(ctx, protocol.DisputeRequest{
		OrderID: r.OrderID, By: r.By, ReasonCode: code, Notes: notes, Repeat: repeat(ctx, []string{"dispute", in.ID, code, notes}),
	})
	if err != nil {
		return DisputeData{}, err
	}
	if reply.State.Dispute == nil {
		return DisputeData{}, fmt.Errorf("order %s took a dispute and has none", in.ID)
	}
	return DisputeData{DisputeID: reply.State.Dispute.ID, Stage: string(reply.State.Dispute.Stage),
		Message: "Your dispute was received. We will get back to you within 48 hours."}, nil
}
