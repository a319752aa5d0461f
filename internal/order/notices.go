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
	case WasHeld, HoldProlonged:
		tell(after.termNotice(before, e))
	case HoldEnded:
		if e.Hold.Status != HoldReleased {
			tell(after.holdNotice(e))
		}
	case SlotFilled, SlotReopened, SlotEnded:
		if before.Tally().Filled != after.Tally().Filled {
			tell(after.fillNotices(before, e)...)
		}
		if after.TruckLost() && !before.TruckLost() && after.due() == after.Status {
			tell(after.statusNotice(e))
		}
	case SearchClosed, DecisionAsked:
		if after.due() == after.Status { // otherwise the status that follows says it
			tell(after.statusNotice(e))
		}
	case StatusChanged:
		tell(after.statusNotice(e))
		if after.Status == Cancelled {
			tell(after.driverNotices(e)...)
		}
		if after.Status == Completed {
			tell(after.completedNotice(e))
		}
	case DisputeDecided:
		tell(after.disputeNotices()...)
	default: // history only, but for offers that it closes
	}
	if closed := closedBetween(before, after); len(closed) > 0 {
		tell(after.closedNotice(e, closed))
	}
	return out
}

// StatusData is the data of order_status: the fields of broadcast_state_changed, order_expired,
// order_cancelled and order_status_update.
type StatusData struct {
	OrderID       string   `json:"orderId"`
	BookingID     string   `json:"bookingId"`
	TripID        string   `json:"tripId,omitempty"` // for a driver: his, which ended with the order
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
	TotalTrips    int      `json:"totalAssignments"`
	TripsEnded    int      `json:"assignmentsCancelled,omitempty"`
	CustomerName  string   `json:"customerName"`
	CustomerPhone string   `json:"customerPhone"` // masked
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

// statusNotice tells the customer; from the departure on, and of a cancellation, also the transporters
// of the order's trips.
func (s State) statusNotice(e Event) notice {
	to := []string{string(s.CustomerID)}
	if s.Status == InProgress || s.Status == Completed || s.Status == Cancelled {
		to = append(to, s.winners()...)
	}
	return notice{kind: KindStatus, to: to, data: s.statusData(e)}
}

// driverNotices tell the drivers of a cancelled order's trips, each with his own.
func (s State) driverNotices(e Event) []notice {
	var out []notice
	for _, slot := range s.Slots {
		if slot.Status == SlotCancelled && slot.TripID != "" {
			d := s.statusData(e)
			d.TripID = slot.TripID
			out = append(out, notice{kind: KindStatus, to: []string{string(slot.DriverID)}, data: d})
		}
	}
	return out
}

func (s State) statusData(e Event) StatusData {
	t := s.Tally()
	d := StatusData{
		OrderID: s.ID, BookingID: s.ID, Status: s.Status, Dispatch: s.Dispatch, ReasonCode: s.ReasonCode,
		RecoveryHint: s.RecoveryHint(), Reason: s.Reason, Message: s.message(), ChangedAt: e.AtMS, ExpiresAt: s.ExpiresMS,
		TotalTrucks: t.Total, TrucksFilled: t.Filled, TotalTrips: s.trips(), Online: s.Online, Notified: s.Notified,
		CustomerName: s.Customer.Name, CustomerPhone: trip.ShortPhone(s.Customer.Phone),
		PickupAddress: s.Pickup.Address, DropAddress: s.Drop.Address, Revision: s.Revision, Lifecycle: s.Count,
	}
	switch s.Status {
	case Expired:
		d.ExpiredAt = e.AtMS
	case Cancelled:
		d.CancelledAt = e.AtMS
		if s.Cancellation != nil {
			d.TripsEnded = s.Cancellation.TripsEnded
		}
	default:
	}
	return d
}

// message says for people how the order stands.
func (s State) message() string {
	switch {
	case s.Status == Expired && s.ReasonCode == ReasonTooLate:
		return "The pickup time passed before we could look for trucks."
	case s.ReasonCode != ReasonTruckLost || s.Status == Completed || s.Status == Cancelled:
		return statusMessage[s.Status]
	case s.Live && !s.Closed:
		return "A truck broke down or was taken back. We are looking for another."
	default:
		return lostForGood
	}
}

const lostForGood = "A truck broke down or was taken back, and no other was found."

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
