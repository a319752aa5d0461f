package fleet_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"weelo/internal/fleet"
	"weelo/internal/geo"
)

const (
	life  = 60 * time.Second
	open  = "open_17ft"
	lcv   = "lcv_open14ft"
	third = "container_20ft"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// edge is within what of the radius somebody is in it, metres: longitudes at a pole are one point, which
// rounding tells apart by 1e-14 m.
const edge = 25e-9

// naive is the grid's model: a list that is looked through.
type naive map[fleet.UserID]*spot

type spot struct {
	at   geo.Point
	keys []string
	atMS int64
}

func (n naive) nearest(q fleet.Query) []fleet.Located {
	var found []fleet.Located
	for id, s := range n {
		d := geo.Distance(q.At, s.at)
		if slices.Contains(s.keys, q.Key) && d <= q.RadiusKM*1000+edge && q.Now.UnixMilli()-s.atMS < life.Milliseconds() && (q.Skip == nil || !q.Skip(id)) {
			found = append(found, fleet.Located{Transporter: id, At: s.at, DistanceM: d, SeenMS: s.atMS})
		}
	}
	slices.SortFunc(found, func(a, b fleet.Located) int {
		return cmp.Or(cmp.Compare(a.DistanceM, b.DistanceM), cmp.Compare(a.Transporter, b.Transporter))
	})
	return found[:min(q.Limit, len(found))]
}

// pointIn draws a point of the box with a grain of 0.001°, so that equal and bordering points occur.
func pointIn(b geo.Bounds) *rapid.Generator[geo.Point] {
	return rapid.Custom(func(t *rapid.T) geo.Point {
		lat := rapid.IntRange(int(b.MinLat*1000), int(b.MaxLat*1000)).Draw(t, "lat")
		lng := rapid.IntRange(int(b.MinLng*1000), int(b.MaxLng*1000)).Draw(t, "lng")
		return geo.Point{Lat: float64(lat) / 1000, Lng: float64(lng) / 1000}
	})
}

// worlds are where the property is tried: a town, India, the date line, a pole, everywhere.
var worlds = []geo.Bounds{
	{MinLat: 12.9, MaxLat: 13.1, MinLng: 77.5, MaxLng: 77.7},
	{MinLat: 6.5, MaxLat: 37, MinLng: 68, MaxLng: 97.5},
	{MinLat: -0.5, MaxLat: 0.5, MinLng: 179, MaxLng: 180},
	{MinLat: 84.5, MaxLat: 90, MinLng: -180, MaxLng: 180},
	{MinLat: -90, MaxLat: 90, MinLng: -180, MaxLng: 180},
}

func TestTheGridAnswersLikeALookThroughAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		world := worlds[rapid.IntRange(0, len(worlds)-1).Draw(t, "world")]
		point := rapid.Custom(func(t *rapid.T) geo.Point {
			p := pointIn(world).Draw(t, "point")
			if world.MinLng == 179 && rapid.Bool().Draw(t, "east") {
				p.Lng = -p.Lng // across the date line
			}
			return p
		})
		who := rapid.Custom(func(t *rapid.T) fleet.UserID {
			return fleet.UserID(fmt.Sprint("t", rapid.IntRange(0, 40).Draw(t, "who")))
		})
		keys := rapid.SliceOfN(rapid.SampledFrom([]string{open, lcv, third}), 0, 4)
		g, model, gone, now := fleet.NewGrid(life), naive{}, map[fleet.UserID]int64{}, noon
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				id, at, kinds := who.Draw(t, "id"), point.Draw(t, "at"), keys.Draw(t, "keys")
				ms := now.UnixMilli() - int64(rapid.IntRange(0, 90_000).Draw(t, "late"))
				left, removed := gone[id]
				known := model[id]
				want := (!removed || ms > left) && (known == nil || ms >= known.atMS)
				if want {
					delete(gone, id)
					model[id] = &spot{at, kinds, ms}
				}
				if want && len(kinds) == 0 {
					delete(model, id)
					want = false
				}
				if got := g.Put(id, at, kinds, ms); got != want {
					t.Fatalf("put: %v, want %v", got, want)
				}
			},
			"keys": func(t *rapid.T) {
				id, kinds := who.Draw(t, "id"), keys.Draw(t, "keys")
				s := model[id]
				if s != nil {
					s.keys = kinds
				}
				if len(kinds) == 0 {
					delete(model, id)
				}
				if got := g.SetKeys(id, kinds); got != (s != nil) {
					t.Fatalf("keys set: %v, want %v", got, s != nil)
				}
			},
			"remove": func(t *rapid.T) {
				id := who.Draw(t, "id")
				delete(model, id)
				gone[id] = max(gone[id], now.UnixMilli())
				g.Remove(id, now.UnixMilli())
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 30_000).Draw(t, "ms")) * time.Millisecond)
			},
			"expire": func(*rapid.T) {
				g.Expire(now)
				for id, s := range model {
					if now.UnixMilli()-s.atMS >= life.Milliseconds() {
						delete(model, id)
					}
				}
				for id, left := range gone {
					if now.UnixMilli()-left >= life.Milliseconds() {
						delete(gone, id)
					}
				}
				if g.Len() != len(model) {
					t.Fatalf("%d on the grid, want %d", g.Len(), len(model))
				}
			},
			"": func(t *rapid.T) {
				q := fleet.Query{Key: rapid.SampledFrom([]string{open, lcv, third}).Draw(t, "key"), At: point.Draw(t, "from"),
					RadiusKM: rapid.SampledFrom([]float64{0, 1, 5, 10, 15, 30, 60, 100, 299, 2000, 30_000}).Draw(t, "radius"),
					Limit:    rapid.IntRange(1, 45).Draw(t, "limit"), Now: now}
				if rapid.Bool().Draw(t, "skip") {
					q.Skip = func(id fleet.UserID) bool { return len(id) == 2 } // t0 … t9
				}
				same(t, model.nearest(q), g.Nearest(q))
			},
		})
	})
}

// same compares answers. Two ways to compute a distance differ in the last digits, so neighbours
// whose distances do not differ otherwise may stand in either order.
func same(t *rapid.T, want, got []fleet.Located) {
	t.Helper()
	const grain = 0.001 // metres
	if len(want) != len(got) {
		t.Fatalf("%d found, want %d: %v, want %v", len(got), len(want), got, want)
	}
	for i := range want {
		if d := want[i].DistanceM - got[i].DistanceM; d > grain || d < -grain {
			t.Fatalf("at %d: %v, want %v", i, got[i], want[i])
		}
	}
	byID := func(a, b fleet.Located) int { return cmp.Compare(a.Transporter, b.Transporter) }
	last := len(want)
	for last > 0 && want[len(want)-1].DistanceM-want[last-1].DistanceM < grain {
		last-- // at the edge of the limit any of the equally far may be the one
	}
	a, b := slices.SortedFunc(slices.Values(want[:last]), byID), slices.SortedFunc(slices.Values(got[:last]), byID)
	if diff := gocmp.Diff(a, b, cmpopts.EquateApprox(0, grain)); diff != "" {
		t.Fatalf("found (-want +got):\n%s", diff)
	}
}

func TestAGhostIsNeverMatched(t *testing.T) {
	t.Parallel()
	yard := geo.Point{Lat: 12.97, Lng: 77.59}
	ask := func(g *fleet.Grid, at time.Time) int {
		return len(g.Nearest(fleet.Query{Key: open, At: yard, RadiusKM: 5, Now: at}))
	}
	g := fleet.NewGrid(life)
	g.Put("t1", yard, []string{open}, noon.UnixMilli())
	if n := ask(g, noon.Add(life-time.Millisecond)); n != 1 {
		t.Errorf("within its life: %d found, want 1", n)
	}
	if n := ask(g, noon.Add(life)); n != 0 { // nobody expired it
		t.Errorf("at the end of its life: %d found, want 0", n)
	}
	g.Remove("t1", noon.Add(10*time.Second).UnixMilli())
	if g.Put("t1", yard, []string{open}, noon.Add(10*time.Second).UnixMilli()) {
		t.Error("a report from before the departure brought him back")
	}
	if n := ask(g, noon.Add(11*time.Second)); n != 0 {
		t.Errorf("after he left: %d found, want 0", n)
	}
	if !g.Put("t1", yard, []string{open}, noon.Add(12*time.Second).UnixMilli()) || ask(g, noon.Add(12*time.Second)) != 1 {
		t.Error("coming back later was refused")
	}
}

func TestAReportFromTheSameCellAllocatesNothing(t *testing.T) {
	g, keys, ms := fleet.NewGrid(life), []string{lcv, open}, noon.UnixMilli()
	g.Put("t1", geo.Point{Lat: 12.971, Lng: 77.591}, keys, ms)
	if n := testing.AllocsPerRun(100, func() {
		ms++
		g.Put("t1", geo.Point{Lat: 12.972, Lng: 77.592}, keys, ms)
	}); n != 0 {
		t.Errorf("%v allocations for each report, want none", n)
	}
}

func TestTheGridTakesReportsAndQuestionsAtOnce(t *testing.T) {
	t.Parallel()
	g := fleet.NewGrid(life)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range 2000 {
				id := fleet.UserID(fmt.Sprint("t", w, "-", i%50))
				g.Put(id, geo.Point{Lat: 12 + r.Float64(), Lng: 77 + r.Float64()}, []string{open, lcv}, noon.UnixMilli()+int64(i))
				if i%7 == 0 {
					g.Remove(id, noon.UnixMilli()+int64(i))
				}
				for _, l := range g.Nearest(fleet.Query{Key: open, At: geo.Point{Lat: 12.5, Lng: 77.5}, RadiusKM: 30, Limit: 10, Now: noon}) {
					if l.DistanceM > 30_000 || l.Transporter == "" {
						t.Errorf("found %v", l)
					}
				}
			}
		})
	}
	wg.Wait()
}
