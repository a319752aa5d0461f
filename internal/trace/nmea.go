package trace

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"weelo/internal/track"
)

const knot = 0.514444 // m/s

// readNMEA reads the RMC sentences of an NMEA 0183 capture; the others repeat them or say nothing
// about where and when. Sentences with a wrong checksum and lines that are none are left out.
func readNMEA(content []byte) ([]Trace, error) {
	var t Trace
	sentences := 0
	for line := range strings.Lines(string(content)) {
		body, ok := sentence(strings.TrimSpace(line))
		if !ok {
			continue
		}
		sentences++
		f, ok := rmc(strings.Split(body, ","))
		if !ok {
			continue
		}
		if len(t.Fixes) >= MaxFixes {
			return nil, ErrTooBig
		}
		t.Fixes = append(t.Fixes, f)
	}
	if sentences == 0 {
		return nil, fmt.Errorf("%w: no NMEA sentence", ErrFormat)
	}
	return []Trace{t}, nil
}

// sentence checks $…*hh and gives what stands between.
func sentence(line string) (string, bool) {
	body, sum, found := strings.Cut(strings.TrimPrefix(line, "$"), "*")
	if !found || !strings.HasPrefix(line, "$") || len(sum) != 2 {
		return "", false
	}
	var x byte
	for i := range len(body) {
		x ^= body[i]
	}
	want, err := strconv.ParseUint(sum, 16, 8)
	return body, err == nil && byte(want) == x
}

// rmc reads time, validity, position, speed in knots, course and date.
func rmc(p []string) (track.Fix, bool) {
	if len(p) < 10 || len(p[0]) != 5 || p[0][2:] != "RMC" || p[2] != "A" {
		return track.Fix{}, false
	}
	at, err := time.Parse("020106150405", p[9]+p[1])
	lat, okLat := degreesMinutes(p[3], 2, p[4] == "S")
	lng, okLng := degreesMinutes(p[5], 3, p[6] == "W")
	if err != nil || !okLat || !okLng {
		return track.Fix{}, false
	}
	f := track.Fix{TS: at.UnixMilli(), Lat: lat, Lng: lng}
	f.Speed, f.HasSpeed = number(p[7])
	f.Speed *= knot
	f.Bearing, f.HasBearing = number(p[8])
	return f, true
}

// degreesMinutes reads ddmm.mmmm or dddmm.mmmm.
func degreesMinutes(s string, digits int, negative bool) (float64, bool) {
	if len(s) < digits+2 {
		return 0, false
	}
	whole, okWhole := number(s[:digits])
	minutes, okMinutes := number(s[digits:])
	v := whole + minutes/60
	if negative {
		v = -v
	}
	return v, okWhole && okMinutes
}
