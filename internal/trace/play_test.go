package trace_test

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"weelo/internal/geo"
	"weelo/internal/trace"
	"weelo/internal/track"
)

var (
	bengaluru = geo.Point{Lat: 12.97194, Lng: 77.59369}
	chennai   = geo.Point{Lat: 13.08784, Lng: 80.27847}
	start     = time.Date(2026, 1, 26, 6, 0, 0, 0, time.UTC)
)

func drives(t *testing.T) []trace.Trace {
	t.Helper()
	all, err := trace.Drives()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestLaneKeepsTheDrive: laid along Bengaluru–Chennai, a drive begins and ends at the two places,
// stays near the lane, and between any two fixes it is as far as it was, to within the few per cent
// of scale.
func TestLaneKeepsTheDrive(t *testing.T) {
	t.Parallel()
	laid := 0
	for _, d := range drives(t) {
		shape, err := trace.NewShape(d)
		if errors.Is(err, trace.ErrRound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		laid++
		route := shape.Lay(bengaluru, chennai)
		if off := geo.Distance(at(route, 0), bengaluru); off > 1 {
			t.Errorf("%s begins %.0f m away", d.Name, off)
		}
		if off := geo.Distance(at(route, route.Duration()), chennai); off > 2000 {
			t.Errorf("%s ends %.0f m away", d.Name, off)
		}
		scale := 0.0
		for i := 10; i < len(d.Fixes); i += 10 {
			a, b := d.Fixes[i-10], d.Fixes[i]
			real := geo.Distance(a.Point(), b.Point())
			if real < 30 {
				continue
			}
			since := time.Duration(d.Fixes[0].TS) * time.Millisecond
			played := geo.Distance(at(route, time.Duration(a.TS)*time.Millisecond-since), at(route, time.Duration(b.TS)*time.Millisecond-since))
			if scale == 0 {
				scale = played / real
			}
			if math.Abs(played/real-scale) > 0.02 || scale < 0.85 || scale > 1.15 {
				t.Fatalf("%s: %.1f m became %.1f m, others were scaled by %.3f", d.Name, real, played, scale)
			}
		}
		for d := time.Duration(0); d < route.Duration(); d += route.Duration() / 100 {
			f := route.At(d)
			f.TS = start.UnixMilli()
			if err := track.Check(f, start); err != nil {
				t.Fatalf("%v: %v", d, err)
			}
		}
	}
	if laid < 2 {
		t.Fatalf("only %d drives can be laid along a lane", laid)
	}
}

// TestNearest: a drive is gone on with from where it was seen last.
func TestNearest(t *testing.T) {
	t.Parallel()
	for _, d := range drives(t) {
		shape, err := trace.NewShape(d)
		if err != nil {
			continue
		}
		route := shape.Lay(bengaluru, chennai)
		for _, share := range []float64{0, 0.1, 0.37, 0.81} {
			was := route.At(time.Duration(share * float64(route.Duration()))).Point()
			if off := geo.Distance(at(route, route.Nearest(was)), was); off > 60 {
				t.Errorf("%s, at %.0f %%: goes on %.0f m away", d.Name, share*100, off)
			}
		}
	}
}

func at(r *trace.Route, d time.Duration) geo.Point { return r.At(d).Point() }

// TestRoundTrip: a drive that comes back has no direction; its way out has.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	var tr trace.Trace
	for i := range 101 { // out for 5 km and back
		tr.Fixes = append(tr.Fixes, track.Fix{TS: int64(i+1) * 10_000, Lat: 12 + 0.0009*float64(min(i, 100-i)), Lng: 77})
	}
	if _, err := trace.NewShape(tr); !errors.Is(err, trace.ErrRound) {
		t.Fatalf("a round trip: %v", err)
	}
	out := tr.Outward()
	if _, err := trace.NewShape(out); err != nil || len(out.Fixes) != 51 {
		t.Errorf("the way out has %d fixes: %v", len(out.Fixes), err)
	}
	if empty := (trace.Trace{}).Outward(); len(empty.Fixes) != 0 {
		t.Error("an empty trace leads somewhere")
	}
}

// TestSplit cuts at holes and jumps and keeps every fix of what is long enough.
func TestSplit(t *testing.T) {
	t.Parallel()
	fix := func(sec int, lat float64) track.Fix {
		return track.Fix{TS: int64(sec) * 1000, Lat: lat, Lng: 77}
	}
	tr := trace.Trace{Name: "x", Fixes: []track.Fix{
		fix(1, 12), fix(11, 12.001), fix(21, 12.002), // a piece
		fix(100, 12.002), fix(110, 12.003), // after a hole
		fix(120, 12.9), // a jump: alone, too short
	}}
	var sizes []int
	for _, piece := range tr.Split(30*time.Second, 50, 5*time.Second) {
		sizes = append(sizes, len(piece.Fixes))
	}
	if !slices.Equal(sizes, []int{3, 2}) {
		t.Errorf("pieces of %v fixes", sizes)
	}
}

// TestPhone measures the faults of a fleet of phones against what was asked, and that the same seed
// gives the same sendings.
func TestPhone(t *testing.T) {
	t.Parallel()
	var sent, repeats, coarse, recorded, ahead int
	var lags []float64
	const phones, ticks = 200, 600
	for number := range uint64(phones) {
		seen := map[int64]bool{}
		p := trace.NewPhone(trace.DefaultFaults(), 7, number, 0)
		twin := trace.NewPhone(trace.DefaultFaults(), 7, number, 0)
		skewed := false
		for tick := range ticks {
			now := start.Add(time.Duration(tick) * time.Second)
			truth := track.Fix{Lat: 12.9 + float64(tick)*0.0001, Lng: 77.5, Accuracy: 8}
			sendings := p.Record(truth, now)
			if again := twin.Record(truth, now); !reflect.DeepEqual(sendings, again) {
				t.Fatalf("the same seed sent %+v, then %+v", sendings, again)
			}
			if tick == ticks-1 {
				sendings = append(sendings, p.Flush(now)...)
			}
			for _, s := range sendings {
				if !s.Batch && len(s.Samples) != 1 {
					t.Fatalf("a single sending of %d", len(s.Samples))
				}
				for _, sample := range s.Samples {
					sent++
					f := sample.Fix
					if err := track.Check(f, now); err != nil {
						t.Fatalf("the phone sent %+v: %v", f, err)
					}
					skewed = skewed || f.TS > now.UnixMilli()
					if seen[f.TS] {
						repeats++
						continue
					}
					seen[f.TS] = true
					recorded++
					if f.Accuracy > 100 {
						coarse++
						if sample.Quality != trace.Bad {
							t.Fatal("a coarse fix is not marked")
						}
					}
					if lag := float64(now.UnixMilli()-f.TS) / 1000; lag > 0 && !skewed && s.Batch {
						lags = append(lags, lag)
					}
				}
			}
		}
		if len(seen) != ticks {
			t.Fatalf("phone %d sent %d of %d fixes", number, len(seen), ticks)
		}
		if skewed {
			ahead++
		}
	}
	slices.Sort(lags)
	median := lags[len(lags)/2]
	t.Logf("repeats %.3f, coarse %.3f, median lag %.1f s, ahead %d of %d", float64(repeats)/float64(sent), float64(coarse)/float64(recorded), median, ahead, phones)
	near := func(what string, got, want, off float64) {
		if math.Abs(got-want) > off {
			t.Errorf("%s is %.3f; want %.3f ± %.3f", what, got, want, off)
		}
	}
	near("share of repeats", float64(repeats)/float64(sent), 0.55, 0.02)
	near("share of coarse fixes", float64(coarse)/float64(recorded), 0.06, 0.01)
	near("median lag", median, 15, 3)
	near("share of clocks ahead", float64(ahead)/phones, 0.1, 0.06)
}

// TestPhoneMarksJumps: when the recording itself jumps, the fixes after it are marked until a server
// must have believed the new place.
func TestPhoneMarksJumps(t *testing.T) {
	t.Parallel()
	p := trace.NewPhone(trace.Faults{}, 1, 1, 0)
	var marked []trace.Quality
	for tick := range 10 {
		truth := track.Fix{Lat: 12.9, Lng: 77.5}
		if tick >= 3 {
			truth.Lat = 13.9
		}
		for _, s := range p.Record(truth, start.Add(time.Duration(tick)*5*time.Second)) {
			marked = append(marked, s.Samples[0].Quality)
		}
	}
	want := []trace.Quality{0, 0, 0, trace.Bad, trace.Bad, trace.Bad, trace.Bad, 0, 0, 0}
	if !slices.Equal(marked, want) {
		t.Errorf("marked %v; want %v", marked, want)
	}
}
