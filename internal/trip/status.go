package trip

import (
	"slices"

	"weelo/internal/fault"
)

// Status is where a trip stands. The values are stored and are the contract's names, but for
// EnRoutePickup, which the apps call heading_to_pickup (Status.App).
type Status string

// The statuses in the order of a trip's life.
const (
	Pending         Status = "pending"
	DriverAccepted  Status = "driver_accepted"
	EnRoutePickup   Status = "en_route_pickup"
	AtPickup        Status = "at_pickup"
	LoadingComplete Status = "loading_complete"
	InTransit       Status = "in_transit"
	ArrivedAtDrop   Status = "arrived_at_drop"
	Completed       Status = "completed"
	PartialDelivery Status = "partial_delivery"
	DriverDeclined  Status = "driver_declined" // also a timed-out acceptance, with reason timeout
	Cancelled       Status = "cancelled"
)

// Statuses lists every status in the order of a trip's life.
func Statuses() []Status {
	return []Status{Pending, DriverAccepted, EnRoutePickup, AtPickup, LoadingComplete, InTransit,
		ArrivedAtDrop, Completed, PartialDelivery, DriverDeclined, Cancelled}
}

// edges is the law of a trip's life. The apps skip steps (the Captain app never reports
// heading_to_pickup or arrived_at_drop), so every later step is reachable from every earlier one;
// none leads back. docs/state-machines.md is generated from it.
var edges = map[Status][]Status{
	Pending:         {DriverAccepted, DriverDeclined, Cancelled},
	DriverAccepted:  {EnRoutePickup, AtPickup, LoadingComplete, InTransit, ArrivedAtDrop, Completed, Cancelled},
	EnRoutePickup:   {AtPickup, LoadingComplete, InTransit, ArrivedAtDrop, Completed, Cancelled},
	AtPickup:        {LoadingComplete, InTransit, ArrivedAtDrop, Completed, Cancelled},
	LoadingComplete: {InTransit, ArrivedAtDrop, Completed, Cancelled},
	InTransit:       {ArrivedAtDrop, Completed, PartialDelivery, Cancelled},
	ArrivedAtDrop:   {Completed, PartialDelivery, Cancelled},
	Completed:       nil,
	PartialDelivery: nil,
	DriverDeclined:  nil,
	Cancelled:       nil,
}

// Next lists the statuses that may follow s.
func (s Status) Next() []Status { return slices.Clone(edges[s]) }

// CanBecome tells whether the table has an edge from s to next.
func (s Status) CanBecome(next Status) bool { return slices.Contains(edges[s], next) }

// Terminal tells whether nothing can follow s.
func (s Status) Terminal() bool { return len(edges[s]) == 0 }

// Moving tells whether the driver has accepted and the trip has not ended.
func (s Status) Moving() bool { return s != Pending && !s.Terminal() }

// Carrying tells whether the goods are on the truck and on their way.
func (s Status) Carrying() bool { return s == InTransit || s == ArrivedAtDrop }

// App is the name the apps know the status by.
func (s Status) App() string {
	if s == EnRoutePickup {
		return "heading_to_pickup"
	}
	return string(s)
}

// ParseStep reads a status a driver may report, by its name in the apps. Anything else is a
// VALIDATION_ERROR.
func ParseStep(name string) (Status, error) {
	switch s := Status(name); s {
	case "heading_to_pickup", EnRoutePickup:
		return EnRoutePickup, nil
	case AtPickup, LoadingComplete, InTransit, ArrivedAtDrop, Completed, PartialDelivery:
		return s, nil
	default:
		return "", fault.Invalid("status", "Status must be one of heading_to_pickup, at_pickup, loading_complete, in_transit, arrived_at_drop, completed or partial_delivery.")
	}
}

// ParseFilter reads a status as a list filter: any status, by its stored or app name.
func ParseFilter(name string) (Status, error) {
	if name == "heading_to_pickup" {
		return EnRoutePickup, nil
	}
	if s := Status(name); slices.Contains(Statuses(), s) {
		return s, nil
	}
	return "", fault.Invalid("status", "There is no such status.")
}
