package trip

import (
	"encoding/json"
	"fmt"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/track"
)

// FixGrace is how long after its end a trip still takes fixes (the driver's phone was in a tunnel).
const FixGrace = 10 * time.Minute

// FixSkew is how long before its acceptance, by the phone's clock, a trip takes fixes: a phone whose clock
// is that far behind the server's shows the truck at once (docs/adr/0015-clocks-of-phones.md).
const FixSkew = 5 * time.Second

// State is one trip as stored. Its JSON is the row's snapshot; stores extract columns from the keys
// status, live, driverId, vehicleId, transporterId, customerId, orderId and slot, so those keys are
// part of the schema. Keys of absent parts are left out, never empty. Times are Unix ms.
type State struct {
	ID     string `json:"id"` // trip id = assignment id, a bare UUID
	Status Status `json:"status"`
	Live   bool   `json:"live"` // false exactly in a terminal status

	DriverID      fleet.UserID    `json:"driverId"`
	VehicleID     fleet.VehicleID `json:"vehicleId"`
	TransporterID fleet.UserID    `json:"transporterId"`
	CustomerID    fleet.UserID    `json:"customerId,omitempty"`
	OrderID       string          `json:"orderId,omitempty"` // absent for a trip without an order
	Slot          string          `json:"slot,omitempty"`    // the slot's id within the order

	Names   Names   `json:"names"`
	Vehicle Vehicle `json:"vehicle"`
	Pickup  Place   `json:"pickup"`
	Drop    Place   `json:"drop"`
	Cargo   Cargo   `json:"cargo"`

	AssignedMS int64            `json:"assignedAt"`
	AcceptedMS int64            `json:"acceptedAt,omitempty"`
	StatusMS   int64            `json:"statusAt"` // when the present status began
	Reached    map[Status]int64 `json:"reached"`  // when each status was reached
	EndedMS    int64            `json:"endedAt,omitempty"`
	EndedBy    string           `json:"endedBy,omitempty"` // driver, customer, transporter, ops, timer, order
	Reason     string           `json:"reason,omitempty"`  // why it was declined or cancelled; timeout

	HeardMS   int64 `json:"heardAt,omitempty"`   // last sign of the driver, to within Policy.HeardEvery
	FlaggedMS int64 `json:"flaggedAt,omitempty"` // silent since; 0 when not flagged

	NearMS   int64     `json:"nearAt,omitempty"` // when the customer was told that the truck is near
	Delivery *Delivery `json:"delivery,omitempty"`

	Track  track.Track      `json:"track,omitzero"` // what its fixes fold to; the fixes themselves are history
	Timers map[string]Timer `json:"timers"`         // armed ones
	Count  int64            `json:"events"`         // events applied so far; names the next one
}

// Names are the people as they were called when the trip was assigned. Phones are canonical
// (+91 and ten digits) and leave the server masked but to the fleet.
type Names struct {
	Driver        string `json:"driver"`
	DriverPhone   string `json:"driverPhone"`
	Transporter   string `json:"transporter,omitempty"`
	Customer      string `json:"customer,omitempty"`
	CustomerPhone string `json:"customerPhone,omitempty"`
}

// Vehicle is the truck as it was when the trip was assigned.
type Vehicle struct {
	Number  string `json:"number"`
	Type    string `json:"type"`
	Subtype string `json:"subtype"`
}

// Place is an address with its position, in degrees.
type Place struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Address   string  `json:"address"`
	City      string  `json:"city,omitempty"`
	State     string  `json:"state,omitempty"`
}

// Cargo is what is carried and for how much: whole rupees, whole kilometres.
type Cargo struct {
	Goods      string `json:"goods,omitempty"`
	DistanceKm int    `json:"distanceKm"`
	FareRupees int    `json:"fareRupees,omitempty"`
}

// Delivery is what proves a delivery: the customer knows the code, the driver asks him for it.
type Delivery struct {
	Code    string `json:"code"`
	Tries   int    `json:"tries,omitempty"` // wrong ones since the last wait
	UntilMS int64  `json:"until,omitempty"` // no further try before this
}

// Timer is one armed timer of the trip.
type Timer struct {
	Number int64 `json:"number"`
	DueMS  int64 `json:"due"`
}

// Covers tells whether a fix taken at tsMS belongs to the trip: from the driver's acceptance − FixSkew
// to its end + FixGrace.
func (s State) Covers(tsMS int64) bool {
	from, to := s.Window()
	return from != 0 && tsMS >= from && (to == 0 || tsMS <= to)
}

// Window is the span of fixes that belong to the trip, in ms. from 0: none do, it was never
// accepted; to 0: open.
func (s State) Window() (from, to int64) {
	if s.AcceptedMS == 0 {
		return 0, 0
	}
	if s.EndedMS != 0 {
		to = s.EndedMS + FixGrace.Milliseconds()
	}
	return s.AcceptedMS - FixSkew.Milliseconds(), to
}

// Concerns tells whether somebody may see the trip: he is on it, in the role that he has there, or he is ops.
// Its driver is so for the fleet that he drove it for; once he drives for another he is a stranger to it.
func (s State) Concerns(by By) bool {
	switch by.Role {
	case fleet.Ops:
		return true
	case fleet.Driver:
		return by.User != "" && by.User == s.DriverID && by.Fleet == s.TransporterID
	case fleet.Transporter:
		return by.User != "" && by.User == s.TransporterID
	case fleet.Customer:
		return by.User != "" && by.User == s.CustomerID
	}
	return false
}

func (s State) drivenBy(by By) bool { return by.Role == fleet.Driver && s.Concerns(by) }

// GaveBack tells whether the trip has come to nothing in a way that leaves its slot to another truck: the
// order looks for one, as long as it looks for any. What the customer or the order itself cancelled is not
// looked for.
func (s State) GaveBack() bool {
	switch {
	case s.Live || s.OrderID == "":
		return false
	case s.Status == DriverDeclined:
		return true
	}
	return s.Status == Cancelled && s.EndedBy != string(fleet.Customer) && s.EndedBy != "order"
}

// Load reads a snapshot.
func Load(snapshot json.RawMessage) (State, error) {
	var s State
	if err := json.Unmarshal(snapshot, &s); err != nil {
		return State{}, fmt.Errorf("read trip snapshot: %w", err)
	}
	return s, nil
}

// Snapshot writes the state as its row keeps it.
func (s State) Snapshot() (json.RawMessage, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write snapshot of trip %s: %w", s.ID, err)
	}
	return b, nil
}
