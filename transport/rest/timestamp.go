package rest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Timestamp is a time as the apps parse it: UTC with exactly three decimals and Z. The customer app's
// parser refuses anything else. The zero time is null.
type Timestamp time.Time

const timestampLayout = "2006-01-02T15:04:05.000Z"

// At makes a Timestamp.
func At(t time.Time) Timestamp { return Timestamp(t) }

// AtMS makes a Timestamp from Unix milliseconds; 0 is null.
func AtMS(ms int64) Timestamp {
	if ms == 0 {
		return Timestamp{}
	}
	return Timestamp(time.UnixMilli(ms))
}

// Time gives the time.
func (t Timestamp) Time() time.Time { return time.Time(t) }

// String is the wire form; "" for the zero time.
func (t Timestamp) String() string {
	if time.Time(t).IsZero() {
		return ""
	}
	return time.Time(t).UTC().Format(timestampLayout)
}

// MarshalJSON writes the wire form.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(t.String())
}

// UnmarshalJSON accepts RFC 3339 with or without a fraction, because the apps send both.
func (t *Timestamp) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if s == nil {
		*t = Timestamp{}
		return nil
	}
	parsed, err := time.Parse(time.RFC3339, *s)
	if err != nil {
		return fmt.Errorf("not a timestamp: %w", err)
	}
	*t = Timestamp(parsed.UTC())
	return nil
}

// Schema describes the wire form.
func (Timestamp) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Nullable: true, Format: "date-time",
		Description: "UTC with exactly three decimals", Examples: []any{"2026-11-24T12:00:00.000Z"},
	}
}
