package order

import (
	"encoding/json"
	"fmt"
	"strings"

	"weelo/internal/fleet"
	"weelo/internal/trip"
)

// MaxTrucks bounds the slots of one order, so that the order and all its trips fit one transaction
// (ledger.MaxJoint).
const MaxTrucks = 50

// State is one order as stored. Its JSON is the row's snapshot; stores extract columns from the keys
// status, live, searching and customerId, so those keys are part of the schema. Times are Unix ms,
// money whole rupees.
type State struct {
	ID     string `json:"id"` // a bare UUID
	Status Status `json:"status"`
	Live   bool   `json:"live"` // false exactly in a terminal status
	// Searching: the order counts for "one active order per customer": its window is open, it was never
	// full yet and it was not scheduled ahead.
	Searching  bool         `json:"searching"`
	CustomerID fleet.UserID `json:"customerId"`

	Customer    Customer   `json:"customer"`
	Pickup      trip.Place `json:"pickup"`
	Drop        trip.Place `json:"drop"`
	Route       []Stop     `json:"route"` // 2..4, the pickup first, the drop last
	DistanceKm  int        `json:"distanceKm"`
	Goods       string     `json:"goods,omitempty"`
	Notes       string     `json:"notes,omitempty"` // of the customer, for whoever drives
	WeightKg    int        `json:"weightKg,omitempty"`
	TotalRupees int        `json:"totalRupees"`
	Needs       []Need     `json:"needs"`
	Slots       []Slot     `json:"slots"`
	Holds       []Hold     `json:"holds,omitempty"`   // the active ones and the last that ended
	Offered     []Offered  `json:"offered,omitempty"` // everybody who was shown it, by time
	Letters     int        `json:"letters,omitempty"` // how many notices of trips it could not use

	Wave       int      `json:"wave"`             // waves sent since the search was opened, 1 for the first; 0: none yet
	WaveMS     int64    `json:"waveAt,omitempty"` // when the newest was sent
	NextWaveMS int64    `json:"nextWaveAt,omitempty"`
	LookAgain  bool     `json:"lookAgain,omitempty"` // the next one is another look within the last radius
	Dispatch   Dispatch `json:"dispatch"`
	ReasonCode string   `json:"reasonCode,omitempty"`
	Online     int      `json:"onlineCandidates"` // transporters that could have been offered it, so far
	Notified   int      `json:"notified"`         // transporters that were
	Revision   int64    `json:"dispatchRevision"` // raised whenever offers change
	Searches   int      `json:"searches"`         // 1, and one more for each SearchAgain and each truck that was lost after the end

	CreatedMS   int64  `json:"createdAt"`
	ScheduledMS int64  `json:"scheduledAt,omitempty"` // when the trucks are wanted; 0: now
	OpensMS     int64  `json:"opensAt"`               // when the search begins
	ExpiresMS   int64  `json:"expiresAt"`             // when the search ends
	StatusMS    int64  `json:"statusAt"`
	EndedMS     int64  `json:"endedAt,omitempty"`
	EndedBy     string `json:"endedBy,omitempty"` // customer, ops, timer, trips
	Reason      string `json:"reason,omitempty"`  // why it was cancelled, for people
	Closed      bool   `json:"closed,omitempty"`  // the search is over: no hold, no confirmation any more
	WasFull     bool   `json:"wasFull,omitempty"`
	Extensions  int    `json:"extensions,omitempty"` // how often an acceptance prolonged the search

	// DecideByMS: a truck was lost, no other was found and nothing else goes on; until then the customer may
	// decide. 0: he is not waited for. GaveUp: he did not.
	DecideByMS int64 `json:"decideBy,omitempty"`
	GaveUp     bool  `json:"gaveUp,omitempty"`

	Cancellation *Cancellation `json:"cancellation,omitempty"`
	Dispute      *Dispute      `json:"dispute,omitempty"`

	Timers map[string]Timer `json:"timers"` // armed ones
	Count  int64            `json:"events"` // events applied so far (lifecycle version); names the next one
}

// Customer is who ordered, as he was called then. The phone is canonical and leaves the server masked.
type Customer struct {
	Name  string `json:"name"`
	Phone string `json:"phone"`
}

// Stop is one point of the route.
type Stop struct {
	Type string `json:"type"` // PICKUP, STOP or DROP
	trip.Place
}

// Need is one line of what was asked for: some trucks of one kind at one price.
type Need struct {
	Type         string  `json:"type"`
	Subtype      string  `json:"subtype"`
	Key          string  `json:"key"` // fleet.Key of both
	Quantity     int     `json:"quantity"`
	PriceRupees  int     `json:"priceRupees"` // per truck
	CapacityTons float64 `json:"capacityTons,omitempty"`
}

// Slot is one truck of an order.
type Slot struct {
	ID     string     `json:"id"`     // a bare UUID, stable for the order's life
	Number int        `json:"number"` // 1..MaxTrucks
	Need   int        `json:"need"`   // index in State.Needs
	Key    string     `json:"key"`
	Status SlotStatus `json:"status"`

	// Of a slot that is held or on a trip, or whose trip has ended.
	HoldID          string          `json:"holdId,omitempty"`
	TransporterID   fleet.UserID    `json:"transporterId,omitempty"`
	TransporterName string          `json:"transporterName,omitempty"`
	TripID          string          `json:"tripId,omitempty"`
	VehicleID       fleet.VehicleID `json:"vehicleId,omitempty"`
	VehicleNumber   string          `json:"vehicleNumber,omitempty"`
	DriverID        fleet.UserID    `json:"driverId,omitempty"`
	DriverName      string          `json:"driverName,omitempty"`
	DriverPhone     string          `json:"driverPhone,omitempty"`

	Tries int `json:"tries,omitempty"` // trips that came to nothing
	// Lost: how far a truck was that its driver had accepted and that was given up; empty when none was, or
	// another has accepted since.
	Lost       SlotStatus `json:"lost,omitempty"`
	AssignedMS int64      `json:"assignedAt,omitempty"`
	AcceptedMS int64      `json:"acceptedAt,omitempty"`
	EndedMS    int64      `json:"endedAt,omitempty"`
}

// HoldStatus is where a hold stands.
type HoldStatus string

// The statuses of a hold.
const (
	HoldActive    HoldStatus = "active"
	HoldConfirmed HoldStatus = "confirmed"
	HoldReleased  HoldStatus = "released"
	HoldExpired   HoldStatus = "expired"
	HoldCancelled HoldStatus = "cancelled" // with the order
)

// Hold is a reservation of slots of one kind by one transporter.
type Hold struct {
	ID            string       `json:"id"` // HOLD_ and eight characters
	TransporterID fleet.UserID `json:"transporterId"`
	Need          int          `json:"need"` // index in State.Needs of its first slot
	Key           string       `json:"key"`
	SlotIDs       []string     `json:"slotIds"`
	Status        HoldStatus   `json:"status"`
	CreatedMS     int64        `json:"createdAt"`
	ExpiresMS     int64        `json:"expiresAt"`
	EndedMS       int64        `json:"endedAt,omitempty"`
	Extensions    int          `json:"extensions,omitempty"`
	TripIDs       []string     `json:"tripIds,omitempty"` // of a confirmed one, by SlotIDs
}

// Offered is what the order remembers of one transporter who was shown it. The offer itself is a row.
type Offered struct {
	TransporterID fleet.UserID           `json:"t"`
	Wave          int                    `json:"w"` // the wave that found him; LateWave: he came online
	AtMS          int64                  `json:"at"`
	DistanceM     int                    `json:"d"`
	ETASeconds    int                    `json:"e"`
	Stocks        map[string]fleet.Stock `json:"k"` // his vehicles of the wanted kinds when he was offered
	Version       int64                  `json:"v"` // of the offer
	Closed        bool                   `json:"c,omitempty"`
	Why           string                 `json:"y,omitempty"` // why it is closed
	Answer        string                 `json:"a,omitempty"` // declined, held, confirmed
}

// LateWave is the Wave of whom a wave did not find: he came online during the search.
const LateWave = 0

// The answers of a transporter to an offer.
const (
	AnswerDeclined  = "declined"
	AnswerHeld      = "held"
	AnswerConfirmed = "confirmed"
)

// Timer is one armed timer of the order.
type Timer struct {
	Number int64 `json:"number"`
	DueMS  int64 `json:"due"`
}

// Cancellation is how the order was cancelled, and what that costs.
type Cancellation struct {
	Quote
	Reason      string `json:"reason"`
	AtMS        int64  `json:"at"`
	By          string `json:"by"`
	TripsEnded  int    `json:"tripsEnded"`
	Notified    int    `json:"notified"` // transporters that were told
	DriversTold int    `json:"driversTold"`
}

// Dispute is a customer's complaint about an order that can no longer be cancelled (dispute.go). Stores
// find it by the keys id, raisedAt and resolution.
type Dispute struct {
	ID           string `json:"id"`
	Stage        Stage  `json:"stage"`
	ReasonCode   string `json:"reasonCode,omitempty"`
	Notes        string `json:"notes,omitempty"`
	RaisedMS     int64  `json:"raisedAt"`
	DueMS        int64  `json:"dueAt"`
	HandedOverMS int64  `json:"handedOverAt,omitempty"`

	Resolution Resolution   `json:"resolution,omitempty"` // empty: it is open
	ResolvedMS int64        `json:"resolvedAt,omitempty"`
	ResolvedBy fleet.UserID `json:"resolvedBy,omitempty"`
	Why        string       `json:"why,omitempty"` // the reason that ops gave, for ops
}

// Load reads a snapshot.
func Load(snapshot json.RawMessage) (State, error) {
	var s State
	if err := json.Unmarshal(snapshot, &s); err != nil {
		return State{}, fmt.Errorf("read order snapshot: %w", err)
	}
	return s, nil
}

// Snapshot writes the state as its row keeps it.
func (s State) Snapshot() (json.RawMessage, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write snapshot of order %s: %w", s.ID, err)
	}
	return b, nil
}

// Slot finds a slot by its id; nil: there is none.
func (s State) Slot(id string) *Slot {
	for i := range s.Slots {
		if s.Slots[i].ID == id {
			return &s.Slots[i]
		}
	}
	return nil
}

// SlotOfTrip finds the slot that carries a trip; nil: none does (any more).
func (s State) SlotOfTrip(tripID string) *Slot {
	for i := range s.Slots {
		if tripID != "" && s.Slots[i].TripID == tripID {
			return &s.Slots[i]
		}
	}
	return nil
}

// TruckLost tells whether a truck that a driver had accepted was given up and none has come in its place.
func (s State) TruckLost() bool { return s.lostAt() != "" }

// lostAt is how far the furthest such truck was: SlotInProgress, SlotAccepted or "" for none.
func (s State) lostAt() SlotStatus {
	var at SlotStatus
	for _, slot := range s.Slots {
		if slot.Lost == "" || slot.Status == SlotCancelled {
			continue
		}
		if at = slot.Lost; at == SlotInProgress {
			break
		}
	}
	return at
}

// Hold finds a hold by its id; nil: there is none (any more).
func (s State) Hold(id string) *Hold {
	for i := range s.Holds {
		if s.Holds[i].ID == id {
			return &s.Holds[i]
		}
	}
	return nil
}

// HoldOf finds a transporter's active hold on a kind of truck; nil: he has none.
func (s State) HoldOf(transporter fleet.UserID, kind, subtype string) *Hold {
	key := fleet.Key(kind, subtype)
	for i := range s.Holds {
		if h := &s.Holds[i]; h.Status == HoldActive && h.TransporterID == transporter && h.Key == key {
			return h
		}
	}
	return nil
}

// OfferedTo finds what the order remembers of a transporter; nil: he was never shown it.
func (s State) OfferedTo(transporter fleet.UserID) *Offered {
	for i := range s.Offered {
		if s.Offered[i].TransporterID == transporter {
			return &s.Offered[i]
		}
	}
	return nil
}

// OfferID is the id of an order's offer to a transporter: the same whenever it is computed.
func OfferID(orderID string, transporter fleet.UserID) string {
	return stableID("offer/" + orderID + "/" + string(transporter))
}

// holdTimer names the timer of a hold.
func holdTimer(holdID string) string { return HoldTimerPrefix + holdID }

// heldBy gives the hold of a timer's name.
func heldBy(timer string) (holdID string, ok bool) { return strings.CutPrefix(timer, HoldTimerPrefix) }
