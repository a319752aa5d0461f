package history

import (
	"sync"

	"weelo/internal/fleet"
	"weelo/internal/track"
)

// note is one native fix and whose it is.
type note struct {
	from fleet.Member
	fix  track.Fix
}

// notes is the bounded buffer of native fixes between two flushes. Full means the oldest goes: the
// newest position says more about a truck than one from a minute ago.
type notes struct {
	mu   sync.Mutex
	ring []note
	next int // index of the oldest once the ring is full
	max  int
}

func newNotes(max int) *notes { return &notes{max: max} }

// add tells whether an older one had to go.
func (n *notes) add(one note) (dropped bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addLocked(one)
}

func (n *notes) addLocked(one note) (dropped bool) {
	if len(n.ring) < n.max {
		n.ring = append(n.ring, one)
		return false
	}
	n.ring[n.next] = one
	n.next = (n.next + 1) % n.max
	return true
}

// take empties the buffer, oldest first.
func (n *notes) take() []note {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := append(append(make([]note, 0, len(n.ring)), n.ring[n.next:]...), n.ring[:n.next]...)
	n.ring, n.next = n.ring[:0], 0
	return list
}

// giveBack puts taken notes before what came meanwhile and says how many had to go.
func (n *notes) giveBack(list []note) (dropped int) {
	newer := n.take()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range append(list[:len(list):len(list)], newer...) {
		if n.addLocked(one) {
			dropped++
		}
	}
	return dropped
}
