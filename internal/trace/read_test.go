package trace_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weelo/internal/trace"
	"weelo/internal/track"
)

// TestRealFiles reads what real devices and programs wrote. Fixes with the time of another are one.
func TestRealFiles(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]struct {
		traces, fixes int
		km            float64 // from fix to fix; 0: not compared (recordings with holes)
	}{
		"drives/munich-barefoot.json":       {1, 1194, 13.65},
		"drives/bay-area-fleet-engine.json": {1, 495, 16.0},
		"drives/leipzig-graphhopper.gpx":    {1, 231, 9.44},
		"testdata/blue_hills.gpx":           {0, 1243, 0},
		"testdata/osm.gpx":                  {2, 118, 0},
		"testdata/run.gpx":                  {1, 205, 3.1},
		"testdata/multitrackgpx.gpx":        {0, 117, 0},
		"testdata/apple_watch_route.gpx":    {1, 44, 0.07},
		"testdata/issue-70.gpx":             {1, 17, 1.01},
		"testdata/ublox-neo-m9n-nmea.log":   {1, 61, 0},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			traces, err := trace.Read(file, f)
			if err != nil {
				t.Fatal(err)
			}
			fixes, km := 0, 0.0
			for _, tr := range traces {
				mustBeTidy(t, tr)
				fixes += len(tr.Fixes)
				km += tr.LengthM() / 1000
			}
			if fixes != want.fixes || (want.traces != 0 && len(traces) != want.traces) || (want.km != 0 && math.Abs(km-want.km) > 0.02*want.km+0.01) {
				t.Errorf("%d traces, %d fixes, %.2f km; want %+v", len(traces), fixes, km, want)
			}
		})
	}
}

// TestRefused: what is not a trace says so.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, content string
		want          error
	}{
		"unknown ending":       {"a.kml", "<kml/>", trace.ErrFormat},
		"not XML":              {"a.gpx", "<gpx", trace.ErrFormat},
		"other XML":            {"a.gpx", "<kml></kml>", trace.ErrFormat},
		"a plan, no drive":     {"a.gpx", `<gpx><rte><rtept lat="1" lon="2"/></rte></gpx>`, trace.ErrEmpty},
		"no time column":       {"a.csv", "lat,lng\n1,2\n", trace.ErrFormat},
		"no rows":              {"a.csv", "lat,lng,time\n", trace.ErrEmpty},
		"quotes gone wrong":    {"a.csv", "lat,lng,time\n\"1,2\n", trace.ErrFormat},
		"JSON of another kind": {"a.json", `{"vehicle":5}`, trace.ErrFormat},
		"empty logs":           {"a.json", `{"rawLogs":[]}`, trace.ErrEmpty},
		"points without time":  {"a.json", `[{"id":"1","point":"POINT(1 2)"}]`, trace.ErrEmpty},
		"broken array":         {"a.json", `[{"id":1}]`, trace.ErrFormat},
		"no sentence":          {"a.nmea", "hello", trace.ErrFormat},
		"wrong checksum":       {"a.nmea", "$GNRMC,223745.00,A,3806.62964,N,12237.61382,W,0.040,,110720,,,D,V*00", trace.ErrFormat},
	} {
		if _, err := trace.Read(c.file, strings.NewReader(c.content)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
	}
}

// TestCSV: the spellings of columns and of time, a trace per vehicle, rows that are no fixes left out.
func TestCSV(t *testing.T) {
	t.Parallel()
	traces, err := trace.Read("fleet.csv", strings.NewReader("\ufeffVehicle_ID, Latitude,LON,Timestamp,acc,heading,speed\n"+
		"KA01,12.97,77.59,2026-01-26T06:00:00.500Z,8,181,11.2\n"+
		"KA02,13.0,80.0,1769407201,,,\n"+
		"KA01,12.98,77.59,1769407201000,9999,400,-3\n"+
		"KA01,NaN,77.59,1769407202,,,\n"+
		"KA01,0,0,1769407203,,,\n"+
		"KA01,91,0,1769407204,,,\n"+
		"KA01,12.9,77.5,soon,,,\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(traces) != 2 || len(traces[0].Fixes) != 2 || len(traces[1].Fixes) != 1 || traces[0].Name != "KA01" {
		t.Fatalf("%+v", traces)
	}
	want := []track.Fix{
		{TS: 1769407200500, Lat: 12.97, Lng: 77.59, Accuracy: 8, Speed: 11.2, HasSpeed: true, Bearing: 181, HasBearing: true},
		{TS: 1769407201000, Lat: 12.98, Lng: 77.59, Accuracy: 500},
	}
	for i, f := range traces[0].Fixes {
		if f != want[i] {
			t.Errorf("fix %d is %+v; want %+v", i, f, want[i])
		}
	}
	if d := traces[0].Duration(); d != 500*time.Millisecond {
		t.Errorf("lasts %v", d)
	}
}

func mustBeTidy(t *testing.T, tr trace.Trace) {
	t.Helper()
	for i, f := range tr.Fixes {
		if i > 0 && f.TS <= tr.Fixes[i-1].TS {
			t.Fatalf("%s: fix %d is not after the one before", tr.Name, i)
		}
		if err := track.Check(f, time.UnixMilli(f.TS)); err != nil {
			t.Fatalf("%s: fix %d: %v", tr.Name, i, err)
		}
	}
}

// FuzzRead: whatever the bytes, reading ends with tidy traces or one of the named errors.
func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.gpx")
	for _, file := range append(files, "drives/munich-barefoot.json", "testdata/ublox-neo-m9n-nmea.log") {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(filepath.Ext(file), string(content[:min(len(content), 4096)]))
	}
	f.Add(".gpx", `<gpx><trk><name>a</name><trkseg><trkpt lat="12" lon="77"><time>2026-01-01T00:00:00Z</time><speed>3</speed></trkpt></trkseg></trk></gpx>`)
	f.Add(".json", `{"vehicle":"v","rawLogs":[{"jsonPayload":{"request":{"vehicle":{"lastLocation":{"rawLocation":{"latitude":12,"longitude":77},"rawLocationTime":"2026-01-01T00:00:00Z","speed":-1}}}}}]}`)
	f.Add(".json", `[{"point":"POINT(11.56 48.16)","time":"2014-09-10 06:54:07+0200","id":"1"}]`)
	f.Add(".csv", "lat,lng,time\n12,77,1769407200\n")
	f.Fuzz(func(t *testing.T, ext, content string) {
		traces, err := trace.Read("f"+ext, strings.NewReader(content))
		if err != nil {
			if !errors.Is(err, trace.ErrFormat) && !errors.Is(err, trace.ErrEmpty) && !errors.Is(err, trace.ErrTooBig) {
				t.Fatalf("unnamed error: %v", err)
			}
			return
		}
		for _, tr := range traces {
			for i, fix := range tr.Fixes {
				if i > 0 && fix.TS <= tr.Fixes[i-1].TS || !fix.Point().Valid() || math.IsNaN(fix.Accuracy) {
					t.Fatalf("untidy: %+v", fix)
				}
			}
		}
	})
}
