package fleet

import (
	"cmp"
	"math"
	"slices"

	"weelo/internal/geo"
)

// Nearest implements Locator. It walks rings of cells outwards and stops when no cell further out
// can hold anybody nearer than those it has.
func (g *Grid) Nearest(q Query) []Located {
	limit := q.Limit
	if limit <= 0 || limit > MaxNearest {
		limit = MaxNearest
	}
	if !q.At.Valid() || !(q.RadiusKM >= 0) {
		return nil
	}
	s := search{
		from: vectorOf(q.At), limit: limit, skip: q.Skip, oldest: q.Now.UnixMilli() - g.lifeMS,
		reach: chord2Of(q.RadiusKM*1000) * (1 + 1e-12), // the edge counts; rounding must not lose it
	}
	g.mu.RLock()
	l := g.layers[q.Key]
	if rings, ok := ringsFor(q, len(l)); ok {
		s.walk(l, q.At, rings)
	} else {
		for _, marks := range l {
			s.look(marks)
		}
	}
	found := s.located(q.At)
	g.mu.RUnlock()
	return found
}

// ringsFor gives how many rings around the middle cell hold the radius; false when looking at every
// cell is right or cheaper.
func ringsFor(q Query, cells int) (int, bool) {
	if math.Abs(q.At.Lat) > ringLat || q.RadiusKM > ringKM {
		return 0, false
	}
	angle := q.RadiusKM * 1000 / geo.EarthRadiusM
	dLng := math.Asin(min(1, math.Sin(angle)/math.Cos(q.At.Lat*math.Pi/180)))
	rings := int(max(angle, dLng)*180/math.Pi/cellDeg) + 1
	return rings, (2*rings+1)*(2*rings+1) <= 8*cells+64
}

// search collects the nearest of one query.
type search struct {
	from   vector
	limit  int
	reach  float64 // squared chord
	oldest int64
	skip   func(UserID) bool
	best   []hit // a heap with the furthest first, once it is full
}

type hit struct {
	mark   *mark
	chord2 float64
}

// walk looks at the middle cell and then at ring after ring.
func (s *search) walk(l layer, at geo.Point, rings int) {
	mid := cellOf(at)
	s.look(l[mid])
	for r := 1; r <= rings; r++ {
		if len(s.best) == s.limit && s.best[0].chord2 < chord2Of(outside(at, mid, r)) {
			return
		}
		n := int32(r)
		for d := -n; d <= n; d++ {
			s.look(l[cell{mid.lat - n, wrap(mid.lng + d)}])
			s.look(l[cell{mid.lat + n, wrap(mid.lng + d)}])
		}
		for d := -n + 1; d < n; d++ {
			s.look(l[cell{mid.lat + d, wrap(mid.lng - n)}])
			s.look(l[cell{mid.lat + d, wrap(mid.lng + n)}])
		}
	}
}

// outside is a lower bound, in metres, for the distance from at to any point in ring r or further.
func outside(at geo.Point, mid cell, r int) float64 {
	lat, lng := at.Lat/cellDeg-math.Floor(at.Lat/cellDeg), at.Lng/cellDeg-math.Floor(at.Lng/cellDeg)
	inner := float64(r - 1)
	dLat := (inner + min(lat, 1-lat)) * cellDeg * math.Pi / 180
	dLng := min((inner+min(lng, 1-lng))*cellDeg*math.Pi/180, math.Pi/2)
	// The shortest way to a meridian.
	toMeridian := math.Asin(math.Sin(dLng) * math.Cos(at.Lat*math.Pi/180))
	return min(dLat, toMeridian) * geo.EarthRadiusM * (1 - 1e-9)
}

func (s *search) look(marks []*mark) {
	for _, m := range marks {
		d := s.from.chord2(m.unit)
		if d > s.reach || m.atMS <= s.oldest || (len(s.best) == s.limit && !nearer(d, m, s.best[0])) {
			continue
		}
		if s.skip != nil && s.skip(m.id) {
			continue
		}
		s.take(hit{m, d})
	}
}

func nearer(d float64, m *mark, than hit) bool {
	return d < than.chord2 || (d == than.chord2 && m.id < than.mark.id)
}

// take adds a hit, or puts it in the place of the furthest.
func (s *search) take(h hit) {
	if len(s.best) < s.limit {
		if s.best == nil {
			s.best = make([]hit, 0, min(s.limit, 32))
		}
		s.best = append(s.best, h)
		for i := len(s.best) - 1; i > 0; {
			up := (i - 1) / 2
			if !nearer(s.best[up].chord2, s.best[up].mark, s.best[i]) {
				return
			}
			s.best[up], s.best[i] = s.best[i], s.best[up]
			i = up
		}
		return
	}
	s.best[0] = h
	for i := 0; ; {
		far := i
		for _, c := range [2]int{2*i + 1, 2*i + 2} {
			if c < len(s.best) && nearer(s.best[far].chord2, s.best[far].mark, s.best[c]) {
				far = c
			}
		}
		if far == i {
			return
		}
		s.best[far], s.best[i] = s.best[i], s.best[far]
		i = far
	}
}

// located is what was found, nearest first. Marks change once the lock is released, so they are copied.
func (s *search) located(at geo.Point) []Located {
	if len(s.best) == 0 {
		return nil
	}
	slices.SortFunc(s.best, func(a, b hit) int {
		return cmp.Or(cmp.Compare(a.chord2, b.chord2), cmp.Compare(a.mark.id, b.mark.id))
	})
	found := make([]Located, len(s.best))
	for i, h := range s.best {
		found[i] = Located{Transporter: h.mark.id, At: h.mark.at, DistanceM: geo.Distance(at, h.mark.at), SeenMS: h.mark.atMS}
	}
	return found
}
