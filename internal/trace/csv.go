package trace

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"weelo/internal/track"
)

// columns maps what people call a column to what it is. Only latitude, longitude and time must be
// there; vehicle splits the file into traces.
var columns = map[string]string{
	"lat": "lat", "latitude": "lat",
	"lng": "lng", "lon": "lng", "long": "lng", "longitude": "lng",
	"time": "time", "timestamp": "time", "ts": "time", "datetime": "time", "recorded_at": "time",
	"accuracy": "accuracy", "acc": "accuracy", "hdop_m": "accuracy",
	"speed": "speed", "speed_mps": "speed",
	"bearing": "bearing", "heading": "bearing", "course": "bearing",
	"vehicle": "vehicle", "vehicle_id": "vehicle", "driver": "vehicle", "id": "vehicle", "trip": "vehicle",
}

// readCSV reads a CSV with a header line. Time is ISO 8601, or Unix seconds or milliseconds; speed
// is m/s, accuracy metres, bearing degrees.
func readCSV(content []byte) ([]Trace, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(content, []byte("\ufeff"))))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.ReuseRecord = -1, true, true
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	at := map[string]int{}
	for i, name := range header {
		if what, known := columns[strings.ToLower(strings.TrimSpace(name))]; known {
			if _, twice := at[what]; !twice {
				at[what] = i
			}
		}
	}
	for _, must := range []string{"lat", "lng", "time"} {
		if _, there := at[must]; !there {
			return nil, fmt.Errorf("%w: the header has no column %s", ErrFormat, must)
		}
	}
	var traces []Trace
	index := map[string]int{}
	for line := 0; ; line++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return traces, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		if line >= MaxFixes {
			return nil, ErrTooBig
		}
		vehicle, fix, ok := csvFix(record, at)
		if !ok {
			continue
		}
		i, known := index[vehicle]
		if !known {
			i = len(traces)
			index[vehicle] = i
			traces = append(traces, Trace{Name: vehicle})
		}
		traces[i].Fixes = append(traces[i].Fixes, fix)
	}
}

func csvFix(record []string, at map[string]int) (vehicle string, f track.Fix, ok bool) {
	cell := func(what string) string {
		if i, there := at[what]; there && i < len(record) {
			return record[i]
		}
		return ""
	}
	lat, okLat := number(cell("lat"))
	lng, okLng := number(cell("lng"))
	ts, err := csvTime(cell("time"))
	if !okLat || !okLng || err != nil {
		return "", track.Fix{}, false
	}
	f = track.Fix{TS: ts, Lat: lat, Lng: lng}
	f.Accuracy, _ = number(cell("accuracy"))
	f.Speed, f.HasSpeed = number(cell("speed"))
	f.Bearing, f.HasBearing = number(cell("bearing"))
	return strings.Clone(cell("vehicle")), f, true
}

// csvTime takes a bare number for Unix time: seconds up to the year 5138, milliseconds above.
func csvTime(s string) (int64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	switch {
	case err != nil:
		return parseTime(s)
	case !(v > 0 && v < 1e14):
		return 0, fmt.Errorf("%w: time %.40q", ErrFormat, s)
	case v < 1e11:
		return int64(v * 1000), nil
	default:
		return int64(v), nil
	}
}
