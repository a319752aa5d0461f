package order

import (
	"time"

	"weelo/internal/fleet"
	"weelo/internal/trip"
)

// Info is an order as the apps' OrderData and OrderInfo have it, ready for a transport to spell.
type Info struct {
	ID                 string
	CustomerID         fleet.UserID
	CustomerName       string
	CustomerPhone      string // whole for the customer himself and ops, masked for others
	Pickup, Drop       trip.Place
	Route              []Stop
	DistanceKm         int
	TotalTrucks        int
	TrucksFilled       int
	TotalRupees        int
	Goods              string
	WeightKg           int
	VehicleType        string // of its first line
	VehicleSubtype     string
	PricePerTruck      int
	Status             Status
	Dispatch           Dispatch
	ReasonCode         string
	Revision           int64 // dispatchRevision
	Lifecycle          int64 // orderLifecycleVersion, lifecycleEventVersion
	ExpiresInSeconds   int   // of the search; of a scheduled order: from its opening on
	IsActive           bool
	Scheduled          bool
	CancellationReason string
	// Unix ms; 0: none.
	CreatedMS, UpdatedMS, ScheduledMS, OpensMS, ExpiresMS, EndedMS int64
}

// Info is the order as the viewer may see it.
func (s State) Info(viewer By, now time.Time) Info {
	phone := trip.ShortPhone(s.Customer.Phone)
	if s.ownedBy(viewer) {
		phone = s.Customer.Phone
	}
	t := s.Tally()
	return Info{
		ID: s.ID, CustomerID: s.CustomerID, CustomerName: s.Customer.Name, CustomerPhone: phone,
		Pickup: s.Pickup, Drop: s.Drop, Route: s.Route, DistanceKm: s.DistanceKm,
		TotalTrucks: t.Total, TrucksFilled: t.Filled, TotalRupees: s.TotalRupees, Goods: s.Goods, WeightKg: s.WeightKg,
		VehicleType: s.Needs[0].Type, VehicleSubtype: s.Needs[0].Subtype, PricePerTruck: s.Needs[0].PriceRupees,
		Status: s.Status, Dispatch: s.Dispatch, ReasonCode: s.ReasonCode, Revision: s.Revision, Lifecycle: s.Count,
		ExpiresInSeconds: s.RemainingSeconds(now), IsActive: s.IsActive(), Scheduled: s.ScheduledMS != 0,
		CancellationReason: s.Reason,
		CreatedMS:          s.CreatedMS, UpdatedMS: max(s.StatusMS, s.CreatedMS), ScheduledMS: s.ScheduledMS,
		OpensMS: s.OpensMS, ExpiresMS: s.ExpiresMS, EndedMS: s.EndedMS,
	}
}

// IsActive tells whether the customer's app should go on showing the order: it is so until the end. A
// full, running or partly filled order is active though nobody searches any more.
func (s State) IsActive() bool { return s.Live }

// RemainingSeconds is what is left of the search, upwards; 0 when nobody searches any more.
func (s State) RemainingSeconds(now time.Time) int {
	t := s.Tally()
	if !s.Live || s.Closed || t.Undecided() == 0 {
		return 0
	}
	from := now
	if opens := time.UnixMilli(s.OpensMS); s.Searches == 0 && opens.After(now) {
		from = opens
	}
	return seconds(time.UnixMilli(s.ExpiresMS).Sub(from))
}

// RecoveryHint says, for people, what they may do about the order's ReasonCode. "" when there is none.
func (s State) RecoveryHint() string {
	switch s.ReasonCode {
	case ReasonNoneOnline:
		if s.Live && !s.Closed {
			return "No transporter near your pickup is online right now. We keep looking."
		}
		return "No transporter near your pickup was online. Please try again in a few minutes."
	case ReasonNoAcceptant:
		return "No transporter accepted this time. Try again, or offer a higher price."
	case ReasonTruckLost:
		switch {
		case s.Status == Cancelled:
			return ""
		case s.DecideByMS != 0:
			return "You can search again, cancel or raise a dispute."
		case s.Live && !s.Closed:
			return "We are looking for another truck."
		}
		return lostForGood
	case ReasonTooLate:
		return "We could not look for trucks before your pickup time. Please place the order again."
	case ReasonPartialFill:
		return "Not every truck could be found. You keep those that were confirmed and can search again for the rest."
	default:
		return ""
	}
}

// StatusView is the answer of the status call (contract §1.3), ready to spell.
type StatusView struct {
	OrderID          string
	Status           Status
	RemainingSeconds int
	IsActive         bool
	ExpiresMS        int64
	Dispatch         Dispatch
	Attempts         int // waves sent
	Notified, Online int
	ReasonCode       string
	RecoveryHint     string
	Revision         int64
	Lifecycle        int64
	ServerMS         int64
	TotalTrucks      int
	TrucksFilled     int
}

// StatusView is the order's status as of now.
func (s State) StatusView(now time.Time) StatusView {
	t := s.Tally()
	return StatusView{
		OrderID: s.ID, Status: s.Status, RemainingSeconds: s.RemainingSeconds(now), IsActive: s.IsActive(), ExpiresMS: s.ExpiresMS,
		Dispatch: s.Dispatch, Attempts: s.Wave, Notified: s.Notified, Online: s.Online,
		ReasonCode: s.ReasonCode, RecoveryHint: s.RecoveryHint(), Revision: s.Revision, Lifecycle: s.Count,
		ServerMS: now.UnixMilli(), TotalTrucks: t.Total, TrucksFilled: t.Filled,
	}
}

// Request is a slot as the apps' TruckRequest has it.
type Request struct {
	ID            string
	OrderID       string
	Number        int
	Type, Subtype string
	PriceRupees   int
	Status        SlotStatus
	HeldBy        fleet.UserID // shown to that transporter, the customer and ops
	TransporterID fleet.UserID
	Transporter   string
	TripID        string
	VehicleID     fleet.VehicleID
	VehicleNumber string
	DriverID      fleet.UserID
	DriverName    string
	DriverPhone   string // whole for his fleet, masked for others
	AssignedMS    int64
	AcceptedMS    int64
	EndedMS       int64
	Mine          bool // the viewer's own
	CancelReason  string
}

// Requests are the order's slots as the viewer may see them: transporters see no names of others.
func (s State) Requests(viewer By) []Request {
	out := make([]Request, len(s.Slots))
	for i, slot := range s.Slots {
		need := s.Needs[slot.Need]
		r := Request{
			ID: slot.ID, OrderID: s.ID, Number: slot.Number, Type: need.Type, Subtype: need.Subtype,
			PriceRupees: need.PriceRupees, Status: slot.Status,
			AssignedMS: slot.AssignedMS, AcceptedMS: slot.AcceptedMS, EndedMS: slot.EndedMS,
			Mine: viewer.User != "" && slot.TransporterID == viewer.User,
		}
		if r.Mine || s.ownedBy(viewer) || slot.drivenBy(viewer) {
			r.TransporterID, r.Transporter, r.TripID = slot.TransporterID, slot.TransporterName, slot.TripID
			r.VehicleID, r.VehicleNumber = slot.VehicleID, slot.VehicleNumber
			r.DriverID, r.DriverName, r.DriverPhone = slot.DriverID, slot.DriverName, trip.ShortPhone(slot.DriverPhone)
			if r.Mine {
				r.DriverPhone = slot.DriverPhone
			}
			if slot.Status == SlotHeld {
				r.HeldBy = slot.TransporterID
			}
		}
		out[i] = r
	}
	return out
}

// KindSummary is one kind of trucks of an order and how many transporters with it were notified.
type KindSummary struct {
	Type, Subtype string
	Count         int
	Notified      int
}

// Broadcast is the broadcastSummary of a new order.
type Broadcast struct {
	Requests int
	Notified int
	Kinds    []KindSummary
}

// Broadcast sums up whom the order was shown to.
func (s State) Broadcast() Broadcast {
	b := Broadcast{Requests: len(s.Slots), Notified: s.Notified}
	for _, n := range s.Needs {
		k := KindSummary{Type: n.Type, Subtype: n.Subtype, Count: n.Quantity}
		for _, o := range s.Offered {
			if _, has := o.Stocks[n.Key]; has {
				k.Notified++
			}
		}
		b.Kinds = append(b.Kinds, k)
	}
	return b
}

// MaySee tells whether somebody may see the order: its customer, ops, the transporters who were shown
// it and the drivers of its trips, as long as they drive for the fleet that they drove it for.
func (s State) MaySee(by By) bool {
	if s.ownedBy(by) || s.OfferedTo(by.User) != nil {
		return true
	}
	for _, slot := range s.Slots {
		if slot.drivenBy(by) || (by.User != "" && slot.TransporterID == by.User) {
			return true
		}
	}
	return false
}

// drivenBy tells whether somebody is, or was, the slot's driver, for the slot's fleet.
func (slot Slot) drivenBy(by By) bool {
	return by.Role == fleet.Driver && by.User != "" && by.User == slot.DriverID && by.Fleet == slot.TransporterID
}

// HoldView is a hold as its transporter sees it.
type HoldView struct {
	Hold
	OrderID          string
	Type, Subtype    string
	Quantity         int
	Phase            string // FLEX while active, CONFIRMED, EXPIRED, RELEASED
	RemainingSeconds int
	TotalSeconds     int // from its beginning to its present end
	CanExtend        bool
	MaxExtensions    int
}

// HoldView is the hold as of now; ok is false when there is none of that id.
func (s State) HoldView(id string, now time.Time, p Policy) (v HoldView, ok bool) {
	h := s.Hold(id)
	if h == nil {
		return HoldView{}, false
	}
	need := s.Needs[h.Need]
	_, can := s.CanExtend(*h, now, p)
	v = HoldView{
		Hold: *h, OrderID: s.ID, Type: need.Type, Subtype: need.Subtype, Quantity: len(h.SlotIDs),
		TotalSeconds: seconds(time.Duration(h.ExpiresMS-h.CreatedMS) * time.Millisecond),
		CanExtend:    can, MaxExtensions: p.HoldExtensions,
	}
	switch {
	case h.Status == HoldActive && h.ExpiresMS > now.UnixMilli():
		v.Phase, v.RemainingSeconds = "FLEX", seconds(time.UnixMilli(h.ExpiresMS).Sub(now))
	case h.Status == HoldConfirmed:
		v.Phase = "CONFIRMED"
	case h.Status == HoldReleased:
		v.Phase = "RELEASED"
	default:
		v.Phase = "EXPIRED"
	}
	return v, true
}
