package trace

import (
	"encoding/json"
	"fmt"
	"strings"

	"weelo/internal/track"
)

// fleetEngineLog is the part of a Google Fleet Engine log export that holds raw GPS: the requests
// in which a phone updated its vehicle.
type fleetEngineLog struct {
	Vehicle string `json:"vehicle"`
	RawLogs []struct {
		JSONPayload struct {
			Request struct {
				VehicleID string `json:"vehicleId"`
				Vehicle   struct {
					LastLocation *struct {
						RawLocation *struct {
							Latitude  float64 `json:"latitude"`
							Longitude float64 `json:"longitude"`
						} `json:"rawLocation"`
						RawLocationTime     string   `json:"rawLocationTime"`
						RawLocationAccuracy float64  `json:"rawLocationAccuracy"`
						Heading             *float64 `json:"heading"`
						Speed               *float64 `json:"speed"`
					} `json:"lastLocation"`
				} `json:"vehicle"`
			} `json:"request"`
		} `json:"jsonPayload"`
	} `json:"rawLogs"`
}

// readFleetEngine reads the raw GPS out of a Fleet Engine log export, one trace per vehicle id.
func readFleetEngine(content []byte) ([]Trace, error) {
	var log fleetEngineLog
	if err := json.Unmarshal(content, &log); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(log.RawLogs) > MaxFixes {
		return nil, ErrTooBig
	}
	t := Trace{Name: log.Vehicle}
	for _, entry := range log.RawLogs {
		l := entry.JSONPayload.Request.Vehicle.LastLocation
		if l == nil || l.RawLocation == nil {
			continue
		}
		ts, err := parseTime(l.RawLocationTime)
		if err != nil {
			continue
		}
		f := track.Fix{TS: ts, Lat: l.RawLocation.Latitude, Lng: l.RawLocation.Longitude, Accuracy: l.RawLocationAccuracy}
		if l.Heading != nil {
			f.Bearing, f.HasBearing = *l.Heading, true
		}
		if l.Speed != nil {
			f.Speed, f.HasSpeed = *l.Speed, true
		}
		t.Fixes = append(t.Fixes, f)
	}
	return []Trace{t}, nil
}

// readPoints reads an array of points with a time, as the barefoot map matcher has them:
// {"id","time","point":"POINT(lng lat)"}, one trace per id.
func readPoints(content []byte) ([]Trace, error) {
	var points []struct {
		ID      string   `json:"id"`
		Time    string   `json:"time"`
		Point   string   `json:"point"`
		Azimuth *float64 `json:"azimuth"`
	}
	if err := json.Unmarshal(content, &points); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(points) > MaxFixes {
		return nil, ErrTooBig
	}
	var traces []Trace
	index := map[string]int{}
	for _, p := range points {
		ts, err := parseTime(p.Time)
		lng, lat, ok := wktPoint(p.Point)
		if err != nil || !ok {
			continue
		}
		i, known := index[p.ID]
		if !known {
			i = len(traces)
			index[p.ID] = i
			traces = append(traces, Trace{Name: p.ID})
		}
		f := track.Fix{TS: ts, Lat: lat, Lng: lng}
		if p.Azimuth != nil {
			f.Bearing, f.HasBearing = *p.Azimuth, true
		}
		traces[i].Fixes = append(traces[i].Fixes, f)
	}
	return traces, nil
}

// wktPoint reads POINT(x y).
func wktPoint(s string) (x, y float64, ok bool) {
	inner, found := strings.CutPrefix(strings.TrimSpace(s), "POINT")
	inner = strings.TrimSpace(inner)
	if !found || len(inner) < 2 || inner[0] != '(' || inner[len(inner)-1] != ')' {
		return 0, 0, false
	}
	parts := strings.Fields(inner[1 : len(inner)-1])
	if len(parts) != 2 {
		return 0, 0, false
	}
	x, okX := number(parts[0])
	y, okY := number(parts[1])
	return x, y, okX && okY
}
