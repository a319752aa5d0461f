package audit

import (
	"slices"
	"strings"

	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// CheckHistory judges what is true of every aggregate: a dense history, epochs that never go back, a
// legal path of statuses with one end, and a snapshot that follows from it.
func CheckHistory(a Aggregate) []Breach {
	f := &finder{ref: a.Ref}
	var version, epoch int64
	ordinal := -1
	var path []string
	for _, l := range a.History {
		switch {
		case l.Version == version && l.Ordinal == ordinal+1:
			ordinal++
		case l.Version == version+1 && l.Ordinal == 0:
			version, ordinal = l.Version, 0
		default:
			f.say(4, "event %d.%d follows %d.%d", l.Version, l.Ordinal, version, ordinal)
			version, ordinal = l.Version, l.Ordinal
		}
		if l.Epoch < epoch {
			f.say(6, "event %d has epoch %d after %d", l.Version, l.Epoch, epoch)
		}
		epoch = max(epoch, l.Epoch)
		if l.Status != "" && (len(path) == 0 || path[len(path)-1] != l.Status) {
			path = append(path, l.Status)
		}
	}
	if version != a.Version {
		f.say(4, "the row is at version %d, its history at %d", a.Version, version)
	}
	if epoch > a.Epoch {
		f.say(6, "the row is at epoch %d, its history at %d", a.Epoch, epoch)
	}
	f.path(path)
	return f.found
}

// path judges the statuses that people were told, in their order.
func (f *finder) path(told []string) {
	ends := 0
	for i, s := range told {
		if f.terminal(s) {
			ends++
		}
		if i > 0 && !f.edge(told[i-1], s) {
			f.say(7, "%s follows %s", s, told[i-1])
		}
	}
	if ends > 1 {
		f.say(16, "%d ends: %s", ends, strings.Join(told, ", "))
	}
}

func (f *finder) terminal(status string) bool {
	if f.ref.Kind == ledger.Order {
		return order.Status(status).Terminal()
	}
	return tripStatus(status).Terminal()
}

// edge tells whether one status may come after another, directly or over ones that nobody was told.
func (f *finder) edge(from, to string) bool {
	if f.ref.Kind == ledger.Order {
		return leads(order.Status(from), order.Status(to), order.Status.Next)
	}
	return leads(tripStatus(from), tripStatus(to), trip.Status.Next)
}

func leads[S comparable](from, to S, next func(S) []S) bool {
	seen := []S{from}
	for i := 0; i < len(seen); i++ {
		for _, n := range next(seen[i]) {
			if n == to {
				return true
			}
			if !slices.Contains(seen, n) {
				seen = append(seen, n)
			}
		}
	}
	return false
}

// tripStatus reads a status by its stored name or the apps'.
func tripStatus(name string) trip.Status {
	switch name {
	case "heading_to_pickup":
		return trip.EnRoutePickup
	case "expired": // what the apps call a timed-out acceptance
		return trip.DriverDeclined
	}
	return trip.Status(name)
}
