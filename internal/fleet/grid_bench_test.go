//go:build unix

package fleet_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"weelo/internal/fleet"
	"weelo/internal/geo"
)

// crowds are how transporters and orders are spread in the benchmarks: evenly over India, or half of
// both in one city and the rest around it.
var crowds = map[string]func(*rand.Rand) geo.Point{
	"spread": func(r *rand.Rand) geo.Point { return geo.Point{Lat: 8 + r.Float64()*22, Lng: 70 + r.Float64()*20} },
	"crowded": func(r *rand.Rand) geo.Point {
		if r.IntN(2) == 0 {
			return geo.Point{Lat: 12.97 + r.NormFloat64()*0.03, Lng: 77.59 + r.NormFloat64()*0.03}
		}
		return geo.Point{Lat: 12.7 + r.Float64()*0.5, Lng: 77.3 + r.Float64()*0.5}
	},
}

var sizes = []int{1_000, 100_000, 1_000_000}

func crowd(n int, point func(*rand.Rand) geo.Point) *fleet.Grid {
	g, r, keys := fleet.NewGrid(life), rand.New(rand.NewPCG(7, 7)), []string{open}
	for i := range n {
		g.Put(fleet.UserID(fmt.Sprint("t", i)), point(r), keys, noon.UnixMilli())
	}
	return g
}

// eachCrowd runs bench for every crowd and size, and reports the processor's time beside the wall's:
// on a machine with other work the two are far apart.
func eachCrowd(b *testing.B, bench func(b *testing.B, g *fleet.Grid, n int, point func(*rand.Rand) geo.Point)) {
	for name, point := range crowds {
		for _, n := range sizes {
			b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) {
				g := crowd(n, point)
				b.ReportAllocs()
				before := cpu(b)
				bench(b, g, n, point)
				b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkNearest10(b *testing.B) {
	eachCrowd(b, func(b *testing.B, g *fleet.Grid, _ int, point func(*rand.Rand) geo.Point) {
		r := rand.New(rand.NewPCG(1, 1))
		for b.Loop() {
			g.Nearest(fleet.Query{Key: open, At: point(r), RadiusKM: 100, Limit: 10, Now: noon})
		}
	})
}

// BenchmarkReport moves transporters by up to 100 m, as reports do.
func BenchmarkReport(b *testing.B) {
	eachCrowd(b, func(b *testing.B, g *fleet.Grid, n int, _ func(*rand.Rand) geo.Point) {
		r, keys, ms := rand.New(rand.NewPCG(1, 1)), []string{open}, noon.UnixMilli()
		ids, places := make([]fleet.UserID, 1024), make([]geo.Point, 1024)
		for i := range ids {
			ids[i] = fleet.UserID(fmt.Sprint("t", r.IntN(n)))
			places[i], _, _ = g.Where(ids[i], noon)
		}
		i := 0
		for b.Loop() {
			ms++
			p := &places[i%len(places)]
			p.Lat += (r.Float64() - 0.5) * 0.002
			p.Lng += (r.Float64() - 0.5) * 0.002
			g.Put(ids[i%len(ids)], *p, keys, ms)
			i++
		}
	})
}
