package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weelo/internal/fault"
	"weelo/internal/track"
	"weelo/transport/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file of testdata. Recorded frames are only added, never changed: phones
// in people's hands speak them.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(bytes.TrimSpace(want)), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

// clientFrames are one frame of each kind, as a phone sends it.
func clientFrames(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/client_*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden client frames: %v", err)
	}
	frames := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		frames[strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "client_"), ".json")] = bytes.TrimSpace(b)
	}
	return frames
}

func TestDecodeGolden(t *testing.T) {
	t.Parallel()
	fix := track.Fix{N: 7, TS: 1700000000123, Lat: 12.9716, Lng: 77.5946, Accuracy: 8, Speed: 11.2, HasSpeed: true, Bearing: 181, HasBearing: true}
	still := track.Fix{TS: 1700000005123, Lat: -12.5, Lng: -77, Mock: true}
	want := map[string]wire.Message{
		"hello":        {Kind: wire.Hello, Token: "a.b.c", Device: "phone-1", Resume: &wire.Resume{Stream: "s1", Seq: 41}},
		"hello_bare":   {Kind: wire.Hello},
		"auth":         {Kind: wire.Auth, Token: "a.b.c"},
		"replay":       {Kind: wire.Replay, From: 43},
		"fix":          {Kind: wire.Fix, Fix: fix, Trip: "6f1c1f5e-6c1e-4d0e-9d52-0d6a3f1f4a11"},
		"fix_still":    {Kind: wire.Fix, Fix: still},
		"fix_driver":   {Kind: wire.Fix, Fix: still, Driver: "d1"},
		"fixes":        {Kind: wire.Fixes, ID: "b1", Batch: []wire.Sample{{Fix: fix, Trip: "t1", Valid: true}, {Fix: still, Valid: true}, {Fix: track.Fix{TS: 1, Lng: 1}}, {}}},
		"watch_trip":   {Kind: wire.Watch, ID: "w1", Trip: "t1"},
		"watch_order":  {Kind: wire.Watch, ID: "w1", Order: "o1"},
		"watch_fleet":  {Kind: wire.Watch, ID: "w1", Fleet: true},
		"watch_all":    {Kind: wire.Watch, ID: "w1", All: true},
		"unwatch":      {Kind: wire.Unwatch, ID: "w1"},
		"seen":         {Kind: wire.Seen, Seq: 42},
		"seen_offer":   {Kind: wire.Seen, Offer: "f1"},
		"ping":         {Kind: wire.Ping},
		"ping_unknown": {Kind: wire.Ping},
	}
	frames := clientFrames(t)
	if len(frames) != len(want) {
		t.Errorf("%d golden frames, %d expected", len(frames), len(want))
	}
	var m wire.Message
	for name, frame := range frames {
		if err := m.Decode(frame); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := m
		if len(got.Batch) == 0 {
			got.Batch = nil
		}
		if got.Kind != wire.Fix && got.Kind != wire.Watch {
			got.Trip = "" // kept to be compared with the next one
		}
		if d := cmp.Diff(want[name], got, cmpopts.IgnoreUnexported(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	const at = `"ts":1700000000123,"lat":12.9,"lng":77.5`
	malformed := []string{
		``, ` `, `{`, `}`, `null`, `"fix"`, `[]`, `{"t"}`, `{"t":}`, `{"t":"ping",}`, `{,"t":"ping"}`, `{"t":"ping"} x`,
		`{"t":"ping""x":1}`, `{"t":"ping","x":01}`, `{"t":"ping","x":1.}`, `{"t":"ping","x":.5}`, `{"t":"ping","x":+1}`,
		`{"t":"ping","x":1e}`, `{"t":"ping","x":tru}`, `{"t":"ping","x":[1,]}`, `{"t":"ping","x":[1 2]}`, `{"t":"ping","x":{"a"}}`,
		`{"t":"ping","x":"\x"}`, `{"t":"ping","x":"\u12"}`, "{\"t\":\"ping\",\"x\":\"\n\"}", "{\"t\":\"ping\",\"x\":\"\xc3\"}",
		`{"t":"ping","x":"`, `{"t":"ping","x":1,"x":2}`, `{"t":"ping","x":1,"\u0078":2}`, `{"t":null}`, `{"t":["fix"]}`, `{"x":"ping"}`,
		`{"t":"ping","x":` + strings.Repeat(`{"a":`, 20) + `1` + strings.Repeat(`}`, 20) + `}`,
		`{"t":"fix",` + at + `,"lat":12.8}`, `{"t":"fix","lat":NaN}`, `{"t":"fix","lat":1e999,"lat":1}`, `{"t":"fix","lat":-}`,
		`{"t":"fixes","id":"b","fixes":[{"lat":1,"lat":2}]}`, `{"t":"fixes","id":"b","fixes":[{}`, `{"t":"hello","resume":{"seq":1,"seq":2}}`,
		`{"t":"ping"` + strings.Repeat(`,"x":1`, 2) + `}`, `'{"t":"ping"}'`, "\ufeff" + `{"t":"ping"}`,
	}
	for _, frame := range malformed {
		var m wire.Message
		var bad *wire.Malformed
		if err := m.Decode([]byte(frame)); !errors.As(err, &bad) {
			t.Errorf("%q: %v, want malformed", frame, err)
		}
	}
	refused := map[string]string{
		`{"t":"fly"}`: "UNKNOWN_TYPE", `{"t":""}`: "UNKNOWN_TYPE", `{"t":"FIX"}`: "UNKNOWN_TYPE",
		`{"t":"fix"}`: "VALIDATION_ERROR", `{"t":"fix","lat":12.9,"lng":77.5}`: "VALIDATION_ERROR",
		`{"t":"fix","ts":1.5,"lat":12.9,"lng":77.5}`: "VALIDATION_ERROR", `{"t":"fix","ts":-1,"lat":12.9,"lng":77.5}`: "VALIDATION_ERROR",
		`{"t":"fix","ts":1e3,"lat":12.9,"lng":77.5}`: "VALIDATION_ERROR", `{"t":"fix","ts":"1","lat":12.9,"lng":77.5}`: "VALIDATION_ERROR",
		`{"t":"fix","ts":99999999999999999999,"lat":1,"lng":77.5}`: "VALIDATION_ERROR",
		`{"t":"fix","ts":1,"lat":90.000001,"lng":0}`:               "VALIDATION_ERROR", `{"t":"fix","ts":1,"lat":1,"lng":180.1}`: "VALIDATION_ERROR",
		`{"t":"fix","ts":1,"lat":1e999,"lng":1}`: "VALIDATION_ERROR", `{"t":"fix","ts":1,"lat":null,"lng":1}`: "VALIDATION_ERROR",
		`{"t":"fix","ts":1,"lat":0,"lng":-0.0}`: "VALIDATION_ERROR",
		`{"t":"fix",` + at + `,"acc":-1}`:       "VALIDATION_ERROR", `{"t":"fix",` + at + `,"speed":-0.1}`: "VALIDATION_ERROR",
		`{"t":"fix",` + at + `,"bearing":360.1}`: "VALIDATION_ERROR", `{"t":"fix",` + at + `,"mock":"no"}`: "VALIDATION_ERROR",
		`{"t":"fix",` + at + `,"trip":7}`: "VALIDATION_ERROR", `{"t":"fix",` + at + `,"n":-1}`: "VALIDATION_ERROR",
		`{"t":"fix",` + at + `,"trip":"` + strings.Repeat("x", 65) + `"}`: "VALIDATION_ERROR",
		`{"t":"hello","token":7}`: "VALIDATION_ERROR", `{"t":"hello","resume":{"stream":"s"}}`: "VALIDATION_ERROR",
		`{"t":"hello","resume":[1]}`: "VALIDATION_ERROR", `{"t":"auth"}`: "VALIDATION_ERROR", `{"t":"auth","token":""}`: "VALIDATION_ERROR",
		`{"t":"unwatch"}`: "VALIDATION_ERROR", `{"t":"seen"}`: "VALIDATION_ERROR",
		`{"t":"seen","seq":1,"offer":"f1"}`: "VALIDATION_ERROR", `{"t":"seen","offer":""}`: "VALIDATION_ERROR",
	}
	for frame, reason := range refused {
		var m wire.Message
		var refusal *fault.Error
		if err := m.Decode([]byte(frame)); !errors.As(err, &refusal) || refusal.Reason != reason {
			t.Errorf("%s: %v, want %s", frame, err, reason)
		}
	}
}

//nolint:paralleltest // AllocsPerRun counts what the whole process allocates
func TestDecodeOfAFixDoesNotAllocate(t *testing.T) {
	var m wire.Message
	frame := clientFrames(t)["fix"]
	if n := testing.AllocsPerRun(100, func() {
		if err := m.Decode(frame); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	batch := clientFrames(t)["fixes"]
	if n := testing.AllocsPerRun(100, func() { _ = m.Decode(batch) }); n > 16 {
		t.Errorf("%v allocations for a batch with bad samples", n)
	}
}

// FuzzDecode holds the decoder against encoding/json: what it accepts, encoding/json accepts and reads
// to the same values; what encoding/json refuses as no JSON, it refuses as malformed.
func FuzzDecode(f *testing.F) {
	for _, frame := range clientFrames(f) {
		f.Add(frame)
	}
	for _, s := range []string{`{"t":"ping","x":1,"x":2}`, `{"t":"fix","lat":1e999}`, `{"t":"ping","x":"\ud800\udc00\ud800"}`, `{"t":"fix","ts":1,"lat":0.1e1,"lng":-1E-2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var m wire.Message
		err := m.Decode(frame)
		var loose map[string]json.RawMessage
		jsonErr := json.Unmarshal(frame, &loose)
		var malformed *wire.Malformed
		if jsonErr != nil && !errors.As(err, &malformed) {
			t.Fatalf("accepted what is no JSON object: %v (encoding/json: %v)", err, jsonErr)
		}
		if err != nil {
			return
		}
		if !utf8.Valid(frame) {
			t.Fatal("accepted what is not UTF-8")
		}
		same(t, &m, loose)
	})
}

// same compares what was decoded with what encoding/json reads from the same members.
func same(t *testing.T, m *wire.Message, loose map[string]json.RawMessage) {
	t.Helper()
	check := func(field string, got any) {
		t.Helper()
		raw, ok := loose[field]
		if !ok || string(raw) == "null" {
			raw, _ = json.Marshal(got)
			switch string(raw) {
			case `0`, `""`, `false`, `null`:
			default:
				t.Fatalf("%s is %s but was not sent", field, raw)
			}
			return
		}
		switch got := got.(type) {
		case string:
			var want string
			if err := json.Unmarshal(raw, &want); err != nil || want != got {
				t.Fatalf("%s is %q, encoding/json has %q (%v)", field, got, want, err)
			}
		case int64:
			var want int64
			if err := json.Unmarshal(raw, &want); err != nil || want != got {
				t.Fatalf("%s is %d, encoding/json has %d (%v)", field, got, want, err)
			}
		case float64:
			var want float64
			if err := json.Unmarshal(raw, &want); err != nil || want != got && !(field == "bearing" && want == 360) {
				t.Fatalf("%s is %v, encoding/json has %v (%v)", field, got, want, err)
			}
		case bool:
			var want bool
			if err := json.Unmarshal(raw, &want); err != nil || want != got {
				t.Fatalf("%s is %v, encoding/json has %v (%v)", field, got, want, err)
			}
		}
	}
	fix := func(f track.Fix, trip string) {
		check("n", f.N)
		check("ts", f.TS)
		check("lat", f.Lat)
		check("lng", f.Lng)
		check("acc", f.Accuracy)
		check("speed", f.Speed)
		check("bearing", f.Bearing)
		check("mock", f.Mock)
		check("trip", trip)
	}
	switch m.Kind {
	case wire.Fix:
		fix(m.Fix, m.Trip)
	case wire.Fixes:
		check("id", m.ID)
		var items []json.RawMessage
		if err := json.Unmarshal(loose["fixes"], &items); err != nil || len(items) != len(m.Batch) {
			t.Fatalf("%d samples, encoding/json has %d (%v)", len(m.Batch), len(items), err)
		}
		for i, s := range m.Batch {
			loose = nil
			if s.Valid {
				if err := json.Unmarshal(items[i], &loose); err != nil {
					t.Fatal(err)
				}
				fix(s.Fix, s.Trip)
			}
		}
	case wire.Hello, wire.Auth:
		check("token", m.Token)
		if m.Kind == wire.Hello {
			check("device", m.Device)
		}
	case wire.Watch:
		check("id", m.ID)
		check("trip", m.Trip)
		check("order", m.Order)
		check("fleet", m.Fleet)
		check("all", m.All)
	case wire.Unwatch:
		check("id", m.ID)
	case wire.Replay:
		check("from", m.From)
	case wire.Seen:
		check("seq", m.Seq)
	case wire.Ping:
	}
}

func BenchmarkDecodeFix(b *testing.B) {
	var m wire.Message
	frame := clientFrames(b)["fix"]
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if err := m.Decode(frame); err != nil {
			b.Fatal(err)
		}
	}
}
