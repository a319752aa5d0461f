package actors

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/geo"
)

const (
	// maxSearching bounds the searching orders that one task remembers for people who come online. Of
	// an order beyond them a late-comer hears with its next wave.
	maxSearching = 20_000
	// maxLate bounds the orders that one arrival is offered at once, the nearest first.
	maxLate = 20
)

// Searching are the orders of this task that search at this moment, by kind of vehicle: whoever comes
// online during a search is offered what is open. It is a cache of what the orders' actors said last,
// and they decide: a wrong or late entry costs a question.
type Searching struct {
	mu     sync.RWMutex
	orders map[string]search
	byKey  map[string]map[string]search
}

// search is what a searching order looks for.
type search struct {
	order    string
	keys     []string // kinds of vehicle with open slots
	at       geo.Point
	radiusKM float64 // of its newest wave
}

// NewSearching makes an empty register.
func NewSearching() *Searching {
	return &Searching{orders: map[string]search{}, byKey: map[string]map[string]search{}}
}

// put says what an order looks for now.
func (s *Searching) put(what search) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(what.order)
	if len(s.orders) >= maxSearching || len(what.keys) == 0 {
		return
	}
	s.orders[what.order] = what
	for _, key := range what.keys {
		if s.byKey[key] == nil {
			s.byKey[key] = map[string]search{}
		}
		s.byKey[key][what.order] = what
	}
}

// drop says that an order searches no more, here.
func (s *Searching) drop(order string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(order)
}

func (s *Searching) dropLocked(order string) {
	for _, key := range s.orders[order].keys {
		delete(s.byKey[key], order)
		if len(s.byKey[key]) == 0 {
			delete(s.byKey, key)
		}
	}
	delete(s.orders, order)
}

// Len is how many orders search on this task, as far as it remembers.
func (s *Searching) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.orders)
}

// around gives the orders that a transporter with these kinds of vehicles at a place could serve,
// nearest first.
func (s *Searching) around(at geo.Point, keys []string) []string {
	type near struct {
		order  string
		metres float64
	}
	var found []near
	seen := map[string]bool{}
	s.mu.RLock()
	for _, key := range keys {
		for id, o := range s.byKey[key] {
			if m := geo.Distance(at, o.at); !seen[id] && m <= o.radiusKM*1000 {
				seen[id] = true
				found = append(found, near{id, m})
			}
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(found, func(a, b near) int { return cmp.Or(cmp.Compare(a.metres, b.metres), cmp.Compare(a.order, b.order)) })
	orders := make([]string, 0, min(len(found), maxLate))
	for _, n := range found[:min(len(found), maxLate)] {
		orders = append(orders, n.order)
	}
	return orders
}

// CameOnline tells the orders around a transporter of him. It does not wait for them.
func (s *Searching) CameOnline(ctx context.Context, r Router, id fleet.UserID, at geo.Point, keys []string) {
	for _, order := range s.around(at, keys) {
		_ = r.Tell(ctx, protocol.OrderAddress(order), protocol.LateComer{Transporter: id})
	}
}
