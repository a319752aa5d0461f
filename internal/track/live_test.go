package track_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"weelo/internal/track"
)

// step is one arrival: seconds after now at which the fix was taken and at which it came, and how
// many metres north of the start it says the truck is.
type step struct {
	taken, came float64
	north       float64
	accuracy    float64
	mock        bool
	want        track.Verdict
}

func (s step) fix() track.Fix {
	return track.Fix{TS: now.UnixMilli() + int64(s.taken*1000), Lat: 12.97 + s.north/111_195, Lng: 77.59, Accuracy: s.accuracy, Mock: s.mock}
}

func TestLive(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]step{
		"a drive": {{0, 0, 0, 8, false, track.Moved}, {5, 5, 80, 8, false, track.Moved}, {10, 10, 160, 8, false, track.Moved}},
		"duplicates and overtaken fixes do not move": {
			{0, 0, 0, 8, false, track.Moved}, {10, 10, 100, 8, false, track.Moved},
			{10, 11, 100, 8, false, track.Late}, {5, 12, 50, 8, false, track.Late}},
		"older than 60 s is history": {
			{0, 61, 0, 8, false, track.Old}, {0, 60, 0, 8, false, track.Moved}},
		"a mock never moves": {
			{0, 0, 0, 8, true, track.Mock}, {1, 1, 0, 8, false, track.Moved}, {2, 2, 10, 8, true, track.Mock}},
		"a coarse fix moves only when nothing better is fresh": {
			{0, 0, 0, 300, false, track.Moved}, {5, 5, 100, 8, false, track.Moved},
			{10, 10, 150, 101, false, track.Coarse}, {10, 66, 150, 101, false, track.Moved}},
		"one jump is quarantined and forgotten": {
			{0, 0, 0, 8, false, track.Moved}, {5, 5, 50_000, 8, false, track.Jump},
			{10, 10, 160, 8, false, track.Moved}, {15, 15, 50_000, 8, false, track.Jump}, {20, 20, 50_100, 8, false, track.Jump}},
		"three that agree are right": {
			{0, 0, 0, 8, false, track.Moved}, {5, 5, 50_000, 8, false, track.Jump},
			{10, 10, 50_100, 8, false, track.Jump}, {15, 15, 50_200, 8, false, track.Moved}, {20, 20, 50_300, 8, false, track.Moved}},
		"three that disagree are three jumps": {
			{0, 0, 0, 8, false, track.Moved}, {5, 5, 50_000, 8, false, track.Jump},
			{10, 10, 90_000, 8, false, track.Jump}, {15, 15, 50_000, 8, false, track.Jump}, {20, 20, 300, 8, false, track.Moved}},
		"the same fix three times agrees with nothing": {
			{0, 0, 0, 8, false, track.Moved}, {5, 5, 50_000, 8, false, track.Jump},
			{5, 6, 50_000, 8, false, track.Late}, {5, 7, 50_000, 8, false, track.Late}, {10, 10, 160, 8, false, track.Moved}},
		"250 km/h exactly is a truck on a train": {
			{0, 0, 0, 0, false, track.Moved}, {100, 100, 250 / 3.6 * 100, 0, false, track.Moved}},
	} {
		var l track.Live
		last := int64(0)
		for i, s := range steps {
			at := now.Add(time.Duration(s.came * float64(time.Second)))
			next, verdict := l.Judge(s.fix(), at, track.DefaultRules())
			if verdict != s.want {
				t.Errorf("%s: step %d is %v; want %v", name, i, verdict, s.want)
			}
			position, _ := next.Position()
			if moved := position.TS != last; moved != (verdict == track.Moved) || position.TS < last {
				t.Errorf("%s: step %d says %v and the position went from %d to %d", name, i, verdict, last, position.TS)
			}
			l, last = next, position.TS
		}
	}
}

// TestLiveScales: a drive played a hundred times faster is no jump under a hundredfold limit.
func TestLiveScales(t *testing.T) {
	t.Parallel()
	steps := []step{{0, 0, 0, 8, false, 0}, {5, 5, 8000, 8, false, 0}}
	judge := func(r track.Rules) (v track.Verdict) {
		var l track.Live
		for _, s := range steps {
			l, v = l.Judge(s.fix(), now.Add(5*time.Second), r)
		}
		return v
	}
	if v := judge(track.DefaultRules()); v != track.Jump {
		t.Errorf("at life's speed: %v", v)
	}
	if v := judge(track.DefaultRules().Scaled(100)); v != track.Moved {
		t.Errorf("scaled: %v", v)
	}
	if track.DefaultRules().Scaled(0) != track.DefaultRules() {
		t.Error("scale 0 changed the rules")
	}
}

// TestLiveNeverGoesBack: for any fixes in any order the position's time never falls, only Moved
// moves it, and a resumed filter never shows anything older than what it was resumed with.
func TestLiveNeverGoesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var l track.Live
		if rapid.Bool().Draw(t, "resumed") {
			l = track.Resume(step{}.fix())
		}
		for range rapid.IntRange(1, 40).Draw(t, "n") {
			s := step{
				taken: rapid.Float64Range(-100, 100).Draw(t, "taken"), came: rapid.Float64Range(0, 100).Draw(t, "came"),
				north: rapid.SampledFrom([]float64{0, 10, 100, 40_000, 90_000}).Draw(t, "north"), accuracy: rapid.SampledFrom([]float64{0, 8, 300}).Draw(t, "accuracy"),
				mock: rapid.Bool().Draw(t, "mock"),
			}
			before, had := l.Position()
			next, v := l.Judge(s.fix(), now.Add(time.Duration(s.came*float64(time.Second))), track.DefaultRules())
			after, has := next.Position()
			if had && (!has || after.TS < before.TS) {
				t.Fatalf("went from %d to %d", before.TS, after.TS)
			}
			if (v == track.Moved) != (after != before || !had && has) {
				t.Fatalf("%v, but %+v became %+v", v, before, after)
			}
			l = next
		}
	})
}

// TestFollowIsJudgingAsTheyCame: whoever reads the fixes later believes what was believed when each came.
func TestFollowIsJudgingAsTheyCame(t *testing.T) {
	t.Parallel()
	r := track.DefaultRules()
	for name, c := range map[string]struct {
		known float64 // metres north where he was 20 s before; 0: not known
		steps []step
		want  int // the step that is believed in the end; -1: none is
	}{
		"none":                               {0, nil, -1},
		"a drive":                            {0, []step{{taken: 0}, {taken: 5, north: 80}, {taken: 10, north: 160}}, 2},
		"a jump at the end":                  {0, []step{{taken: 0}, {taken: 10, north: 500_000}}, 0},
		"two":                                {0, []step{{taken: 0}, {taken: 10, north: 500_000}, {taken: 11, north: 500_010}}, 0},
		"three that agree":                   {0, []step{{taken: 0}, {taken: 10, north: 500_000}, {taken: 11, north: 500_010}, {taken: 12, north: 500_020}}, 3},
		"a jump at the beginning, then many": {0, []step{{taken: 0, north: 500_000}, {taken: 1}, {taken: 2}, {taken: 3}}, 3},
		"only a jump from where he was":      {10, []step{{taken: 0, north: 500_000}}, -1},
		"a jump from where he was, and back": {10, []step{{taken: 0, north: 500_000}, {taken: 1, north: 20}}, 1},
		"simulated, and coarse after better": {0, []step{{taken: 0}, {taken: 5, north: 50, mock: true}, {taken: 6, north: 60, accuracy: 300}}, 0},
		"of days ago":                        {0, []step{{taken: -300_000}}, 0},
	} {
		var live track.Live
		if c.known != 0 {
			live = track.Resume(step{taken: -20, north: c.known}.fix())
		}
		before, _ := live.Position()
		var fixes []track.Fix
		for _, s := range c.steps {
			fixes = append(fixes, s.fix())
		}
		want := before
		if c.want >= 0 {
			want = fixes[c.want]
		}
		if got, _ := live.Follow(fixes, r).Position(); got != want {
			t.Errorf("%s: believed %+v, want %+v", name, got, want)
		}
	}
}

// TestAFewOfTheNewestAreEnough: once the last three agree, what is believed does not depend on how many came
// before them, or on which of those were read.
func TestAFewOfTheNewestAreEnough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := track.DefaultRules()
		var fixes []track.Fix
		taken := 0.0
		for range rapid.IntRange(0, 30).Draw(t, "fixes before") {
			taken += rapid.Float64Range(0.1, 90).Draw(t, "pause")
			north := rapid.SampledFrom([]float64{0, 100, 40_000, 500_000, -300_000}).Draw(t, "where")
			fixes = append(fixes, step{taken: taken, north: north, accuracy: rapid.SampledFrom([]float64{0, 8, 300}).Draw(t, "accuracy")}.fix())
		}
		north := rapid.SampledFrom([]float64{0, 40_000, 500_000}).Draw(t, "where in the end")
		for range 3 {
			taken, north = taken+rapid.Float64Range(0.1, 90).Draw(t, "pause"), north+5
			fixes = append(fixes, step{taken: taken, north: north, accuracy: 8}.fix())
		}
		newest := fixes[rapid.IntRange(0, len(fixes)-3).Draw(t, "read from"):]
		all, _ := track.Live{}.Follow(fixes, r).Position()
		few, _ := track.Live{}.Follow(newest, r).Position()
		if last := fixes[len(fixes)-1]; all != last || few != last {
			t.Fatalf("of all %+v, of the newest %d %+v; want %+v", all, len(newest), few, last)
		}
	})
}
