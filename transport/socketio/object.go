package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"weelo/internal/fault"
)

// object is a JSON object of a client, its values not yet read. No key comes twice.
type object map[string]json.RawMessage

// maxFields bounds the keys of an object; the largest the apps send has eight.
const maxFields = 64

// readObject reads a JSON object. Duplicate keys are refused: two readers would see two things.
func readObject(data []byte) (object, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if t, err := decoder.Token(); err != nil || t != json.Delim('{') {
		return nil, fault.Invalid("payload", "An object is expected.")
	}
	o := make(object)
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, fault.Invalid("payload", "The object cannot be read.")
		}
		name, _ := key.(string) // a key is a string
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, fault.Invalid("payload", "The object cannot be read.")
		}
		if _, twice := o[name]; twice {
			return nil, fault.Invalid(name, fmt.Sprintf("%s comes twice.", name))
		}
		if o[name] = value; len(o) > maxFields {
			return nil, fault.Invalid("payload", "The object has too many fields.")
		}
	}
	return o, nil
}

// invalid is the refusal of a value with a wrong type or out of range.
func invalid(name string) *fault.Error { return fault.Invalid(name, name+" is not valid.") }

// has tells whether the field is there and not null.
func (o object) has(name string) bool {
	raw, ok := o[name]
	return ok && string(raw) != "null"
}

// optionalText reads a string of at most limit bytes and without U+0000; "" when it is absent or null.
func (o object) optionalText(name string, limit int) (string, error) {
	if !o.has(name) {
		return "", nil
	}
	var s string
	if json.Unmarshal(o[name], &s) != nil || len(s) > limit || strings.ContainsRune(s, 0) {
		return "", invalid(name)
	}
	return s, nil
}

// optionalNumber reads a number within the range, both ends included; given is false when it is absent
// or null.
func (o object) optionalNumber(name string, least, most float64) (n float64, given bool, err error) {
	if !o.has(name) {
		return 0, false, nil
	}
	if firstByte(o[name]) == '"' || json.Unmarshal(o[name], &n) != nil || n < least || n > most {
		return 0, false, invalid(name)
	}
	return n, true, nil
}
