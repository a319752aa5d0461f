package socketio

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"weelo/internal/fault"
)

func TestReadObject(t *testing.T) {
	t.Parallel()
	many := make([]string, 0, maxFields+1)
	for i := range maxFields + 1 {
		many = append(many, fmt.Sprintf(`"k%d":1`, i))
	}
	for _, bad := range []string{``, `[]`, `null`, `1`, `"x"`, `{"a":1,"a":1}`, `{"a"`, `{"a":}`, `{` + strings.Join(many, ",") + `}`} {
		var refusal *fault.Error
		if _, err := readObject([]byte(bad)); !errors.As(err, &refusal) || refusal.Reason != "VALIDATION_ERROR" {
			t.Errorf("readObject(%.40s) = %v", bad, err)
		}
	}
	o, err := readObject([]byte(`{"a":{"a":1},"b":null,"c":"text","d":1.5}`))
	if err != nil || len(o) != 4 || !o.has("a") || o.has("b") || o.has("x") {
		t.Errorf("%v, %v", o, err)
	}
	if n, given, err := o.optionalNumber("d", 0, 2); n != 1.5 || !given || err != nil {
		t.Errorf("%v %v %v", n, given, err)
	}
	if _, _, err := o.optionalNumber("d", 0, 1); err == nil {
		t.Error("a number out of range was taken")
	}
	if _, err := o.optionalText("c", 3); err == nil {
		t.Error("a text that is too long was taken")
	}
}

// FuzzPayload: whatever a client puts into an event or into auth, the readers never panic, refuse with
// typed refusals only, and what they accept is in range and is what encoding/json sees.
func FuzzPayload(f *testing.F) {
	for _, seed := range []string{
		`{"tripId":"x","latitude":12.9,"longitude":77.5,"speed":11,"bearing":180}`, `{"t":"hb","lat":12.9,"lng":77.5}`,
		`{"token":"a.b.c","lastSeq":"41","fcmToken":null}`, `{"lat":1e999}`, `{"a":1,"a":2}`, `{"lastSeq":9223372036854775808}`, `"id"`, `[]`, `{`,
	} {
		f.Add([]byte(seed))
	}
	c := &conn{server: &Server{cfg: Config{Now: func() time.Time { return time.UnixMilli(1) }}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			return // the packet decoder has refused it
		}
		typed := func(err error) {
			var refusal *fault.Error
			if err != nil && !errors.As(err, &refusal) {
				t.Fatalf("untyped refusal of %q: %v", data, err)
			}
		}
		if _, err := roomID([]json.RawMessage{data}); err != nil {
			typed(err)
		}
		a, err := readAuth(data)
		typed(err)
		if err == nil && a.resume != nil && a.resume.Seq < 0 {
			t.Fatalf("a negative number: %q", data)
		}
		o, err := readObject(data)
		typed(err)
		if err != nil {
			return
		}
		var loose map[string]json.RawMessage
		if json.Unmarshal(data, &loose) != nil || len(loose) != len(o) {
			t.Fatalf("%q: encoding/json sees %d fields, we see %d", data, len(loose), len(o))
		}
		fix, err := c.position(o)
		typed(err)
		if err == nil && fix != nil && !(fix.Lat >= -90 && fix.Lat <= 90 && fix.Lng >= -180 && fix.Lng <= 180 &&
			fix.Speed >= 0 && fix.Speed <= maxSpeed && fix.Bearing >= 0 && fix.Bearing <= maxBearing) {
			t.Fatalf("%q became %+v", data, *fix)
		}
	})
}
