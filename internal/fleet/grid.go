package fleet

import (
	"math"
	"slices"
	"sync"
	"time"

	"weelo/internal/geo"
)

const (
	// cellDeg is the side of a cell in degrees: 5.5 km of latitude, so that the first wave of 5 km
	// looks into nine cells.
	cellDeg = 0.05
	// cellsAround is how many cells one parallel has.
	cellsAround = 7200
	// ringLat and ringKM bound where rings of cells are walked. Beyond them, where meridians meet or a
	// radius spans a country, everybody of the kind is looked at.
	ringLat = 85
	ringKM  = 300
)

// Grid is the Locator of one task: for each kind of vehicle, the transporters by cell.
//
// Invariants:
//   - A transporter is in the cells of all his kinds or of none, at one position.
//   - His position never goes back in time, and after Remove nothing older brings him back: a report
//     that was on its way when he went offline changes nothing.
//   - A position older than the life given to NewGrid is never answered, expired or not.
//
// It is safe for concurrent use. Nothing is allocated for a report from the same cell.
type Grid struct {
	lifeMS int64

	mu     sync.RWMutex
	marks  map[UserID]*mark
	layers map[string]layer
	gone   map[UserID]int64 // when people were removed, ms; forgotten after a life
}

var _ Locator = (*Grid)(nil)

// layer is one kind of vehicle.
type layer map[cell][]*mark

// cell is a square of cellDeg, counted from the equator and from Greenwich.
type cell struct{ lat, lng int32 }

// mark is one transporter on the grid.
type mark struct {
	id   UserID
	at   geo.Point
	unit vector
	cell cell
	keys []string // sorted, distinct
	atMS int64
}

// vector is a point on the unit sphere. The square of a chord orders distances as well as the arc
// does, for three multiplications.
type vector struct{ x, y, z float64 }

func vectorOf(p geo.Point) vector {
	lat, lng := p.Lat*math.Pi/180, p.Lng*math.Pi/180
	return vector{math.Cos(lat) * math.Cos(lng), math.Cos(lat) * math.Sin(lng), math.Sin(lat)}
}

func (v vector) chord2(w vector) float64 {
	dx, dy, dz := v.x-w.x, v.y-w.y, v.z-w.z
	return dx*dx + dy*dy + dz*dz
}

// chord2Of is the squared chord under an arc on the ground, metres.
func chord2Of(metres float64) float64 {
	half := math.Sin(min(metres/geo.EarthRadiusM, math.Pi) / 2)
	return 4 * half * half
}

func cellOf(p geo.Point) cell {
	return cell{int32(math.Floor(p.Lat / cellDeg)), wrap(int32(math.Floor(p.Lng / cellDeg)))}
}

// wrap brings a column into [0, cellsAround), so that both sides of the date line meet.
func wrap(column int32) int32 { return ((column % cellsAround) + cellsAround) % cellsAround }

// NewGrid makes an empty one. life is how long a position counts.
func NewGrid(life time.Duration) *Grid {
	return &Grid{lifeMS: life.Milliseconds(), marks: map[UserID]*mark{}, layers: map[string]layer{}, gone: map[UserID]int64{}}
}

// Put says where a transporter was at atMS (Unix ms) and which kinds of vehicles he has. It is false,
// and nothing changed, when a newer position is known, when he was removed since, or when the point
// is none. Without kinds he is nowhere, and it is false too.
func (g *Grid) Put(id UserID, at geo.Point, keys []string, atMS int64) bool {
	if !at.Valid() {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if left, ok := g.gone[id]; ok {
		if atMS <= left {
			return false
		}
		delete(g.gone, id)
	}
	m := g.marks[id]
	if m != nil && atMS < m.atMS {
		return false
	}
	if len(keys) == 0 {
		if m != nil {
			g.lift(m)
			delete(g.marks, id)
		}
		return false
	}
	to := cellOf(at)
	switch {
	case m == nil:
		m = &mark{id: id}
		g.marks[id] = m
	case m.cell == to && sameKeys(m.keys, keys):
		m.at, m.unit, m.atMS = at, vectorOf(at), atMS
		return true
	default:
		g.lift(m)
	}
	if !sameKeys(m.keys, keys) {
		m.keys = distinct(keys)
	}
	m.at, m.unit, m.cell, m.atMS = at, vectorOf(at), to, atMS
	g.drop(m)
	return true
}

// SetKeys changes the kinds of a transporter who is on the grid, where he stands; false when he is
// not. Without kinds he leaves it, and may come back at once.
func (g *Grid) SetKeys(id UserID, keys []string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.marks[id]
	switch {
	case m == nil:
		return false
	case sameKeys(m.keys, keys):
		return true
	}
	g.lift(m)
	if len(keys) == 0 {
		delete(g.marks, id)
		return true
	}
	m.keys = distinct(keys)
	g.drop(m)
	return true
}

// Remove takes a transporter off at atMS (Unix ms). Positions up to then do not bring him back.
func (g *Grid) Remove(id UserID, atMS int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone[id] = max(atMS, g.gone[id])
	if m := g.marks[id]; m != nil {
		g.lift(m)
		delete(g.marks, id)
	}
}

// Expire forgets positions and departures that are older than the life, and says how many positions.
func (g *Grid) Expire(now time.Time) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	oldest := now.UnixMilli() - g.lifeMS
	n := 0
	for id, m := range g.marks {
		if m.atMS <= oldest {
			g.lift(m)
			delete(g.marks, id)
			n++
		}
	}
	for id, left := range g.gone {
		if left <= oldest {
			delete(g.gone, id)
		}
	}
	return n
}

// Len is how many transporters are on the grid, the expired included.
func (g *Grid) Len() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.marks)
}

// Where gives the position of one transporter and his kinds; false when he is not on the grid or it
// is too old.
func (g *Grid) Where(id UserID, now time.Time) (at geo.Point, keys []string, known bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	m := g.marks[id]
	if m == nil || m.atMS <= now.UnixMilli()-g.lifeMS {
		return geo.Point{}, nil, false
	}
	return m.at, slices.Clone(m.keys), true
}

// drop puts a mark into its cells, lift takes it out of them.
func (g *Grid) drop(m *mark) {
	for _, key := range m.keys {
		l := g.layers[key]
		if l == nil {
			l = layer{}
			g.layers[key] = l
		}
		l[m.cell] = append(l[m.cell], m)
	}
}

func (g *Grid) lift(m *mark) {
	for _, key := range m.keys {
		l := g.layers[key]
		marks := l[m.cell]
		i := slices.Index(marks, m)
		last := len(marks) - 1
		marks[i], marks[last] = marks[last], nil
		if last == 0 {
			delete(l, m.cell)
		} else {
			l[m.cell] = marks[:last]
		}
		if len(l) == 0 {
			delete(g.layers, key)
		}
	}
}

// sameKeys compares m's kinds with keys as they were given, without allocating in the usual case.
func sameKeys(known, keys []string) bool {
	if slices.Equal(known, keys) {
		return true
	}
	return slices.Equal(known, distinct(keys))
}

func distinct(keys []string) []string {
	sorted := slices.Clone(keys)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}
