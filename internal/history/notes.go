package history

import "sync"

// notes is the bounded buffer of native fixes between two flushes. Full means the oldest goes: the
// newest position says more about a truck than one from a minute ago.
type notes struct {
	mu   sync.Mutex
	ring []Row
	next int // index of the oldest once the ring is full
	max  int
}

func newNotes(max int) *notes { return &notes{max: max} }

// add tells whether an older row had to go.
func (n *notes) add(row Row) (dropped bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addLocked(row)
}

func (n *notes) addLocked(row Row) (dropped bool) {
	if len(n.ring) < n.max {
		n.ring = append(n.ring, row)
		return false
	}
	n.ring[n.next] = row
	n.next = (n.next + 1) % n.max
	return true
}

// take empties the buffer, oldest first.
func (n *notes) take() []Row {
	n.mu.Lock()
	defer n.mu.Unlock()
	rows := append(append(make([]Row, 0, len(n.ring)), n.ring[n.next:]...), n.ring[:n.next]...)
	n.ring, n.next = n.ring[:0], 0
	return rows
}

// giveBack puts taken rows before what came meanwhile and says how many had to go.
func (n *notes) giveBack(rows []Row) (dropped int) {
	newer := n.take()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, row := range append(rows[:len(rows):len(rows)], newer...) {
		if n.addLocked(row) {
			dropped++
		}
	}
	return dropped
}
