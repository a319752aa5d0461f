package fleet

import (
	"slices"
	"sync"
	"time"

	"weelo/internal/geo"
)

// expireStep is how many transporters Expire looks at before it lets others go on.
const expireStep = 4096

// Grid is the Locator of one task: for each kind of vehicle a tree of cells, as fine as the trucks are
// dense.
//
// Invariants:
//   - A transporter is in the trees of all his kinds or of none, at one position.
//   - His position never goes back in time, and after Remove nothing older brings him back: a report
//     that was on its way when he went offline changes nothing.
//   - A position older than the life given to NewGrid is never answered, expired or not.
//
// It is safe for concurrent use: one lock, held for a microsecond or two by questions and by reports.
// Nothing is allocated for a report from the same cell, and for a question its answer.
type Grid struct {
	lifeMS int64

	mu    sync.RWMutex
	known map[UserID]int32 // into marks
	marks []mark
	free  []int32 // marks of nobody
	trees map[string]*tree
	gone  map[UserID]int64 // when people were removed, ms; forgotten after a life
}

var _ Locator = (*Grid)(nil)

// mark is one transporter on the grid. Without kinds it is nobody's.
type mark struct {
	id   UserID
	at   geo.Point
	keys []string // sorted, distinct
	refs []ref    // by key
	atMS int64
}

// ref is where a mark is in the tree of one kind.
type ref struct {
	tree       *tree
	leaf, slot int32
}

// NewGrid makes an empty one. life is how long a position counts.
func NewGrid(life time.Duration) *Grid {
	return &Grid{lifeMS: life.Milliseconds(), known: map[UserID]int32{}, trees: map[string]*tree{}, gone: map[UserID]int64{}}
}

// Put says where a transporter was at atMS (Unix ms) and which kinds of vehicles he has. It is false,
// and nothing changed, when a newer position is known, when he was removed since, or when the point
// is none. Without kinds he is nowhere, and it is false too.
func (g *Grid) Put(id UserID, at geo.Point, keys []string, atMS int64) bool {
	if !at.Valid() {
		return false
	}
	to := vectorOf(at)
	g.mu.Lock()
	defer g.mu.Unlock()
	if left, ok := g.gone[id]; ok {
		if atMS <= left {
			return false
		}
		delete(g.gone, id)
	}
	i, known := g.known[id]
	if known && atMS < g.marks[i].atMS {
		return false
	}
	if len(keys) == 0 {
		if known {
			g.forget(i)
		}
		return false
	}
	if !known {
		i = g.mark(id)
	}
	m := &g.marks[i]
	m.at, m.atMS = at, atMS
	if known && sameKeys(m.keys, keys) {
		g.move(i, to)
		return true
	}
	g.lift(i)
	g.drop(i, distinct(keys), to)
	return true
}

// SetKeys changes the kinds of a transporter who is on the grid, where he stands; false when he is
// not. Without kinds he leaves it, and may come back at once.
func (g *Grid) SetKeys(id UserID, keys []string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, known := g.known[id]
	switch {
	case !known:
		return false
	case sameKeys(g.marks[i].keys, keys):
		return true
	case len(keys) == 0:
		g.forget(i)
		return true
	}
	g.lift(i)
	g.drop(i, distinct(keys), vectorOf(g.marks[i].at))
	return true
}

// Remove takes a transporter off at atMS (Unix ms). Positions up to then do not bring him back.
func (g *Grid) Remove(id UserID, atMS int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone[id] = max(atMS, g.gone[id])
	if i, known := g.known[id]; known {
		g.forget(i)
	}
}

// Expire forgets positions and departures that are older than the life, and says how many positions.
func (g *Grid) Expire(now time.Time) int {
	oldest, n, more := now.UnixMilli()-g.lifeMS, 0, true
	for from := 0; more; from += expireStep {
		var expired int
		expired, more = g.expire(from, oldest)
		n += expired
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, left := range g.gone {
		if left <= oldest {
			delete(g.gone, id)
		}
	}
	return n
}

// expire looks at expireStep marks; more says whether there are further ones.
func (g *Grid) expire(from int, oldest int64) (n int, more bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	to := min(from+expireStep, len(g.marks))
	for i := from; i < to; i++ {
		if m := &g.marks[i]; len(m.keys) > 0 && m.atMS <= oldest {
			g.forget(int32(i)) //nolint:gosec // marks are one a transporter
			n++
		}
	}
	return n, to < len(g.marks)
}

// Len is how many transporters are on the grid, the expired included.
func (g *Grid) Len() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.known)
}

// Where gives the position of one transporter and his kinds; false when he is not on the grid or it
// is too old.
func (g *Grid) Where(id UserID, now time.Time) (at geo.Point, keys []string, known bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	i, known := g.known[id]
	if !known || g.marks[i].atMS <= now.UnixMilli()-g.lifeMS {
		return geo.Point{}, nil, false
	}
	m := &g.marks[i]
	return m.at, slices.Clone(m.keys), true
}

// mark gives a new transporter a mark.
func (g *Grid) mark(id UserID) int32 {
	var i int32
	if last := len(g.free) - 1; last >= 0 {
		i = g.free[last]
		g.free = g.free[:last]
	} else {
		i = int32(len(g.marks)) //nolint:gosec // marks are one a transporter
		g.marks = append(g.marks, mark{})
	}
	g.marks[i].id = id
	g.known[id] = i
	return i
}

// forget takes a mark off and makes it nobody's.
func (g *Grid) forget(i int32) {
	g.lift(i)
	delete(g.known, g.marks[i].id)
	g.marks[i] = mark{}
	g.free = append(g.free, i)
}

// drop puts a mark that is nowhere into the trees of its kinds.
func (g *Grid) drop(i int32, keys []string, to vector) {
	m := &g.marks[i]
	m.keys, m.refs = keys, make([]ref, len(keys))
	for nth, key := range keys {
		t := g.trees[key]
		if t == nil {
			t = newTree()
			g.trees[key] = t
		}
		m.refs[nth].tree = t
		t.put(g.marks, spot{to, m.atMS, i, int32(nth)})
	}
}

// lift takes a mark out of its trees.
func (g *Grid) lift(i int32) {
	m := &g.marks[i]
	for nth, r := range m.refs {
		if r.tree.take(g.marks, r); r.tree.nodes[0].n == 0 {
			delete(g.trees, m.keys[nth])
		}
	}
	m.keys, m.refs = nil, nil
}

// move brings a mark to where it is now in the trees that it is in.
func (g *Grid) move(i int32, to vector) {
	m := &g.marks[i]
	for nth, r := range m.refs {
		if !r.tree.move(r, to, m.atMS) {
			r.tree.take(g.marks, r)
			r.tree.put(g.marks, spot{to, m.atMS, i, int32(nth)})
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
