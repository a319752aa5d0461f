// Package panics decides when something that keeps breaking has broken too often to go on.
//
// Invariants: it is pure, and takes time as a value; its memory is bounded, whoever breaks and however often.
package panics

import "time"

// Memory remembers when each of many last broke. It is not safe for use by several goroutines at once.
// What it forgets for want of room is forgiven: it may break Most times more.
type Memory[K comparable] struct {
	Most   int           // panics within Window that are too many; at least 1
	Window time.Duration // more than 0
	Keep   int           // how many are remembered; at least 1

	of map[K][]time.Time // at most Most panics each, all of the window that ended with the last of them
}

// Add counts a panic and says whether it was one too many: the Most-th within Window. Who is out begins
// anew when he is let in again.
func (m *Memory[K]) Add(who K, now time.Time) (out bool) {
	if m.of == nil {
		m.of = make(map[K][]time.Time)
	}
	times := append(m.within(m.of[who], now), now)
	if len(times) >= m.Most {
		delete(m.of, who)
		return true
	}
	m.of[who] = times
	if len(m.of) > m.Keep {
		m.forget(now)
	}
	return false
}

// Len is how many are remembered.
func (m *Memory[K]) Len() int { return len(m.of) }

// within drops what was before the window that ends now.
func (m *Memory[K]) within(times []time.Time, now time.Time) []time.Time {
	kept := times[:0]
	for _, t := range times {
		if now.Sub(t) < m.Window {
			kept = append(kept, t)
		}
	}
	return kept
}

// forget drops whoever did not break within the window and, when that is nobody, who broke last the
// longest ago.
func (m *Memory[K]) forget(now time.Time) {
	var oldest K
	var at time.Time
	for who, times := range m.of {
		last := times[len(times)-1]
		if now.Sub(last) >= m.Window {
			delete(m.of, who)
		} else if at.IsZero() || last.Before(at) {
			oldest, at = who, last
		}
	}
	if len(m.of) > m.Keep {
		delete(m.of, oldest)
	}
}
