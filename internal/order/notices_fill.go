package order

import (
	"slices"

	"weelo/internal/fleet"
	"weelo/internal/trip"
)

// FillData is the data of order_fill: the fields of trucks_remaining_update and booking_fully_filled;
// for the customer those of truck_assigned and order_timeout_extended, for the transporter whose truck
// it is those of driver_accepted.
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
	GivenBack       bool    `json:"givenBack,omitempty"`    // one truck fewer than before
	AddedSeconds    int64   `json:"addedSeconds,omitempty"` // how much longer the search goes on because of it
	Assignment      *Truck  `json:"assignment,omitempty"`   // for the customer: the truck it is about
	Assignments     []Truck `json:"assignments,omitempty"`  // for the customer, when full
	Accepted        *Won    `json:"accepted,omitempty"`     // for the transporter whose truck it is
}

// Won is a filled slot as its transporter is told of it.
type Won struct {
	HoldID         string       `json:"holdId"`
	AssignmentID   string       `json:"assignmentId"`
	TripID         string       `json:"tripId"`
	TruckRequestID string       `json:"truckRequestId"`
	DriverID       fleet.UserID `json:"driverId"`
	DriverName     string       `json:"driverName"`
	VehicleNumber  string       `json:"vehicleNumber"`
	TrucksAccepted int          `json:"trucksAccepted"` // of the hold
	TrucksPending  int          `json:"trucksPending"`  // of the hold: their drivers have not answered
	Message        string       `json:"message"`
}

func (s State) won(slot Slot) Won {
	w := Won{
		HoldID: slot.HoldID, AssignmentID: slot.TripID, TripID: slot.TripID, TruckRequestID: slot.ID,
		DriverID: slot.DriverID, DriverName: slot.DriverName, VehicleNumber: slot.VehicleNumber,
		Message: slot.DriverName + " has accepted the trip.",
	}
	for _, other := range s.Slots {
		switch {
		case other.HoldID != slot.HoldID:
		case other.Status.Filled():
			w.TrucksAccepted++
		case other.Status == SlotAssigned:
			w.TrucksPending++
		}
	}
	return w
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

// fillNotices tell the customer, who learns which truck it is, its transporter, and everybody who sees
// the offer, who does not.
func (s State) fillNotices(before State, e Event) []notice {
	slot := *s.Slot(e.Slot)
	d := s.fillData(slot, e)
	var out []notice
	others := s.openOffers()
	if e.What == SlotFilled {
		mine, won, winner := d, s.won(slot), string(slot.TransporterID)
		mine.Accepted = &won
		out = append(out, notice{kind: KindFill, to: []string{winner}, data: mine})
		others = slices.DeleteFunc(others, func(id string) bool { return id == winner })
	}
	if len(others) > 0 {
		out = append(out, notice{kind: KindFill, to: others, data: d})
	}
	if e.What == SlotFilled {
		truck := s.truck(slot)
		d.Assignment = &truck
		d.AddedSeconds = (s.ExpiresMS - before.ExpiresMS + 999) / 1000
	}
	for _, slot := range s.Slots {
		if s.Tally().Full() && slot.Status.Filled() {
			d.Assignments = append(d.Assignments, s.truck(slot))
		}
	}
	return append(out, notice{kind: KindFill, to: []string{string(s.CustomerID)}, data: d})
}

func (s State) fillData(slot Slot, e Event) FillData {
	t, need := s.Tally(), s.Needs[slot.Need]
	return FillData{
		OrderID: s.ID, BookingID: s.ID, VehicleType: need.Type, VehicleSubtype: need.Subtype,
		TrucksNeeded: t.Total, TotalTrucks: t.Total, TrucksFilled: t.Filled, TrucksRemaining: t.Total - t.Cancelled - t.Filled,
		OrderStatus: s.due(), ExpiresAt: s.ExpiresMS, Revision: s.Revision, Lifecycle: s.Count,
		GivenBack: e.What != SlotFilled,
	}
}
