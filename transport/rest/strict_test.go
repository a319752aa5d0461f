package rest

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"weelo/internal/fault"
)

type strictBody struct {
	Phone  string  `json:"phone"`
	Role   *string `json:"role"`
	Nested []struct {
		PlateNumber any `json:"plateNumber"`
	} `json:"nested"`
	Kind any `json:"kind"`
}

func TestFieldNamesAreCollectedDeep(t *testing.T) {
	t.Parallel()
	names := fieldNames(reflect.TypeFor[strictBody]())
	for _, want := range []string{"phone", "role", "nested", "plateNumber", "kind"} {
		if names[fold(want)] != want {
			t.Errorf("%s is missing in %v", want, names)
		}
	}
	if fold("PHONE") != fold("phone") || fold("\u212aind") != fold("kind") || fold("phone") == fold("phones") {
		t.Error("folding")
	}
}

// Whatever is let through means one thing: it is one JSON value, and the struct that a handler gets
// says what a reader that knows exact names only says.
func FuzzOneReading(f *testing.F) {
	for _, s := range []string{
		`{"phone":"1","role":"x"}`, `{"phone":"1","PHONE":"2"}`, `{"phone":"1","phone":"2"}`, `{"phone":"1"}{}`, `{"phone":"1"} x`,
		`{"nested":[{"plateNumber":1},{"PlateNumber":2}]}`, "{\"\u212aind\":1}", `{"ph\u006fne":"1","phone":"2"}`, `[]`, `null`, ``, `{"a":` + strings.Repeat("[", 40),
		`{"role":null}`, `1e999`, `{"phone":"\ud800"}`, `{"kind":{"kind":{"kind":1}}}`,
	} {
		f.Add(s)
	}
	names := fieldNames(reflect.TypeFor[strictBody]())
	f.Fuzz(func(t *testing.T, s string) {
		err := oneReading([]byte(s), names)
		if err != nil {
			var e *fault.Error
			if !errors.As(err, &e) || e.Reason != "VALIDATION_ERROR" {
				t.Fatalf("%q: an untyped refusal: %v", s, err)
			}
			return
		}
		if !json.Valid([]byte(s)) {
			t.Fatalf("let through what is not JSON: %q", s)
		}
		var loose map[string]json.RawMessage
		var body strictBody
		if json.Unmarshal([]byte(s), &loose) != nil || loose == nil || json.Unmarshal([]byte(s), &body) != nil {
			return // not an object, or of other types: the schema's matter
		}
		if body.Phone != "" {
			var exact string
			if json.Unmarshal(loose["phone"], &exact) != nil || exact != body.Phone {
				t.Fatalf("%q: the handler sees phone %q, another reader %q", s, body.Phone, exact)
			}
		}
		if (body.Kind != nil) != (loose["kind"] != nil && string(loose["kind"]) != "null") {
			t.Fatalf("%q: the handler sees kind %v, another reader %s", s, body.Kind, loose["kind"])
		}
	})
}
