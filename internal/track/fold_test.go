package track_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weelo/internal/geo"
	"weelo/internal/trace"
	"weelo/internal/track"
)

const traces = "../trace/"

func read(t *testing.T, file string) []track.Fix {
	t.Helper()
	f, err := os.Open(filepath.FromSlash(traces + file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := trace.Read(file, f)
	if err != nil {
		t.Fatal(err)
	}
	return all[0].Fixes
}

// TestAnyOrderSameTrack is the promise of the package on real drives: however the fixes of a trip
// arrive — shuffled, repeated, torn into batches of any size with the track extended after each,
// with late ones that make it be folded anew — the odometer and the stops are the same.
func TestAnyOrderSameTrack(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"drives/munich-barefoot.json", "drives/bay-area-fleet-engine.json", "drives/leipzig-graphhopper.gpx", "testdata/blue_hills.gpx", "testdata/multitrackgpx.gpx"} {
		fixes := read(t, file)
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			rules := track.DefaultRules()
			want := track.Track{}.Extend(fixes, rules)
			rapid.Check(t, func(t *rapid.T) {
				a := &arrival{history: map[int64]track.Fix{}, rules: rules}
				order := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 1)).Perm(len(fixes))
				if rapid.Bool().Draw(t, "nearly in order") { // as phones really do
					order = nearly(order)
				}
				for len(order) > 0 {
					n := min(len(order), rapid.IntRange(1+len(fixes)/40, len(fixes)/3).Draw(t, "batch"))
					batch := make([]track.Fix, 0, n)
					for i, at := range order[:n] {
						f := fixes[at]
						f.ReceivedMS, f.N = int64(i), int64(at)
						batch = append(batch, f)
					}
					a.take(batch)
					if rapid.Bool().Draw(t, "again") {
						a.take(batch)
					}
					order = order[n:]
				}
				if diff := cmp.Diff(want, a.track); diff != "" {
					t.Fatalf("another track:\n%s", diff)
				}
			})
		})
	}
}

// arrival keeps a trip's history and track as the server does: the set of fixes by ts, the track
// extended above its watermark, folded anew when an older fix arrives.
type arrival struct {
	history map[int64]track.Fix
	track   track.Track
	rules   track.Rules
}

func (a *arrival) take(batch []track.Fix) {
	for _, f := range batch {
		if old, there := a.history[f.TS]; !there || track.Better(f, old) {
			a.history[f.TS] = f
			if f.TS <= a.track.WatermarkMS() {
				a.track = track.Track{}
			}
		}
	}
	var above []track.Fix
	for ts, f := range a.history {
		if ts > a.track.WatermarkMS() {
			above = append(above, f)
		}
	}
	// The stored track is what the next one is made from.
	stored, err := json.Marshal(a.track.Extend(above, a.rules))
	if err != nil {
		panic(err)
	}
	a.track = track.Track{}
	if err := json.Unmarshal(stored, &a.track); err != nil {
		panic(err)
	}
}

func indexes(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// nearly turns a permutation into one where nothing is further than about 20 places from home.
func nearly(order []int) []int {
	out := indexes(len(order))
	for i := range out {
		j := min(len(out)-1, i+order[i]%20)
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// TestOdometerOfRealDrives: on roads the odometer is within 2 % of the way from fix to fix, jumps of
// the recording left out (the drive in Munich has one of 470 m in a second).
func TestOdometerOfRealDrives(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"drives/munich-barefoot.json", "drives/leipzig-graphhopper.gpx"} {
		fixes := read(t, file)
		var way float64
		for i := 1; i < len(fixes); i++ {
			step := geo.Distance(fixes[i-1].Point(), fixes[i].Point())
			if step <= 70*float64(fixes[i].TS-fixes[i-1].TS)/1000 {
				way += step
			} else {
				t.Logf("%s jumps %.0f m in %d ms", file, step, fixes[i].TS-fixes[i-1].TS)
			}
		}
		got := track.Track{}.Extend(fixes, track.DefaultRules()).Whole
		if off := math.Abs(float64(got.OdometerM())-way) / way; off > 0.02 {
			t.Errorf("%s: %d m, from fix to fix %.0f m: %.1f %% off", file, got.OdometerM(), way, off*100)
		}
	}
}

// TestStandingReceiverDrivesNowhere: real captures of receivers that stood still, one of them losing
// its satellites and finding them again, drive less than 100 m; added up from fix to fix they would.
func TestStandingReceiverDrivesNowhere(t *testing.T) {
	t.Parallel()
	for name, fixes := range map[string][]track.Fix{
		"u-blox NEO-M9N": read(t, "testdata/ublox-neo-m9n-nmea.log"),
		"Navisys GR701W": readUBX(t, "testdata/navisys-gr701w.log"),
	} {
		if len(fixes) < 20 {
			t.Fatalf("%s: only %d fixes", name, len(fixes))
		}
		got := track.Track{}.Extend(fixes, track.DefaultRules()).Whole
		if got.OdometerM() > 100 {
			t.Errorf("%s drove %d m in %d fixes", name, got.OdometerM(), len(fixes))
		}
	}
}

// TestJitterForHours: the real capture played over and over for eight hours, each pass turned so
// that the wander is not the same, still drives nowhere, and is one stop.
func TestJitterForHours(t *testing.T) {
	t.Parallel()
	real := readUBX(t, "testdata/navisys-gr701w.log")
	var fixes []track.Fix
	home, ts := real[0].Point(), now.UnixMilli()
	for pass := 0; len(fixes) < 8*3600; pass++ {
		for _, f := range real {
			at := geo.Move(home, geo.Bearing(home, f.Point())+float64(pass*73%360), geo.Distance(home, f.Point()))
			ts += 1000
			fixes = append(fixes, track.Fix{TS: ts, Lat: at.Lat, Lng: at.Lng, Accuracy: f.Accuracy})
		}
	}
	got := track.Track{}.Extend(fixes, track.DefaultRules()).Whole
	if got.OdometerM() > 200 {
		t.Errorf("stood for eight hours and drove %d m", got.OdometerM())
	}
	if len(got.Stops) != 1 || got.Stops[0].DepartedMS != 0 || geo.Distance(geo.Point{Lat: got.Stops[0].Lat, Lng: got.Stops[0].Lng}, home) > 50 {
		t.Errorf("stops: %+v", got.Stops)
	}
}

// readUBX reads NAV-SOL messages (u-blox protocol: class 1, id 6, 52 bytes) with a 3D fix. Positions
// in them are earth-centred, centimetres.
func readUBX(t *testing.T, file string) []track.Fix {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(traces + file))
	if err != nil {
		t.Fatal(err)
	}
	gpsEpoch := time.Date(1980, 1, 6, 0, 0, 0, 0, time.UTC)
	var fixes []track.Fix
	for i := 0; i+6+52 <= len(b); i++ {
		if string(b[i:i+6]) != "\xb5\x62\x01\x06\x34\x00" || b[i+6+10] != 3 {
			continue
		}
		p := b[i+6:]
		u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(p[at:]) }
		week := int64(int16(binary.LittleEndian.Uint16(p[8:])))
		x, y, z := float64(int32(u32(12)))/100, float64(int32(u32(16)))/100, float64(int32(u32(20)))/100
		at := geodetic(x, y, z)
		fixes = append(fixes, track.Fix{
			TS:  gpsEpoch.UnixMilli() + week*7*24*3600*1000 + int64(u32(0)),
			Lat: at.Lat, Lng: at.Lng, Accuracy: math.Min(float64(u32(24))/100, track.MaxAccuracyM),
		})
	}
	return track.Sort(fixes)
}

// geodetic is Bowring's formula on WGS-84, exact to millimetres near the ground.
func geodetic(x, y, z float64) geo.Point {
	const a, f = 6378137.0, 1 / 298.257223563
	b, e2 := a*(1-f), f*(2-f)
	r := math.Hypot(x, y)
	theta := math.Atan2(z*a, r*b)
	lat := math.Atan2(z+e2/(1-e2)*b*math.Pow(math.Sin(theta), 3), r-e2*a*math.Pow(math.Cos(theta), 3))
	return geo.Point{Lat: lat * 180 / math.Pi, Lng: math.Atan2(y, x) * 180 / math.Pi}
}

// TestStops: five minutes within 100 m make a stop; four do not; a jump to elsewhere and back does
// not end one.
func TestStops(t *testing.T) {
	t.Parallel()
	var fixes []track.Fix
	ts, north := now.UnixMilli(), 0.0
	drive := func(sec int, mps float64) {
		for range sec {
			ts, north = ts+1000, north+mps
			fixes = append(fixes, track.Fix{TS: ts, Lat: 12.97 + north/111_195, Lng: 77.59, Accuracy: 8})
		}
	}
	drive(300, 15)
	drive(240, 0) // a long light
	drive(100, 15)
	arrived := ts
	drive(400, 0)
	ts += 1000
	fixes = append(fixes, track.Fix{TS: ts, Lat: 14, Lng: 77.59, Accuracy: 8}) // a jump
	drive(400, 0)
	departed := ts
	drive(100, 15)
	got := track.Track{}.Extend(fixes, track.DefaultRules()).Whole
	if len(got.Stops) != 1 {
		t.Fatalf("stops: %+v", got.Stops)
	}
	s := got.Stops[0]
	if math.Abs(float64(s.ArrivedMS-arrived)) > 8000 || math.Abs(float64(s.DepartedMS-departed)) > 8000 {
		t.Errorf("stood from %d to %d; want about %d to %d", s.ArrivedMS, s.DepartedMS, arrived, departed)
	}
	if way := 500 * 15.0; math.Abs(float64(got.OdometerM())-way) > 50 {
		t.Errorf("drove %d m; want %.0f", got.OdometerM(), way)
	}
	// Played ten times faster, a tenth of the time is a stop.
	if fast := (track.Track{}).Extend(fixes, track.DefaultRules().Scaled(10)).Whole; len(fast.Stops) < 2 {
		t.Errorf("scaled stops: %+v", fast.Stops)
	}
}

// TestUnmeasured: mock and coarse fixes measure nothing, and after a teleport that three fixes
// confirm nobody is said to have driven there.
func TestUnmeasured(t *testing.T) {
	t.Parallel()
	fix := func(sec int, north float64, change func(*track.Fix)) track.Fix {
		f := track.Fix{TS: now.UnixMilli() + int64(sec)*1000, Lat: 12.97 + north/111_195, Lng: 77.59, Accuracy: 8}
		if change != nil {
			change(&f)
		}
		return f
	}
	got := track.Track{}.Extend([]track.Fix{
		fix(0, 0, nil), fix(10, 100, nil),
		fix(20, 5000, func(f *track.Fix) { f.Mock = true }), fix(30, 400, func(f *track.Fix) { f.Accuracy = 300 }),
		fix(40, 90_000, nil), fix(50, 90_100, nil), fix(60, 90_200, nil), fix(70, 90_300, nil),
	}, track.DefaultRules()).Whole
	if got.OdometerM() != 200 {
		t.Errorf("drove %d m; want 200", got.OdometerM())
	}
}

// TestBetterIsAnOrder: no two different fixes tie, and of three there is always one best.
func TestBetterIsAnOrder(t *testing.T) {
	t.Parallel()
	gen := rapid.Custom(func(t *rapid.T) track.Fix {
		pick := func(name string) float64 { return rapid.SampledFrom([]float64{0, 1, 2}).Draw(t, name) }
		f := track.Fix{TS: 1, Accuracy: pick("acc"), Lat: pick("lat"), Lng: pick("lng"), HasSpeed: rapid.Bool().Draw(t, "has"), Mock: rapid.Bool().Draw(t, "mock")}
		if f.HasSpeed {
			f.Speed = pick("speed")
		}
		return f
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := gen.Draw(t, "a"), gen.Draw(t, "b"), gen.Draw(t, "c")
		if track.Better(a, a) || track.Better(a, b) && track.Better(b, a) || a != b && !track.Better(a, b) && !track.Better(b, a) {
			t.Fatalf("%+v and %+v", a, b)
		}
		if track.Better(a, b) && track.Better(b, c) && !track.Better(a, c) {
			t.Fatalf("not transitive: %+v %+v %+v", a, b, c)
		}
	})
	known, unknown := track.Fix{TS: 1, Lat: 9, Lng: 9, Accuracy: 400}, track.Fix{TS: 1, Lat: 1, Lng: 1}
	if !track.Better(known, unknown) {
		t.Error("an unknown accuracy beat a known one")
	}
}
