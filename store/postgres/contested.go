package postgres

import (
	"encoding/json"
	"hash/fnv"
	"slices"

	"weelo/internal/ledger"
)

// contested gives, as sorted numbers, the values over which the births among ts may meet others in a
// unique index. Whoever gives birth locks them first, in this order: two transactions of several births
// each would otherwise wait for each other, each for a driver or a vehicle that the other has.
func contested(ts []ledger.Transition) []int64 {
	var keys []int64
	for i := range ts {
		t := &ts[i]
		if t.Version != 0 {
			continue
		}
		var s struct {
			Live, Searching                          bool
			DriverID, VehicleID, OrderID, CustomerID string
			Slot                                     json.RawMessage
		}
		if json.Unmarshal(t.State, &s) != nil {
			continue // the birth itself is refused, or meets nobody
		}
		if t.Ref.Kind == ledger.Trip && s.Live {
			keys = append(keys, numberOf("driver", s.DriverID), numberOf("vehicle", s.VehicleID), numberOf("slot", s.OrderID, string(s.Slot)))
		}
		if t.Ref.Kind == ledger.Order && s.Searching {
			keys = append(keys, numberOf("customer", s.CustomerID))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// numberOf makes a lock's number of a name. Two names of one number wait for each other, no more.
func numberOf(name ...string) int64 {
	h := fnv.New64a()
	for _, part := range name {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0})
	}
	return int64(h.Sum64()) //nolint:gosec // the same 64 bits, for a lock
}
