package geo_test

import (
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weelo/internal/geo"
)

// TestDistanceAgainstEllipsoid holds the sphere against the WGS-84 truth of testdata (GeodTest): off
// by no more than 0.56 %, whatever the latitude, the azimuth and the length.
func TestDistanceAgainstEllipsoid(t *testing.T) {
	t.Parallel()
	worst, rows := 0.0, 0
	for _, r := range truth(t) {
		got := geo.Distance(r.a, r.b)
		if r.metres == 0 {
			continue
		}
		off := math.Abs(got-r.metres) / r.metres
		worst, rows = math.Max(worst, off), rows+1
		if off > 0.0056 {
			t.Errorf("%v to %v: %.1f m, truth %.1f m, off by %.3f %%", r.a, r.b, got, r.metres, off*100)
		}
	}
	if rows < 100 {
		t.Fatalf("only %d rows were compared", rows)
	}
	t.Logf("%d distances, worst off by %.3f %%", rows, worst*100)
}

type row struct {
	a, b   geo.Point
	metres float64
}

func truth(t *testing.T) []row {
	t.Helper()
	var rows []row
	read := func(file, separator string, a, b, s int) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			cols := strings.Split(strings.TrimSpace(line), separator)
			num := func(i int) float64 {
				v, err := strconv.ParseFloat(strings.TrimSpace(cols[i]), 64)
				if err != nil {
					return math.NaN()
				}
				return v
			}
			r := row{a: geo.Point{Lat: num(a), Lng: num(a + 1)}, b: geo.Point{Lat: num(b), Lng: num(b + 1)}, metres: num(s)}
			if !math.IsNaN(r.metres) { // the header
				rows = append(rows, r)
			}
		}
	}
	read("testdata/GeodTest-100.dat", " ", 0, 3, 6)
	read("testdata/testcases20.csv", ",", 0, 3, 6)
	return rows
}

// TestMoveComesBack: moving a way and measuring it gives the way and the course again.
func TestMoveComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := geo.Point{Lat: rapid.Float64Range(-80, 80).Draw(t, "lat"), Lng: rapid.Float64Range(-180, 180).Draw(t, "lng")}
		course := rapid.Float64Range(0, 359.99).Draw(t, "course")
		way := rapid.Float64Range(1, 500_000).Draw(t, "way")
		q := geo.Move(p, course, way)
		if !q.Valid() {
			t.Fatalf("moved to %v", q)
		}
		if got := geo.Distance(p, q); math.Abs(got-way) > 0.001+way*1e-6 {
			t.Fatalf("moved %.3f m, measured %.3f m", way, got)
		}
		turn := math.Abs(geo.Bearing(p, q) - course)
		if math.Min(turn, 360-turn) > 0.01 {
			t.Fatalf("moved towards %.3f°, measured %.3f°", course, geo.Bearing(p, q))
		}
		if !geo.Around(p, way).Contains(q) && math.Abs(p.Lng) < 170 {
			t.Fatalf("%v is outside the box of %.0f m around %v", q, way, p)
		}
	})
}

func TestEdges(t *testing.T) {
	t.Parallel()
	for _, d := range []float64{
		geo.Distance(geo.Point{Lat: 0, Lng: 0}, geo.Point{Lat: 0, Lng: 180}),
		geo.Distance(geo.Point{Lat: 90}, geo.Point{Lat: -90}),
	} {
		if math.Abs(d-math.Pi*geo.EarthRadiusM) > 1 {
			t.Errorf("half way round is %f", d)
		}
	}
	if b := geo.Bearing(geo.Point{Lat: 1, Lng: 1}, geo.Point{Lat: 1, Lng: 1}); b != 0 {
		t.Errorf("bearing to itself is %f", b)
	}
	for p, want := range map[geo.Point]bool{
		{Lat: 90, Lng: 180}: true, {Lat: -90.01}: false, {Lng: 180.01}: false, {Lat: math.NaN()}: false, {Lng: math.Inf(1)}: false,
	} {
		if p.Valid() != want {
			t.Errorf("%v valid: want %v", p, want)
		}
	}
	box := geo.BoundsOf(geo.Point{Lat: 1, Lng: 2}, geo.Point{Lat: -1, Lng: 5})
	if !box.Contains(geo.Point{Lat: 0, Lng: 2}) || box.Contains(geo.Point{Lat: 0, Lng: 5.1}) || geo.BoundsOf() != (geo.Bounds{}) {
		t.Errorf("box %+v", box)
	}
	if pole := geo.Around(geo.Point{Lat: 89.99}, 5000); pole.MinLng != -180 || pole.MaxLng != 180 {
		t.Errorf("the box around a pole is %+v", pole)
	}
	if p := geo.Move(geo.Point{Lat: 0, Lng: 179.99}, 90, 5000); p.Lng > -179 {
		t.Errorf("across the antimeridian is %v", p)
	}
}
