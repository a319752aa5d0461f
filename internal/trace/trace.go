// Package trace reads recorded drives and plays them somewhere else: real GPS traces in the formats
// people have them in, laid onto a lane between two places, seen through a phone with the faults
// that phones have.
//
// Invariants: what is read is bounded, finite and sorted by time, whatever the file says; a file
// that is not what it claims to be is an error, never a panic. Playing is a pure function of the
// trace, the lane and the seed, so a checker can know what a driver will have sent.
package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"weelo/internal/geo"
	"weelo/internal/track"
)

// Bounds of one file. A day of one fix a second is 86,400 fixes.
const (
	MaxBytes = 64 << 20
	MaxFixes = 1_000_000
)

// The ways in which a file is refused.
var (
	ErrFormat = errors.New("trace: not in this format")
	ErrTooBig = errors.New("trace: file too big")
	ErrEmpty  = errors.New("trace: no fixes with a time")
)

// Trace is one recorded drive: fixes in order of time, no two with the same.
type Trace struct {
	Name  string
	Fixes []track.Fix
}

// Duration is the time from the first to the last fix.
func (t Trace) Duration() time.Duration {
	if len(t.Fixes) == 0 {
		return 0
	}
	return time.Duration(t.Fixes[len(t.Fixes)-1].TS-t.Fixes[0].TS) * time.Millisecond
}

// LengthM is the way from fix to fix in metres, jitter included.
func (t Trace) LengthM() float64 {
	var sum float64
	for i := 1; i < len(t.Fixes); i++ {
		sum += geo.Distance(t.Fixes[i-1].Point(), t.Fixes[i].Point())
	}
	return sum
}

// Read reads a file by what its name ends in: .gpx, .csv, .nmea or .log, and .json for Fleet Engine
// logs and for points with a time (barefoot). Each drive in it becomes a trace.
func Read(name string, r io.Reader) ([]Trace, error) {
	content, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(content) > MaxBytes {
		return nil, fmt.Errorf("read %s: %w", name, ErrTooBig)
	}
	read, ok := readers[strings.ToLower(path.Ext(name))]
	if !ok {
		return nil, fmt.Errorf("read %s: %w: known are .gpx, .csv, .json, .nmea and .log", name, ErrFormat)
	}
	traces, err := read(content)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	kept := traces[:0]
	for _, t := range traces {
		if t.Name == "" {
			t.Name = path.Base(name)
		}
		if t.Fixes = tidy(t.Fixes); len(t.Fixes) > 0 {
			kept = append(kept, t)
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("read %s: %w", name, ErrEmpty)
	}
	return kept, nil
}

var readers = map[string]func([]byte) ([]Trace, error){
	".gpx":  readGPX,
	".csv":  readCSV,
	".json": readJSON,
	".nmea": readNMEA,
	".log":  readNMEA,
}

// readJSON tells the two JSON formats apart by their first character.
func readJSON(content []byte) ([]Trace, error) {
	content = bytes.TrimLeft(content, " \t\r\n\ufeff")
	if len(content) > 0 && content[0] == '[' {
		return readPoints(content)
	}
	return readFleetEngine(content)
}

// tidy drops what is no position, clamps what devices get wrong, and sorts.
func tidy(fixes []track.Fix) []track.Fix {
	kept := make([]track.Fix, 0, len(fixes))
	for _, f := range fixes {
		if f.TS <= 0 || !f.Point().Valid() || (f.Lat == 0 && f.Lng == 0) {
			continue
		}
		if math.IsNaN(f.Accuracy) || f.Accuracy < 0 {
			f.Accuracy = 0
		}
		f.Accuracy = min(f.Accuracy, track.MaxAccuracyM)
		if f.HasSpeed && !(f.Speed >= 0 && f.Speed <= track.MaxSpeedMPS) { // some receivers report backwards
			f.Speed, f.HasSpeed = 0, false
		}
		if f.HasBearing && !(f.Bearing >= 0 && f.Bearing <= 360) {
			f.Bearing, f.HasBearing = 0, false
		}
		kept = append(kept, f)
	}
	return track.Sort(kept)
}

// Split cuts a trace wherever nothing was recorded for longer than gap or where two fixes are
// further apart than speed (m/s) allows, and keeps the pieces of at least atLeast.
func (t Trace) Split(gap time.Duration, speed float64, atLeast time.Duration) []Trace {
	var pieces []Trace
	begin := 0
	for i := 1; i <= len(t.Fixes); i++ {
		if i < len(t.Fixes) {
			a, b := t.Fixes[i-1], t.Fixes[i]
			dt := float64(b.TS-a.TS) / 1000
			if dt <= gap.Seconds() && geo.Distance(a.Point(), b.Point()) <= speed*dt {
				continue
			}
		}
		piece := Trace{Name: fmt.Sprintf("%s#%d", t.Name, len(pieces)), Fixes: slices.Clone(t.Fixes[begin:i])}
		if piece.Duration() >= atLeast {
			pieces = append(pieces, piece)
		}
		begin = i
	}
	return pieces
}

// parseTime reads the spellings of time that trace files have.
func parseTime(s string) (int64, error) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05-0700", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("%w: time %.40q", ErrFormat, s)
}
