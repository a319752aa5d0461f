package order

import (
	"slices"

	"weelo/internal/fault"
)

// Status is where an order stands. The values are stored and are the contract's names.
type Status string

// The statuses in the order of an order's life.
const (
	Created         Status = "created"      // scheduled: its search has not opened yet
	Broadcasting    Status = "broadcasting" // searching, and nobody was found to show it to yet
	Active          Status = "active"       // shown to transporters; no driver has accepted
	PartiallyFilled Status = "partially_filled"
	FullyFilled     Status = "fully_filled"
	InProgress      Status = "in_progress" // a truck has left with the goods
	Completed       Status = "completed"
	Cancelled       Status = "cancelled"
	Expired         Status = "expired" // no truck was found, or none that found it stayed
)

// Statuses lists every status in the order of an order's life.
func Statuses() []Status {
	return []Status{Created, Broadcasting, Active, PartiallyFilled, FullyFilled, InProgress, Completed, Cancelled, Expired}
}

// edges is the law of an order's life. Letters of trips may come out of order, so that a later status
// is reachable from every earlier one in which trips exist. docs/state-machines.md is generated from it.
var edges = map[Status][]Status{
	Created:         {Broadcasting, Active, Cancelled, Expired},
	Broadcasting:    {Active, Cancelled, Expired},
	Active:          {PartiallyFilled, FullyFilled, InProgress, Completed, Cancelled, Expired},
	PartiallyFilled: {Active, FullyFilled, InProgress, Completed, Cancelled, Expired},
	FullyFilled:     {Active, PartiallyFilled, InProgress, Completed, Cancelled, Expired},
	InProgress:      {Completed, Cancelled, Expired},
	Completed:       nil,
	Cancelled:       nil,
	Expired:         nil,
}

// Next lists the statuses that may follow s.
func (s Status) Next() []Status { return slices.Clone(edges[s]) }

// CanBecome tells whether the table has an edge from s to next.
func (s Status) CanBecome(next Status) bool { return slices.Contains(edges[s], next) }

// Terminal tells whether nothing can follow s.
func (s Status) Terminal() bool { return len(edges[s]) == 0 }

// ParseFilter reads a status as a list filter. Anything else is a VALIDATION_ERROR.
func ParseFilter(name string) (Status, error) {
	if s := Status(name); slices.Contains(Statuses(), s) {
		return s, nil
	}
	return "", fault.Invalid("status", "There is no such status.")
}

// SlotStatus is where one slot (a "truck request" of the API) stands.
type SlotStatus string

// The statuses of a slot in the order of its life.
const (
	SlotSearching  SlotStatus = "searching"
	SlotHeld       SlotStatus = "held"     // reserved by a transporter for a while
	SlotAssigned   SlotStatus = "assigned" // its trip waits for the driver's answer
	SlotAccepted   SlotStatus = "accepted" // filled
	SlotInProgress SlotStatus = "in_progress"
	SlotCompleted  SlotStatus = "completed"
	SlotPartial    SlotStatus = "partial" // a partial delivery
	SlotCancelled  SlotStatus = "cancelled"
	SlotExpired    SlotStatus = "expired"
)

// SlotStatuses lists every status in the order of a slot's life.
func SlotStatuses() []SlotStatus {
	return []SlotStatus{SlotSearching, SlotHeld, SlotAssigned, SlotAccepted, SlotInProgress, SlotCompleted, SlotPartial, SlotCancelled, SlotExpired}
}

// slotEdges is the law of a slot's life. An expired slot of an order that lives on may be searched
// for again, when its customer asks for it.
var slotEdges = map[SlotStatus][]SlotStatus{
	SlotSearching:  {SlotHeld, SlotCancelled, SlotExpired},
	SlotHeld:       {SlotSearching, SlotAssigned, SlotCancelled, SlotExpired},
	SlotAssigned:   {SlotSearching, SlotAccepted, SlotInProgress, SlotCompleted, SlotPartial, SlotCancelled, SlotExpired},
	SlotAccepted:   {SlotSearching, SlotInProgress, SlotCompleted, SlotPartial, SlotCancelled, SlotExpired},
	SlotInProgress: {SlotSearching, SlotCompleted, SlotPartial, SlotCancelled, SlotExpired},
	SlotCompleted:  nil,
	SlotPartial:    nil,
	SlotCancelled:  nil,
	SlotExpired:    {SlotSearching},
}

// Next lists the statuses that may follow s.
func (s SlotStatus) Next() []SlotStatus { return slices.Clone(slotEdges[s]) }

// CanBecome tells whether the table has an edge from s to next.
func (s SlotStatus) CanBecome(next SlotStatus) bool { return slices.Contains(slotEdges[s], next) }

// Settled tells whether the slot waits for nothing any more.
func (s SlotStatus) Settled() bool {
	return s == SlotCompleted || s == SlotPartial || s == SlotCancelled || s == SlotExpired
}

// Filled tells whether a driver has accepted and the truck was not given back since.
func (s SlotStatus) Filled() bool {
	return s == SlotAccepted || s == SlotInProgress || s == SlotCompleted || s == SlotPartial
}

// OnTrip tells whether the slot's trip is live.
func (s SlotStatus) OnTrip() bool {
	return s == SlotAssigned || s == SlotAccepted || s == SlotInProgress
}

// Open tells whether the slot needs a truck: somebody may still win it.
func (s SlotStatus) Open() bool { return s == SlotSearching || s == SlotHeld }

// Dispatch is how far the broadcast of an order is.
type Dispatch string

// The states of a broadcast.
const (
	Queued         Dispatch = "queued"
	Dispatching    Dispatch = "dispatching"
	Dispatched     Dispatch = "dispatched"
	DispatchFailed Dispatch = "dispatch_failed"
)

// Why an order's search has not (fully) succeeded. The apps show a text for each.
const (
	ReasonNoneOnline  = "NO_ONLINE_TRANSPORTERS"
	ReasonNoAcceptant = "NO_TRANSPORTER_ACCEPTANCE"
	ReasonPartialFill = "PARTIAL_FILL_TIMEOUT"
	ReasonTruckLost   = "TRUCK_LOST"         // an accepted truck broke down or was taken back, and no other has come
	ReasonTooLate     = "PICKUP_TIME_PASSED" // a scheduled order could not begin to search in time
)

// Why an offer was closed.
const (
	ClosedTimeout   = "timeout"
	ClosedCancelled = "customer_cancelled"
	ClosedFull      = "fully_filled"
)
