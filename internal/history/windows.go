package history

import (
	"context"
	"fmt"
	"math"
	"time"
)

// openFor is how long the window of a living trip is believed. It may be, because a trip takes fixes
// until 10 min after its end: what was seen alive openFor ago takes every fix of today's clock, even
// if it has ended meanwhile. For an ask without a trip it also bounds for how long the fixes of a
// driver's next trip are counted for the one before; they are stored all the same.
const openFor = 30 * time.Second

// memory remembers windows, so that the batches of a drive do not ask for the same row again and
// again. What may change into "yes" is never remembered: that a driver has no such trip, and, for an
// ask without a trip, one that has ended (he may have accepted another since).
//
// Used by one goroutine.
type memory struct {
	source Windows
	known  *generations[Ask, remembered]
}

type remembered struct {
	window Window
	until  time.Time // zero: for good
}

func newMemory(source Windows, drivers int) *memory {
	return &memory{source: source, known: newGenerations[Ask, remembered](drivers)}
}

// windows answers at the same index, with at most one question to the source.
func (m *memory) windows(ctx context.Context, asks []Ask, now time.Time) ([]Window, error) {
	ws := make([]Window, len(asks))
	var unknown []Ask
	var places []int
	for i, ask := range asks {
		k, ok := m.known.get(ask)
		if ok && (k.until.IsZero() || now.Before(k.until)) {
			ws[i] = k.window
			continue
		}
		unknown, places = append(unknown, ask), append(places, i)
	}
	if len(unknown) == 0 {
		return ws, nil
	}
	found, err := m.source.Windows(ctx, unknown)
	if err != nil {
		return nil, fmt.Errorf("trip windows: %w", err)
	}
	for i, w := range found {
		ws[places[i]] = w
		switch {
		case w.TripID == "":
		case w.To == math.MaxInt64:
			m.known.put(unknown[i], remembered{w, now.Add(openFor)})
		case unknown[i].TripID != "": // a trip that has ended stays as it is
			m.known.put(unknown[i], remembered{window: w})
		}
	}
	return ws, nil
}

// generations remembers something of each driver seen lately: two maps, the older one thrown away
// whenever the newer is full. It holds between max and 2 × max.
type generations[K comparable, V any] struct {
	max          int
	newer, older map[K]V
}

func newGenerations[K comparable, V any](max int) *generations[K, V] {
	return &generations[K, V]{max: max, newer: map[K]V{}}
}

func (g *generations[K, V]) get(key K) (V, bool) {
	if v, ok := g.newer[key]; ok {
		return v, true
	}
	v, ok := g.older[key]
	return v, ok
}

func (g *generations[K, V]) put(key K, v V) {
	if _, known := g.newer[key]; !known && len(g.newer) >= g.max {
		g.newer, g.older = make(map[K]V, g.max), g.newer
	}
	g.newer[key] = v
}
