package wire_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weelo/actors/protocol"
	"weelo/internal/ledger"
	"weelo/internal/track"
	"weelo/transport/wire"
)

var moment = time.UnixMilli(1700000000123)

func fix() track.Fix {
	return track.Fix{N: 7, TS: 1700000000123, ReceivedMS: 1700000000456, Lat: 12.9716, Lng: -0.0000004, Accuracy: 8.25, Speed: 11.254, HasSpeed: true, Bearing: 181, HasBearing: true}
}

func TestEncodeGolden(t *testing.T) {
	t.Parallel()
	still := track.Fix{TS: 1, ReceivedMS: 2, Lat: -33.8688197, Lng: 151.2092955}
	view := protocol.TripView{
		TripID: "t1", OrderID: "o1", Version: 9, Status: "in_transit",
		Driver: protocol.Person{ID: "d1", Name: "Ravi \"R\"", Phone: "+91******3210"}, Vehicle: protocol.VehicleView{ID: "v1", Number: "KA01AB1234", Type: "open", Subtype: "17ft"},
		Pickup: protocol.Place{Latitude: 12.9716, Longitude: 77.5946, Address: "MG Road", City: "Bengaluru", State: "Karnataka"},
		Drop:   protocol.Place{Latitude: 13.0827, Longitude: 80.2707, Address: "अन्ना सलाई"}, Live: &still,
	}
	bare := protocol.TripView{TripID: "t1", Status: "pending", EndedMS: 5}
	event := ledger.Event{ID: "e1", Type: "trip_status", PayloadVersion: 1, At: moment, Expires: moment.Add(time.Second), TripID: "t1", OrderID: "o1", Data: []byte(`{"status":"in_transit"}`)}
	soft := ledger.Event{Type: "driver_connectivity", PayloadVersion: 1, At: moment, Data: []byte(`broken`)}
	one, two := wire.AppendPosition(nil, "t1", fix()), wire.AppendPosition(nil, "t2", still)
	for name, got := range map[string][]byte{
		"welcome":        wire.AppendWelcome(nil, wire.Welcome{Conn: "c", User: "u", Role: "driver", Stream: "s1", Head: 57, Mode: "replay", ExpMS: 1, ServerMS: 2, PingMS: 25000, StaleMS: 60000, MovingMS: 5000, IdleMS: 30000, Trip: "t1", LastFixMS: 3}),
		"welcome_bare":   wire.AppendWelcome(nil, wire.Welcome{Conn: "c", User: "u", Role: "customer", Stream: "s1", Mode: "live"}),
		"synced":         wire.AppendSynced(nil, 57),
		"authed":         wire.AppendAuthed(nil, 1700000000123),
		"ack":            wire.AppendAck(nil, wire.Ack{Re: "b1", Accepted: 3, Duplicate: 1, Invalid: 2, InvalidAt: []int{2, 5}, LastFixMS: 4}),
		"ack_bare":       wire.AppendAck(nil, wire.Ack{Re: "b1"}),
		"pos":            one,
		"pos_joined":     wire.JoinPositions([][]byte{one, two}),
		"trip":           wire.AppendTrip(nil, "w1", &view),
		"trip_bare":      wire.AppendTrip(nil, "", &bare),
		"unwatched":      wire.AppendUnwatched(nil, "w1", "ended"),
		"offer":          wire.AppendOffer(nil, "f1", 2, true, moment, []byte(`{"orderId":"o1"}`)),
		"offer_closed":   wire.AppendOffer(nil, "f1", 3, false, time.Time{}, nil),
		"event":          wire.AppendEvent(nil, 42, false, &event),
		"event_replayed": wire.AppendEvent(nil, 42, true, &event),
		"event_soft":     wire.AppendEvent(nil, 0, false, &soft),
		"pong":           wire.AppendPong(nil),
		"goaway":         wire.AppendGoAway(nil, 1800*time.Millisecond),
		"error":          wire.AppendError(nil, "w1", "NOT_FOUND", "No such trip.", false),
		"error_bare":     wire.AppendError(nil, "", "RATE_LIMITED", "Slow\ndown\x01", true),
	} {
		golden(t, "server_"+name+".json", got)
		if !json.Valid(got) {
			t.Errorf("%s is no JSON: %s", name, got)
		}
		if !wire.IsPositions(got) {
			if r, err := wire.DecodeReceived(got); err != nil || !strings.HasPrefix(name, r.T) {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		}
	}
}

func TestPositionsRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fixes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) track.Fix {
			f := track.Fix{
				N: rapid.Int64Range(0, 1<<53).Draw(t, "n"), TS: rapid.Int64Range(1, 1<<43).Draw(t, "ts"), ReceivedMS: rapid.Int64Range(1, 1<<43).Draw(t, "rx"),
				Lat: micro(rapid.Float64Range(-90, 90).Draw(t, "lat"), 6), Lng: micro(rapid.Float64Range(-180, 180).Draw(t, "lng"), 6),
				Accuracy: micro(rapid.Float64Range(0, 500).Draw(t, "acc"), 1),
				HasSpeed: rapid.Bool().Draw(t, "hasSpeed"), HasBearing: rapid.Bool().Draw(t, "hasBearing"),
			}
			if f.HasSpeed {
				f.Speed = micro(rapid.Float64Range(0, 110).Draw(t, "speed"), 2)
			}
			if f.HasBearing {
				f.Bearing = micro(rapid.Float64Range(0, 359.9).Draw(t, "bearing"), 1)
			}
			return f
		}), 1, 64).Draw(t, "fixes")
		var messages [][]byte
		var want []wire.Position
		for _, f := range fixes {
			trip := rapid.StringMatching(`[ -~é]{0,20}`).Draw(t, "trip")
			messages = append(messages, wire.AppendPosition(nil, trip, f))
			want = append(want, wire.Position{Trip: trip, Fix: f})
		}
		got, err := wire.DecodePositions(wire.JoinPositions(messages), nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("positions (-want +got):\n%s", d)
		}
	})
}

// micro rounds to decimals as JSON would carry it.
func micro(x float64, decimals int) float64 {
	p := math.Pow10(decimals)
	if r := math.Round(x*p) / p; r != 0 {
		return r
	}
	return 0 // not −0
}

func TestFixRoundTrip(t *testing.T) {
	t.Parallel()
	f := track.Fix{N: 3, TS: 1700000000123, Lat: 12.9716, Lng: 77.5946, Accuracy: 8, Speed: 11.25, HasSpeed: true, Mock: true}
	var m wire.Message
	if err := m.Decode(wire.AppendFix(nil, f, "t1")); err != nil || m.Fix != f || m.Trip != "t1" {
		t.Errorf("%+v %q, %v", m.Fix, m.Trip, err)
	}
	if err := m.Decode(wire.AppendFixes(nil, "b", []track.Fix{f, f}, "")); err != nil || len(m.Batch) != 2 || m.Batch[1] != (wire.Sample{Fix: f, Valid: true}) {
		t.Errorf("%+v, %v", m.Batch, err)
	}
	if err := m.Decode(wire.AppendHello(nil, "a", "b", &wire.Resume{Stream: "s", Seq: 4})); err != nil || *m.Resume != (wire.Resume{Stream: "s", Seq: 4}) || m.Token != "a" || m.Device != "b" {
		t.Errorf("%+v, %v", m, err)
	}
	for kind, want := range map[string]wire.Message{"trip": {Trip: "x"}, "order": {Order: "x"}, "fleet": {Fleet: true}, "all": {All: true}} {
		if err := m.Decode(wire.AppendWatch(nil, "w", kind, "x")); err != nil || m.ID != "w" || m.Trip != want.Trip || m.Order != want.Order || m.Fleet != want.Fleet || m.All != want.All {
			t.Errorf("%s: %+v, %v", kind, m, err)
		}
	}
	for _, frame := range [][]byte{wire.AppendUnwatch(nil, "w"), wire.AppendAuth(nil, "x"), wire.AppendReplay(nil, 1), wire.AppendSeen(nil, 0), wire.AppendPing(nil)} {
		if err := m.Decode(frame); err != nil {
			t.Errorf("%s: %v", frame, err)
		}
	}
}

func TestTextRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		var r struct{ Message string }
		if err := json.Unmarshal(wire.AppendError(nil, "", "X", text, false), &r); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(text, "\ufffd"); utf8.ValidString(text) && r.Message != want {
			t.Fatalf("%q became %q", text, r.Message)
		}
	})
	var r struct{ Message string }
	if err := json.Unmarshal(wire.AppendError(nil, "", "X", "a\xffb", false), &r); err != nil || r.Message != "a\ufffdb" {
		t.Errorf("%q, %v", r.Message, err)
	}
}

func TestWhatIsNotFiniteBecomesZero(t *testing.T) {
	t.Parallel()
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e300} {
		if b := wire.AppendPosition(nil, "t", track.Fix{Lat: x, Lng: x, Speed: x, HasSpeed: true, Accuracy: x}); !json.Valid(b) {
			t.Errorf("%v: %s", x, b)
		}
	}
}

// FuzzDecodePositions holds the client's decoder of pos against encoding/json.
func FuzzDecodePositions(f *testing.F) {
	f.Add(wire.AppendPosition(nil, "t1", fix()))
	f.Add([]byte(`{"p":[{"trip":"a","lat":1e1},{}],"t":"pos","x":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := wire.DecodePositions(b, nil)
		var want struct {
			P []struct {
				Trip     string   `json:"trip"`
				Lat, Lng float64  `json:"-"`
				TS       int64    `json:"ts"`
				Speed    *float64 `json:"speed"`
			} `json:"p"`
		}
		var malformed *wire.Malformed
		if !json.Valid(b) && !errors.As(err, &malformed) {
			t.Fatalf("accepted what is no JSON: %v", err)
		}
		if err != nil {
			return
		}
		if len(strings.ToLower(string(b))) != len(b) || strings.ContainsAny(string(b), "PTS") {
			return // encoding/json ignores the case of keys, the protocol does not
		}
		if err := json.Unmarshal(b, &want); err != nil || len(want.P) != len(got) {
			t.Fatalf("%d positions, encoding/json has %d (%v)", len(got), len(want.P), err)
		}
		for i, w := range want.P {
			if w.Trip != got[i].Trip || w.TS != got[i].Fix.TS || (w.Speed != nil) != got[i].Fix.HasSpeed {
				t.Fatalf("%+v, encoding/json has %+v", got[i], w)
			}
		}
	})
}

// FuzzDecodeReceived: whatever a server sends, the client does not panic.
func FuzzDecodeReceived(f *testing.F) {
	f.Add(wire.AppendSynced(nil, 7))
	f.Add([]byte(`{"t":"ack","invalidAt":[1,2]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := wire.DecodeReceived(b)
		if (err == nil) != (r != nil && r.T != "") {
			t.Fatalf("%+v, %v", r, err)
		}
	})
}

func BenchmarkAppendPosition(b *testing.B) {
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		dst = wire.AppendPosition(dst[:0], "6f1c1f5e-6c1e-4d0e-9d52-0d6a3f1f4a11", fix())
	}
}
