package history

import (
	"sync"

	"weelo/internal/fleet"
	"weelo/internal/track"
)

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

// generations remembers the live filter of drivers seen lately: two maps, the older one thrown away
// whenever the newer is full. It holds between max and 2 × max drivers. A forgotten driver only loses
// the comparison of his next fix with his last.
type generations struct {
	max          int
	newer, older map[fleet.UserID]track.Live
}

func newGenerations(max int) *generations {
	return &generations{max: max, newer: map[fleet.UserID]track.Live{}}
}

func (g *generations) get(driver fleet.UserID) track.Live {
	if l, ok := g.newer[driver]; ok {
		return l
	}
	return g.older[driver]
}

func (g *generations) put(driver fleet.UserID, l track.Live) {
	if _, known := g.newer[driver]; !known && len(g.newer) >= g.max {
		g.newer, g.older = make(map[fleet.UserID]track.Live, g.max), g.newer
	}
	g.newer[driver] = l
}

// merge remembers the filters as a committed group left them.
func (g *generations) merge(judged []*batch) {
	for _, b := range judged {
		g.put(b.job.driver, b.live)
	}
}
