package fleet

import (
	"math"

	"weelo/internal/geo"
)

const (
	// fullLeaf is how many spots a leaf holds before it is split, and emptyCube how few are left in a
	// cube when its leaves become one again. Between them nothing is rebuilt.
	fullLeaf  = 16
	emptyCube = fullLeaf / 2
	// leastHalf is half a side of the smallest cube, 3 m on the ground: of a yard full of trucks there
	// is no telling them apart by splitting.
	leastHalf = 1.0 / (1 << 22)
)

// tree holds the transporters of one kind of vehicle: cubes of space in cubes, down to leaves of a few
// spots, so that a cell is as large as the trucks are sparse. Places are points on the unit sphere.
// There no meridian is an edge and no pole is special, and the square of a chord, which orders
// distances as the arc does, costs three multiplications.
//
// Nodes are values in one slice and name each other by index, spots are values in the slice of their
// leaf: to look through a leaf is to read memory in order.
type tree struct {
	nodes []node  // 0 is the root
	free  []int32 // first nodes of blocks of eight that are in no use
}

// node is a cube: a leaf, or eight cubes of half its side.
type node struct {
	mid    vector
	half   float64
	kids   int32 // the first of eight; 0: a leaf
	parent int32
	n      int32 // spots in it, at any depth
	spots  []spot
}

// spot is a transporter as a question looks at him.
type spot struct {
	at   vector
	atMS int64
	mark int32
	nth  int32 // which of the mark's refs leads here
}

// vector is a point on the unit sphere.
type vector struct{ x, y, z float64 }

func vectorOf(p geo.Point) vector {
	sinLat, cosLat := math.Sincos(p.Lat * math.Pi / 180)
	sinLng, cosLng := math.Sincos(p.Lng * math.Pi / 180)
	return vector{cosLat * cosLng, cosLat * sinLng, sinLat}
}

func (v vector) chord2(w *vector) float64 {
	dx, dy, dz := v.x-w.x, v.y-w.y, v.z-w.z
	return dx*dx + dy*dy + dz*dz
}

// chordOf is the chord under an arc on the ground, metres.
func chordOf(metres float64) float64 {
	return 2 * math.Sin(min(metres/geo.EarthRadiusM, math.Pi)/2)
}

func newTree() *tree { return &tree{nodes: []node{{half: 1}}} }

// away2 is the square of the distance from v to the cube, 0 within.
func (c *node) away2(v *vector) float64 {
	dx, dy, dz := math.Abs(v.x-c.mid.x)-c.half, math.Abs(v.y-c.mid.y)-c.half, math.Abs(v.z-c.mid.z)-c.half
	sum := 0.0
	if dx > 0 {
		sum = dx * dx
	}
	if dy > 0 {
		sum += dy * dy
	}
	if dz > 0 {
		sum += dz * dz
	}
	return sum
}

// octant is which of the eight cubes v belongs to; a point between two belongs to the upper one.
func (c *node) octant(v *vector) int32 {
	var o int32
	if v.x >= c.mid.x {
		o = 1
	}
	if v.y >= c.mid.y {
		o |= 2
	}
	if v.z >= c.mid.z {
		o |= 4
	}
	return o
}

// put adds a spot and tells its mark where it is.
func (t *tree) put(marks []mark, s spot) {
	at := int32(0)
	for {
		c := &t.nodes[at]
		if c.kids == 0 {
			if len(c.spots) < fullLeaf || c.half <= leastHalf {
				c.n++
				t.seat(marks, at, s)
				return
			}
			t.split(marks, at)
			c = &t.nodes[at] // split may have moved the nodes
		}
		c.n++
		at = c.kids + c.octant(&s.at)
	}
}

// seat appends a spot to a leaf.
func (t *tree) seat(marks []mark, leaf int32, s spot) {
	c := &t.nodes[leaf]
	r := &marks[s.mark].refs[s.nth]
	r.leaf, r.slot = leaf, int32(len(c.spots)) //nolint:gosec // spots are one a transporter
	c.spots = append(c.spots, s)
}

// split turns a full leaf into a cube of eight.
func (t *tree) split(marks []mark, at int32) {
	kids := t.block()
	c := &t.nodes[at]
	quarter := c.half / 2 // exact, and so are the middles: powers of two
	for o := range int32(8) {
		kid := &t.nodes[kids+o]
		kid.mid = vector{c.mid.x - quarter, c.mid.y - quarter, c.mid.z - quarter}
		if o&1 != 0 {
			kid.mid.x = c.mid.x + quarter
		}
		if o&2 != 0 {
			kid.mid.y = c.mid.y + quarter
		}
		if o&4 != 0 {
			kid.mid.z = c.mid.z + quarter
		}
		kid.half, kid.parent, kid.kids, kid.n = quarter, at, 0, 0
	}
	spots := c.spots
	c.kids, c.spots = kids, nil
	for _, s := range spots {
		kid := kids + c.octant(&s.at)
		t.nodes[kid].n++
		t.seat(marks, kid, s)
	}
}

// block gives the first of eight nodes. Their fields are old, their spots empty.
func (t *tree) block() int32 {
	if last := len(t.free) - 1; last >= 0 {
		first := t.free[last]
		t.free = t.free[:last]
		return first
	}
	first := int32(len(t.nodes)) //nolint:gosec // nodes are of the order of marks, one a transporter
	t.nodes = append(t.nodes, make([]node, 8)...)
	return first
}

// move sets where the spot of a ref is, within its leaf; false, and nothing changed, when it left it.
func (t *tree) move(r ref, to vector, atMS int64) bool {
	c := &t.nodes[r.leaf]
	if c.parent != r.leaf { // the root is its own parent and holds everything
		up := &t.nodes[c.parent]
		if up.kids+up.octant(&to) != r.leaf || up.away2(&to) > 0 {
			return false
		}
	}
	s := &c.spots[r.slot]
	s.at, s.atMS = to, atMS
	return true
}

// take removes the spot of a ref.
func (t *tree) take(marks []mark, r ref) {
	c := &t.nodes[r.leaf]
	last := len(c.spots) - 1
	if int(r.slot) != last {
		s := c.spots[last]
		c.spots[r.slot] = s
		marks[s.mark].refs[s.nth].slot = r.slot
	}
	c.spots = c.spots[:last]
	at := r.leaf
	for {
		c := &t.nodes[at]
		c.n--
		if c.kids != 0 && c.n <= emptyCube {
			t.join(marks, at)
		}
		if at == 0 {
			return
		}
		at = c.parent
	}
}

// join makes a leaf of a cube whose cubes are leaves. They are, for one with a cube in it that has so
// few would have been joined before.
func (t *tree) join(marks []mark, at int32) {
	kids := t.nodes[at].kids
	t.nodes[at].kids = 0
	for kid := kids; kid < kids+8; kid++ {
		for _, s := range t.nodes[kid].spots {
			t.seat(marks, at, s)
		}
		t.nodes[kid].spots = t.nodes[kid].spots[:0]
	}
	t.free = append(t.free, kids)
}
