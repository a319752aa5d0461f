package fleet_test

import (
	"math"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weelo/internal/fleet"
	"weelo/internal/geo"
)

// walked looks for one transporter among all, by the tree of each kind.
func walked(g *fleet.Grid, w fleet.Wanted) (metres float64, found bool) {
	for key, slots := range w.Slots {
		if slots <= 0 {
			continue
		}
		only := func(id fleet.UserID) bool { return id != w.Only }
		for _, l := range g.Nearest(fleet.Query{Key: key, At: w.At, RadiusKM: w.RadiusKM, Skip: only, Now: w.Now}) {
			return l.DistanceM, true
		}
	}
	return 0, false
}

// TestOneTransporterIsFoundAsAmongAll: to be asked about alone changes nothing but the cost.
func TestOneTransporterIsFoundAsAmongAll(t *testing.T) {
	t.Parallel()
	kinds := []string{"open_17ft", "open_19ft", "tanker_"}
	rapid.Check(t, func(t *rapid.T) {
		g, s := fleet.NewGrid(life), &shelf{}
		place := func(of string) geo.Point {
			return geo.Point{Lat: 12 + rapid.Float64Range(0, 1).Draw(t, of), Lng: 77 + rapid.Float64Range(0, 1).Draw(t, of)}
		}
		seen := noon.Add(-time.Duration(rapid.IntRange(0, int(2*life/time.Second)).Draw(t, "age")) * time.Second)
		keys := rapid.SliceOfDistinct(rapid.SampledFrom(kinds), rapid.ID).Draw(t, "keys")
		g.Put("t", place("t"), keys, seen.UnixMilli())
		g.Put("other", place("other"), kinds, noon.UnixMilli())
		w := fleet.Wanted{
			Slots: rapid.MapOf(rapid.SampledFrom(kinds), rapid.IntRange(0, 2)).Draw(t, "slots"), At: place("order"),
			RadiusKM: rapid.Float64Range(0, 150).Draw(t, "radius"), Only: "t", Now: noon,
		}
		s.users = []fleet.User{{ID: "t", Role: fleet.Transporter, Available: true}}
		m := fleet.Matcher{Locator: g, Supply: s, Users: s, Rules: fleet.DefaultMatchRules()}
		table, err := m.Candidates(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		metres, found := walked(g, w)
		if found != (len(table) == 1) || len(table) > 1 {
			t.Fatalf("among all he is found: %v; alone: %+v", found, table)
		}
		if found && table[0].DistanceM != int(math.Round(metres)) {
			t.Errorf("%d m away, among all %v", table[0].DistanceM, metres)
		}
	})
}

func TestNobodyIsFoundFromNowhere(t *testing.T) {
	t.Parallel()
	g, s := town(1, open)
	m := fleet.Matcher{Locator: g, Supply: s, Users: s, Rules: fleet.DefaultMatchRules()}
	for _, w := range []fleet.Wanted{
		{At: geo.Point{Lat: math.NaN()}, RadiusKM: 5}, {At: yard, RadiusKM: math.NaN()}, {At: yard, RadiusKM: -1},
	} {
		w.Slots, w.Only, w.Now = map[string]int{open: 1}, "t001", noon
		table, err := m.Candidates(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff([]fleet.Candidate(nil), table); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", w, diff)
		}
	}
}
