package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"weelo/internal/fault"
)

// The limits of a body, in bytes and levels.
const (
	MaxBody     = 1 << 20 // the apps' contract
	MaxAuthBody = 4 << 10
	maxDepth    = 32
)

// guard reads a body, checks that it is one JSON value without a second reading, and puts it back.
// names are the field names the route knows, by their folded form.
func guard(w http.ResponseWriter, r *http.Request, limit int64, names map[string]string) error {
	if !isJSON(r.Header) {
		return errMediaType
	}
	if r.ContentLength > limit {
		return errTooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errTooLarge
	case err != nil:
		return errBrokenBody.Because(err)
	}
	if err := oneReading(body, names); err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// isJSON tells whether a body says that it is JSON in UTF-8, as it stands.
func isJSON(h http.Header) bool {
	kind, more, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "application/json" || len(h.Values("Content-Type")) != 1 {
		return false
	}
	if charset, ok := more["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	coding := h.Get("Content-Encoding")
	return coding == "" || strings.EqualFold(coding, "identity")
}

// oneReading refuses what two JSON readers could understand differently: a key twice, a key in two
// cases or in another case than the field's (encoding/json matches "PHONE" to phone), bytes that are no
// UTF-8 (encoding/json puts others in their place), and anything after the value's end. U+0000 is refused
// too: no text of ours has it, and Postgres cannot keep it.
func oneReading(body []byte, names map[string]string) error {
	if !utf8.Valid(body) {
		return errBrokenBody
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	s := scan{dec: dec, names: names}
	if err := s.value("body", 0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errBrokenBody
	}
	return nil
}

type scan struct {
	dec   *json.Decoder
	names map[string]string
}

// value reads the value of a field.
func (s scan) value(field string, depth int) error {
	t, err := s.dec.Token()
	if err != nil {
		return errBrokenBody
	}
	if text, ok := t.(string); ok && strings.ContainsRune(text, 0) {
		return fault.Invalid(field, "A text may not have the character U+0000.")
	}
	d, nested := t.(json.Delim)
	if !nested {
		return nil
	}
	if depth >= maxDepth {
		return fault.Invalid("body", "The request is nested too deeply.")
	}
	if d == '{' {
		err = s.members(depth)
	} else {
		for err == nil && s.dec.More() {
			err = s.value(field, depth+1)
		}
	}
	if err != nil {
		return err
	}
	if _, err := s.dec.Token(); err != nil { // the closing bracket
		return errBrokenBody
	}
	return nil
}

func (s scan) members(depth int) error {
	seen := make(map[string]bool, 8)
	for s.dec.More() {
		t, err := s.dec.Token()
		if err != nil {
			return errBrokenBody
		}
		key, ok := t.(string)
		if !ok {
			return errBrokenBody
		}
		folded := fold(key)
		if known, ok := s.names[folded]; ok && known != key {
			return fault.Invalid(known, "A field's name is written in another case.")
		}
		if seen[folded] {
			return fault.Invalid("body", "A field is given twice.")
		}
		seen[folded] = true
		if strings.ContainsRune(key, 0) {
			return fault.Invalid("body", "A field's name may not have the character U+0000.")
		}
		if err := s.value(key, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// fold maps every spelling that encoding/json would take for the same name to one string: it folds
// by Unicode, so the Kelvin sign is a k too.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
	}, name)
}

// fieldNames collects the JSON names in a type, folded → exact. A name that is spelled in two cases
// within one body is not checked by name, only for duplicates.
func fieldNames(t reflect.Type) map[string]string {
	names := map[string]string{}
	collect(t, names, map[reflect.Type]bool{})
	for folded, exact := range names {
		if exact == "" {
			delete(names, folded)
		}
	}
	return names
}

func collect(t reflect.Type, names map[string]string, seen map[reflect.Type]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return
	}
	seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		if name != "-" && f.IsExported() && !f.Anonymous {
			if known, ok := names[fold(name)]; ok && known != name {
				name = ""
			}
			if name != "" {
				names[fold(name)] = name
			} else {
				names[fold(f.Name)] = ""
			}
		}
		collect(f.Type, names, seen)
	}
}
