package order

import (
	"slices"
)

// DisputeData is the data of the order_status event by which the parties learn what became of a dispute: how
// the order stands, and the resolution in it. What the customer wrote and why ops decided so is not for the
// others, and is left out for all.
type DisputeData struct {
	OrderID    string         `json:"orderId"`
	BookingID  string         `json:"bookingId"`
	TripID     string         `json:"tripId,omitempty"` // for a driver: his
	Status     Status         `json:"status"`
	TotalTrips int            `json:"totalAssignments"`
	Dispute    DisputeOutcome `json:"dispute"`
	Message    string         `json:"message"`
	Lifecycle  int64          `json:"orderLifecycleVersion"`
}

// DisputeOutcome is a dispute as the parties see it. Without a resolution it is open.
type DisputeOutcome struct {
	DisputeID  string     `json:"disputeId"`
	Stage      Stage      `json:"stage"`
	Resolution Resolution `json:"resolution"`
	RaisedAt   int64      `json:"raisedAt"`
	ResolvedAt int64      `json:"resolvedAt"`
}

var resolutionMessage = map[Resolution]string{
	ResolvedUpheld:   "The dispute about this order was decided in the customer's favour.",
	ResolvedSettled:  "The dispute about this order was settled.",
	ResolvedRejected: "The dispute about this order was rejected.",
}

// disputeNotices tell the customer, the transporters of the order's trips and the drivers who have accepted them,
// each of these with his own.
func (s State) disputeNotices() []notice {
	d := s.Dispute
	data := DisputeData{
		OrderID: s.ID, BookingID: s.ID, Status: s.Status, TotalTrips: s.trips(), Dispute: d.outcome(),
		Message: resolutionMessage[d.Resolution], Lifecycle: s.Count,
	}
	out := []notice{{kind: KindStatus, to: append([]string{string(s.CustomerID)}, s.winners()...), data: data}}
	for _, slot := range s.Slots {
		if slot.AcceptedMS != 0 {
			his := data
			his.TripID = slot.TripID
			out = append(out, notice{kind: KindStatus, to: []string{string(slot.DriverID)}, data: his})
		}
	}
	return out
}

func (d Dispute) outcome() DisputeOutcome {
	return DisputeOutcome{DisputeID: d.ID, Stage: d.Stage, Resolution: d.Resolution, RaisedAt: d.RaisedMS, ResolvedAt: d.ResolvedMS}
}

// DisputeFor is the order's dispute as the viewer may see it: its customer and ops from the beginning, those
// who were told of its resolution afterwards. nil: none, or not for him.
func (s State) DisputeFor(viewer By) *DisputeOutcome {
	switch {
	case s.Dispute == nil:
		return nil
	case s.ownedBy(viewer), !s.Dispute.Open() && s.party(viewer):
		seen := s.Dispute.outcome()
		return &seen
	default:
		return nil
	}
}

// party tells whether somebody has a trip in the order, as its transporter or as a driver who accepted it.
func (s State) party(by By) bool {
	return by.User != "" && slices.ContainsFunc(s.Slots, func(slot Slot) bool {
		return slot.TripID != "" && slot.TransporterID == by.User || slot.AcceptedMS != 0 && slot.drivenBy(by)
	})
}

// trips counts the trucks that have, or had to their end, a trip.
func (s State) trips() int {
	n := 0
	for _, slot := range s.Slots {
		if slot.TripID != "" {
			n++
		}
	}
	return n
}
