package order

import "weelo/internal/fleet"

// TermData is the data of the order_status event that a transporter gets when he holds trucks of the
// order or is given more time for them: how the order stands, and his hold in it.
type TermData struct {
	OrderID   string `json:"orderId"`
	BookingID string `json:"bookingId"`
	Status    Status `json:"status"`
	Hold      Term   `json:"hold"`
}

// What happened to a hold's time.
const (
	TermStarted  = "started"
	TermExtended = "extended"
)

// Term is how long a hold lasts: the fields of flex_hold_started and flex_hold_extended.
type Term struct {
	HoldID         string `json:"holdId"`
	Phase          string `json:"phase"` // FLEX
	Change         string `json:"change"`
	VehicleType    string `json:"vehicleType"`
	VehicleSubtype string `json:"vehicleSubtype"`
	Quantity       int    `json:"quantity"`
	ExpiresAt      int64  `json:"expiresAt"`
	AddedSeconds   int64  `json:"addedSeconds"`         // by this extension; 0 for one that starts
	TotalSeconds   int64  `json:"totalDurationSeconds"` // from its beginning to its present end
	CanExtend      bool   `json:"canExtend"`
	Extensions     int    `json:"extensionCount"`
	MaxExtensions  int    `json:"maxExtensions"`
}

func (s State) termNotice(before State, e Event) notice {
	h, need := e.Hold, s.Needs[e.Hold.Need]
	t := Term{
		HoldID: h.ID, Phase: "FLEX", Change: TermStarted, VehicleType: need.Type, VehicleSubtype: need.Subtype, Quantity: len(h.SlotIDs),
		ExpiresAt: h.ExpiresMS, TotalSeconds: (h.ExpiresMS - h.CreatedMS + 999) / 1000,
		CanExtend: e.CanExtend, Extensions: h.Extensions, MaxExtensions: e.MaxExtensions,
	}
	if was := before.Hold(h.ID); was != nil {
		t.Change, t.AddedSeconds = TermExtended, (h.ExpiresMS-was.ExpiresMS+999)/1000
	}
	return notice{kind: KindStatus, to: []string{string(h.TransporterID)}, data: TermData{
		OrderID: s.ID, BookingID: s.ID, Status: s.due(), Hold: t,
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
