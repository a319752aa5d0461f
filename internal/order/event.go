package order

import "weelo/internal/fleet"

// Happening names what an Event says.
type Happening string

// What can happen to an order.
const (
	WasCreated     Happening = "created"
	SearchOpened   Happening = "search_opened"   // of a scheduled order, again, or for one Slot whose truck was lost
	WaveSent       Happening = "wave"            // a look around and whom it was offered to
	LateOffered    Happening = "late_offer"      // somebody came online
	Exhausted      Happening = "waves_exhausted" // no wider wave is left
	WasHeld        Happening = "held"
	HoldProlonged  Happening = "hold_extended"
	HoldEnded      Happening = "hold_ended" // released, expired
	WasConfirmed   Happening = "confirmed"  // trips are born
	OfferDeclined  Happening = "offer_declined"
	SlotFilled     Happening = "slot_filled"   // the driver accepted
	SlotReopened   Happening = "slot_reopened" // its trip came to nothing and the window is open
	SlotStarted    Happening = "slot_started"
	SlotEnded      Happening = "slot_ended" // completed, partial, cancelled, expired
	Reoffered      Happening = "reoffered"  // trucks became free again: who was offered it sees it anew
	LookedAgain    Happening = "look_again" // … and whoever came while there were none is looked for
	SearchClosed   Happening = "search_closed"
	DecisionAsked  Happening = "decision_asked"  // a truck was lost and no other found: the customer is waited for
	DecisionMissed Happening = "decision_missed" // … and has not decided
	FilledUp       Happening = "filled_up"       // every truck is there: nobody is asked any more
	StatusChanged  Happening = "status"
	WasCancelled   Happening = "cancelled"
	DisputeRaised  Happening = "dispute_raised"
	DisputeHanded  Happening = "dispute_handed_over"
	DisputeDecided Happening = "dispute_resolved" // by ops; may follow the end of the order
	NoticeIgnored  Happening = "notice_ignored"
)

// Event is one thing that happened to an order. Which fields count follows from What.
type Event struct {
	What   Happening `json:"what"`
	AtMS   int64     `json:"at"`
	Birth  *State    `json:"birth,omitempty"`  // WasCreated
	To     Status    `json:"to,omitempty"`     // StatusChanged
	By     string    `json:"by,omitempty"`     // customer, transporter, driver, ops, timer, trips
	Reason string    `json:"reason,omitempty"` // for people, or a reason code

	User fleet.UserID `json:"user,omitempty"` // the transporter it is about
	Hold *Hold        `json:"hold,omitempty"` // WasHeld, HoldProlonged, HoldEnded: the hold afterwards
	// WasHeld, HoldProlonged: whether it could be given (more) time by the rules of then, and how often in all.
	CanExtend     bool `json:"canExtend,omitempty"`
	MaxExtensions int  `json:"maxExtensions,omitempty"`

	Won    []Win      `json:"won,omitempty"`    // WasConfirmed
	Slot   string     `json:"slot,omitempty"`   // Slot…: its id; SearchOpened: the only one it is for
	Trip   string     `json:"trip,omitempty"`   // Slot…, NoticeIgnored
	SlotTo SlotStatus `json:"slotTo,omitempty"` // SlotEnded

	Wave      int               `json:"wave,omitempty"` // WaveSent
	RadiusKM  float64           `json:"radiusKm,omitempty"`
	Table     []fleet.Candidate `json:"table,omitempty"`   // WaveSent, LateOffered
	Offered   []Offered         `json:"offered,omitempty"` // new ones, and those whose offer changed
	NextMS    int64             `json:"next,omitempty"`    // WaveSent, LookedAgain: when the next wave is due; 0: none is left
	ExpiresMS int64             `json:"expires,omitempty"` // SearchOpened, SlotFilled: the search's new end; 0: as it was. DecisionAsked: of the wait

	Cancellation *Cancellation `json:"cancellation,omitempty"` // WasCancelled
	Dispute      *Dispute      `json:"dispute,omitempty"`      // Dispute…: it afterwards
	Timers       []TimerSet    `json:"timers,omitempty"`       // of the last event of a decision: what it arms and cancels
}

// Win is one slot of a confirmation: the trip that was born for it.
type Win struct {
	SlotID        string          `json:"slotId"`
	TripID        string          `json:"tripId"`
	Transporter   string          `json:"transporterName,omitempty"`
	VehicleID     fleet.VehicleID `json:"vehicleId"`
	VehicleNumber string          `json:"vehicleNumber"`
	DriverID      fleet.UserID    `json:"driverId"`
	DriverName    string          `json:"driverName"`
	DriverPhone   string          `json:"driverPhone"`
}

// TimerSet arms a timer under a new number, or cancels it with DueMS 0.
type TimerSet struct {
	Name   string `json:"name"`
	Number int64  `json:"number"`
	DueMS  int64  `json:"due"`
}

// The timers of an order.
const (
	OpenTimer    = "open"    // a scheduled order begins to search
	WaveTimer    = "wave"    // the next wave
	SearchTimer  = "search"  // the end of the search
	DecideTimer  = "decide"  // the end of the wait for a customer whose truck was lost
	DisputeTimer = "dispute" // an undecided dispute goes to people
	// HoldTimerPrefix and the hold's id name the timer of a hold.
	HoldTimerPrefix = "hold:"
)
