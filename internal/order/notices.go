package order

import (
	"weelo/internal/fleet"
	"weelo/internal/trip"
)

// notice is one event as people get it: the fields of the apps' contract §2.4, times in ms. No
// recipients: history only.
type notice struct {
	kind string
	to   []string
	data any
}

// The kinds of an order's events that people get.
const (
	KindStatus    = "order_status"
	KindFill      = "order_fill"
	KindClosed    = "offer_closed"
	KindHold      = "hold_expired"
	KindCompleted = "order_completed"
)

// notices are the lines that an event leaves: its record first, then what people are told.
func notices(before, after State, e Event) []notice {
	out := []notice{{kind: recordKind(e.What), data: record(before, e)}}
	tell := func(ns ...notice) { out = append(out, ns...) }
	switch e.What {
	case WasCreated:
		if after.Searches == 0 {
			tell(after.statusNotice(e))
		}
	case Exhausted:
		tell(after.statusNotice(e))
	case HoldEnded:
		if e.Hold.Status != HoldReleased {
			tell(after.holdNotice(e))
		}
	case SlotFilled, SlotReopened, SlotEnded:
		if before.Tally().Filled != after.Tally().Filled {
			tell(after.fillNotices(e)...)
		}
	case SearchClosed:
		if after.due() == after.Status { // otherwise the status that follows says it
			tell(after.statusNotice(e))
		}
	case StatusChanged:
		tell(after.statusNotice(e))
		if after.Status == Completed {
			tell(after.completedNotice(e))
		}
	default: // history only, but for offers that it closes
	}
	if closed := closedBetween(before, after); len(closed) > 0 {
		tell(after.closedNotice(e, closed))
	}
	return out
}

// StatusData is the data of order_status: the fields of broadcast_state_changed, order_expired and
// order_cancelled.
type StatusData struct {
	OrderID       string   `json:"orderId"`
	BookingID     string   `json:"bookingId"`
	Status        Status   `json:"status"`
	Dispatch      Dispatch `json:"dispatchState"`
	ReasonCode    string   `json:"reasonCode"`
	RecoveryHint  string   `json:"recoveryHint,omitempty"`
	Reason        string   `json:"reason,omitempty"`
	Message       string   `json:"message"`
	ChangedAt     int64    `json:"stateChangedAt"`
	ExpiresAt     int64    `json:"expiresAt"`
	ExpiredAt     int64    `json:"expiredAt,omitempty"`
	CancelledAt   int64    `json:"cancelledAt,omitempty"`
	TotalTrucks   int      `json:"totalTrucks"`
	TrucksFilled  int      `json:"trucksFilled"`
	Online        int      `json:"onlineCandidates"`
	Notified      int      `json:"notifiedTransporters"`
	TripsEnded    int      `json:"assignmentsCancelled,omitempty"`
	CustomerName  string   `json:"customerName"`
	PickupAddress string   `json:"pickupAddress"`
	DropAddress   string   `json:"dropAddress"`
	Revision      int64    `json:"dispatchRevision"`
	Lifecycle     int64    `json:"orderLifecycleVersion"`
}

var statusMessage = map[Status]string{
	Created:         "Your order is scheduled.",
	Broadcasting:    "We are looking for transporters near your pickup.",
	Active:          "Transporters near your pickup have been asked.",
	PartiallyFilled: "Some of your trucks are confirmed.",
	FullyFilled:     "All your trucks are confirmed.",
	InProgress:      "Your goods are on their way.",
	Completed:       "Your order is completed.",
	Cancelled:       "The order was cancelled.",
	Expired:         "No truck was found for this order.",
}

// statusNotice tells the customer; of a cancellation also the transporters whose trips it ends.
func (s State) statusNotice(e Event) notice {
	t := s.Tally()
	d := StatusData{
		OrderID: s.ID, BookingID: s.ID, Status: s.Status, Dispatch: s.Dispatch, ReasonCode: s.ReasonCode,
		RecoveryHint: s.RecoveryHint(), Reason: s.Reason, Message: statusMessage[s.Status], ChangedAt: e.AtMS, ExpiresAt: s.ExpiresMS,
		TotalTrucks: t.Total, TrucksFilled: t.Filled, Online: s.Online, Notified: s.Notified,
		CustomerName: s.Customer.Name, PickupAddress: s.Pickup.Address, DropAddress: s.Drop.Address,
		Revision: s.Revision, Lifecycle: s.Count,
	}
	to := []string{string(s.CustomerID)}
	switch s.Status {
	case Expired:
		d.ExpiredAt = e.AtMS
	case Cancelled:
		d.CancelledAt = e.AtMS
		if s.Cancellation != nil {
			d.TripsEnded = s.Cancellation.TripsEnded
		}
		to = append(to, s.winners()...)
	default:
	}
	return notice{kind: KindStatus, to: to, data: d}
}

// winners are the transporters of the order's trips, each once.
func (s State) winners() []string {
	var ids []string
	seen := map[fleet.UserID]bool{}
	for _, slot := range s.Slots {
		if id := slot.TransporterID; slot.TripID != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, string(id))
		}
	}
	return ids
}

// FillData is the data of order_fill: the fields of trucks_remaining_update and booking_fully_filled,
// and for the customer those of truck_assigned.
type FillData struct {
	OrderID         string  `json:"orderId"`
	BookingID       string  `json:"bookingId"`
	VehicleType     string  `json:"vehicleType"`
	VehicleSubtype  string  `json:"vehicleSubtype"`
	TrucksNeeded    int     `json:"trucksNeeded"`
	TotalTrucks     int     `json:"totalTrucks"`
	TrucksFilled    int     `json:"trucksFilled"`
	TrucksRemaining int     `json:"trucksRemaining"`
	OrderStatus     Status  `json:"orderStatus"`
	ExpiresAt       int64   `json:"expiresAt"`
	Revision        int64   `json:"dispatchRevision"`
	Lifecycle       int64   `json:"orderLifecycleVersion"`
	GivenBack       bool    `json:"givenBack,omitempty"`   // one truck fewer than before
	Assignment      *Truck  `json:"assignment,omitempty"`  // for the customer: the truck it is about
	Assignments     []Truck `json:"assignments,omitempty"` // for the customer, when full
}

// Truck is a filled slot as the customer is told of it.
type Truck struct {
	ID            string `json:"id"` // the assignment
	TripID        string `json:"tripId"`
	VehicleNumber string `json:"vehicleNumber"`
	VehicleType   string `json:"vehicleType"`
	DriverName    string `json:"driverName"`
	DriverPhone   string `json:"driverPhone"` // masked
	Status        string `json:"status"`
}

func (s State) truck(slot Slot) Truck {
	return Truck{
		ID: slot.TripID, TripID: slot.TripID, VehicleNumber: slot.VehicleNumber, VehicleType: s.Needs[slot.Need].Type,
		DriverName: slot.DriverName, DriverPhone: trip.ShortPhone(slot.DriverPhone), Status: string(trip.DriverAccepted),
	}
}

// fillNotices tell the customer, who learns which truck it is, and everybody who sees the offer, who
// does not.
func (s State) fillNotices(e Event) []notice {
	t, slot := s.Tally(), *s.Slot(e.Slot)
	d := FillData{
		OrderID: s.ID, BookingID: s.ID,
		VehicleType: s.Needs[slot.Need].Type, VehicleSubtype: s.Needs[slot.Need].Subtype,
		TrucksNeeded: t.Total, TotalTrucks: t.Total, TrucksFilled: t.Filled, TrucksRemaining: t.Total - t.Cancelled - t.Filled,
		OrderStatus: s.due(), ExpiresAt: s.ExpiresMS, Revision: s.Revision, Lifecycle: s.Count,
		GivenBack: e.What != SlotFilled,
	}
	var out []notice
	if to := s.openOffers(); len(to) > 0 {
		out = append(out, notice{kind: KindFill, to: to, data: d})
	}
	if e.What == SlotFilled {
		truck := s.truck(slot)
		d.Assignment = &truck
	}
	for _, slot := range s.Slots {
		if t.Full() && slot.Status.Filled() {
			d.Assignments = append(d.Assignments, s.truck(slot))
		}
	}
	return append(out, notice{kind: KindFill, to: []string{string(s.CustomerID)}, data: d})
}

// ClosedData is the data of offer_closed: the fields of broadcast_expired, broadcast_dismissed and
// booking_cancelled.
type ClosedData struct {
	BroadcastID  string `json:"broadcastId"`
	OrderID      string `json:"orderId"`
	BookingID    string `json:"bookingId"`
	Reason       string `json:"reason"` // timeout, customer_cancelled, fully_filled, declined
	Message      string `json:"message"`
	CustomerName string `json:"customerName"`
	ClosedAt     int64  `json:"closedAt"`
	Revision     int64  `json:"dispatchRevision"`
	Lifecycle    int64  `json:"orderLifecycleVersion"`
}

var closedMessage = map[string]string{
	ClosedTimeout:   "The time for this order is up.",
	ClosedCancelled: "The customer has cancelled this order.",
	ClosedFull:      "All trucks of this order have been confirmed.",
	AnswerDeclined:  "You have declined this order.",
}

// closedBetween are the transporters whose offer an event closed.
func closedBetween(before, after State) []string {
	var ids []string
	for i, was := range before.Offered { // they keep their places
		if o := after.Offered[i]; o.Closed && !was.Closed {
			ids = append(ids, string(o.TransporterID))
		}
	}
	return ids
}

func (s State) closedNotice(e Event, to []string) notice {
	why := s.OfferedTo(fleet.UserID(to[0])).Why
	return notice{kind: KindClosed, to: to, data: ClosedData{
		BroadcastID: s.ID, OrderID: s.ID, BookingID: s.ID, Reason: why, Message: closedMessage[why],
		CustomerName: s.Customer.Name, ClosedAt: e.AtMS, Revision: s.Revision, Lifecycle: s.Count,
	}}
}

// HoldData is the data of hold_expired.
type HoldData struct {
	HoldID         string       `json:"holdId"`
	OrderID        string       `json:"orderId"`
	TransporterID  fleet.UserID `json:"transporterId"`
	Phase          string       `json:"phase"` // FLEX: it was not confirmed
	Status         HoldStatus   `json:"status"`
	Reason         string       `json:"reason"`
	VehicleType    string       `json:"vehicleType"`
	VehicleSubtype string       `json:"vehicleSubtype"`
	Quantity       int          `json:"quantity"`
	ExpiredAt      int64        `json:"expiredAt"`
	Message        string       `json:"message"`
}

func (s State) holdNotice(e Event) notice {
	h, message := e.Hold, "Your hold has expired."
	if h.Status == HoldCancelled {
		message = closedMessage[ClosedCancelled]
	}
	need := s.Needs[h.Need]
	return notice{kind: KindHold, to: []string{string(h.TransporterID)}, data: HoldData{
		HoldID: h.ID, OrderID: s.ID, TransporterID: h.TransporterID, Phase: "FLEX", Status: h.Status, Reason: e.Reason,
		VehicleType: need.Type, VehicleSubtype: need.Subtype, Quantity: len(h.SlotIDs), ExpiredAt: e.AtMS, Message: message,
	}}
}

// CompletedData is the data of order_completed.
type CompletedData struct {
	OrderID         string `json:"orderId"`
	BookingID       string `json:"bookingId"`
	TotalTrucks     int    `json:"totalTrucks"`
	TrucksCompleted int    `json:"trucksCompleted"`
	CompletedAt     int64  `json:"completedAt"`
	Message         string `json:"message"`
}

func (s State) completedNotice(e Event) notice {
	t := s.Tally()
	return notice{kind: KindCompleted, to: []string{string(s.CustomerID)}, data: CompletedData{
		OrderID: s.ID, BookingID: s.ID, TotalTrucks: t.Total, TrucksCompleted: t.Completed, CompletedAt: e.AtMS,
		Message: statusMessage[Completed],
	}}
}
