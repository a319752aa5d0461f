package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"weelo/actors/protocol"
	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
)

// DisputeResolver ends disputes: protocol.Orders.
type DisputeResolver interface {
	ResolveDispute(ctx context.Context, r protocol.DisputeResolution) (*protocol.OrderReply, error)
}

func (d Admin) registerDisputes(a *API, at func(method, path, name, summary string) Route) {
	if d.Disputes == nil {
		return
	}
	Handle(a, at(http.MethodGet, "/disputes", "admin-disputes", "Customers' disputes, those raised last first"), d.disputes)
	Handle(a, at(http.MethodPost, "/disputes/{disputeId}/resolve", "admin-resolve-dispute", "Say what became of a dispute; the parties are told"), d.resolveDispute)
}

// AdminDispute is a dispute as operators see it: whose it is, about which trucks of which order, since when
// and why.
type AdminDispute struct {
	ID          string       `json:"id"`
	Status      string       `json:"status" enum:"open,resolved"`
	OrderID     string       `json:"orderId"`
	OrderStatus string       `json:"orderStatus"`
	CustomerID  fleet.UserID `json:"customerId"`
	Customer    string       `json:"customerName"`
	From        string       `json:"pickupAddress"`
	To          string       `json:"dropAddress"`
	Stage       string       `json:"stage" enum:"SEARCHING,DRIVER_ASSIGNED,AT_PICKUP,LOADING_STARTED,IN_TRANSIT,UNLOADING_STARTED" doc:"Of the order, when it was raised. Before IN_TRANSIT: a truck was lost"`
	ReasonCode  string       `json:"reasonCode"`
	Notes       string       `json:"notes"`
	RaisedAt    Timestamp    `json:"raisedAt"`
	DueAt       Timestamp    `json:"dueAt" doc:"By when the customer was promised an answer"`
	HandedOver  *Timestamp   `json:"handedOverAt" nullable:"true" doc:"When it became due, or its order ended, undecided"`
	Trips       []AdminTrip  `json:"trips"`
	Resolution  *string      `json:"resolution" nullable:"true"`
	Reason      *string      `json:"reason" nullable:"true" doc:"Why operators decided so"`
	ResolvedAt  *Timestamp   `json:"resolvedAt" nullable:"true"`
	ResolvedBy  *string      `json:"resolvedBy" nullable:"true" doc:"The operator's user id"`
}

// AdminTrip is a truck of a disputed order.
type AdminTrip struct {
	ID            string       `json:"tripId"`
	Status        string       `json:"status" doc:"Of its slot in the order"`
	Vehicle       string       `json:"vehicleNumber"`
	TransporterID fleet.UserID `json:"transporterId"`
	Transporter   string       `json:"transporterName"`
	DriverID      fleet.UserID `json:"driverId"`
	Driver        string       `json:"driverName"`
}

func adminDispute(s order.State) AdminDispute {
	d := s.Dispute
	out := AdminDispute{
		ID: d.ID, Status: "open", OrderID: s.ID, OrderStatus: string(s.Status), CustomerID: s.CustomerID, Customer: s.Customer.Name,
		From: s.Pickup.Address, To: s.Drop.Address, Stage: string(d.Stage), ReasonCode: d.ReasonCode, Notes: d.Notes,
		RaisedAt: AtMS(d.RaisedMS), DueAt: AtMS(d.DueMS), HandedOver: maybeMS(d.HandedOverMS), Trips: []AdminTrip{},
		Resolution: optional(string(d.Resolution)), Reason: optional(d.Why), ResolvedAt: maybeMS(d.ResolvedMS), ResolvedBy: optional(string(d.ResolvedBy)),
	}
	if !d.Open() {
		out.Status = "resolved"
	}
	for _, slot := range s.Slots {
		if slot.TripID != "" {
			out.Trips = append(out.Trips, AdminTrip{
				ID: slot.TripID, Status: string(slot.Status), Vehicle: slot.VehicleNumber, TransporterID: slot.TransporterID,
				Transporter: slot.TransporterName, DriverID: slot.DriverID, Driver: slot.DriverName,
			})
		}
	}
	return out
}

// maybeMS is a time that may not have come yet.
func maybeMS(ms int64) *Timestamp {
	if ms == 0 {
		return nil
	}
	at := AtMS(ms)
	return &at
}

type adminDisputesInput struct {
	Status string `query:"status" enum:"open,resolved" doc:"Both when left out"`
	Cursor string `query:"cursor" maxLength:"100" doc:"Of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
}

// AdminDisputesData is a page of disputes.
type AdminDisputesData struct {
	Disputes []AdminDispute `json:"disputes"`
	Cursor   string         `json:"cursor" doc:"For the next page"`
	HasMore  bool           `json:"hasMore"`
}

func (d Admin) disputes(ctx context.Context, in *adminDisputesInput) (AdminDisputesData, error) {
	q := order.DisputePage{Limit: min(in.Limit, maxAdminList)}
	switch in.Status {
	case "open":
		q.Which = order.OpenDisputes
	case "resolved":
		q.Which = order.ResolvedDisputes
	}
	if in.Cursor != "" {
		at, id, _ := strings.Cut(in.Cursor, ".")
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil || ms < 0 || id == "" {
			return AdminDisputesData{}, fault.Invalid("cursor", "That is no cursor of an earlier page.")
		}
		q.AfterMS, q.AfterID = ms, id
	}
	found, err := d.Disputes.Disputes(ctx, q)
	data := AdminDisputesData{Disputes: make([]AdminDispute, len(found)), HasMore: len(found) == q.Limit}
	for i, s := range found {
		data.Disputes[i] = adminDispute(s)
		data.Cursor = fmt.Sprintf("%d.%s", s.Dispute.RaisedMS, s.Dispute.ID)
	}
	return data, err
}

type resolveDisputeInput struct {
	ID   string `path:"disputeId" maxLength:"64"`
	Body struct {
		reasonBody
		Resolution string `json:"resolution" enum:"upheld,settled,rejected"`
	}
}

// AdminDisputeData is one dispute.
type AdminDisputeData struct {
	Dispute AdminDispute `json:"dispute"`
}

// resolveDispute may be repeated. That it was resolved otherwise is a refusal, and is in the log as one.
func (d Admin) resolveDispute(ctx context.Context, in *resolveDisputeInput) (AdminDisputeData, error) {
	s, err := d.Disputes.OrderOfDispute(ctx, in.ID)
	if errors.Is(err, ledger.ErrMissing) {
		return AdminDisputeData{}, order.ErrNoDispute
	}
	if err != nil {
		return AdminDisputeData{}, err
	}
	details := map[string]any{"order": s.ID, "resolution": in.Body.Resolution}
	err = d.audited(ctx, auditlog.DisputeResolved, "dispute:"+in.ID, in.Body.Reason, details, func() error {
		reply, err := d.Orders.ResolveDispute(ctx, protocol.DisputeResolution{
			OrderID: s.ID, DisputeID: in.ID, By: asker(Caller(ctx)), Resolution: order.Resolution(in.Body.Resolution), Reason: in.Body.Reason,
		})
		if err == nil {
			s = reply.State
		}
		return err
	})
	if err != nil {
		return AdminDisputeData{}, err
	}
	return AdminDisputeData{adminDispute(s)}, nil
}
