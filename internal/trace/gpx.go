package trace

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"weelo/internal/track"
)

// readGPX reads the track points of a GPX 1.0 or 1.1 file (topografix.com/GPX), one trace per trk.
// Route points and points without a time are left out: they are plans, not recordings.
func readGPX(content []byte) ([]Trace, error) {
	d := xml.NewDecoder(bytes.NewReader(content))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // numbers are ASCII in all of them
	d.Strict = false                                                                   // devices write & and worse into names
	g := gpxReader{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			g.start(e)
		case xml.EndElement:
			if err := g.end(e.Name.Local); err != nil {
				return nil, err
			}
		case xml.CharData:
			if g.field != "" && g.text.Len()+len(e) <= 256 {
				g.text.Write(e)
			}
		}
	}
	if !g.isGPX {
		return nil, fmt.Errorf("%w: no gpx element", ErrFormat)
	}
	return g.traces, nil
}

type gpxReader struct {
	isGPX  bool
	traces []Trace
	total  int
	point  *track.Fix // the open trkpt
	field  string     // the open child we read
	text   strings.Builder
	skip   bool // the open point has no usable position
}

func (g *gpxReader) start(e xml.StartElement) {
	switch name := e.Name.Local; {
	case name == "gpx":
		g.isGPX = true
	case name == "trk":
		g.traces = append(g.traces, Trace{})
	case name == "trkpt" && len(g.traces) > 0:
		g.point, g.skip = &track.Fix{}, false
		for _, a := range e.Attr {
			v, err := strconv.ParseFloat(strings.TrimSpace(a.Value), 64)
			switch a.Name.Local {
			case "lat":
				g.point.Lat, g.skip = v, g.skip || err != nil
			case "lon":
				g.point.Lng, g.skip = v, g.skip || err != nil
			}
		}
	case g.point != nil && (name == "time" || name == "speed" || name == "course"):
		g.field = name
		g.text.Reset()
	case name == "name" && g.point == nil && len(g.traces) > 0 && g.traces[len(g.traces)-1].Name == "":
		g.field = name
		g.text.Reset()
	}
}

func (g *gpxReader) end(name string) error {
	if name == "trkpt" && g.point != nil {
		if !g.skip && g.point.TS != 0 {
			if g.total++; g.total > MaxFixes {
				return ErrTooBig
			}
			last := &g.traces[len(g.traces)-1]
			last.Fixes = append(last.Fixes, *g.point)
		}
		g.point, g.field = nil, ""
	}
	if name != g.field || (name != "name" && g.point == nil) {
		return nil
	}
	text := strings.TrimSpace(g.text.String())
	g.field = ""
	switch name {
	case "name":
		g.traces[len(g.traces)-1].Name = text
	case "time":
		g.point.TS, _ = parseTime(text) // unreadable: 0, the point is left out
	case "speed":
		g.point.Speed, g.point.HasSpeed = number(text)
	case "course":
		g.point.Bearing, g.point.HasBearing = number(text)
	}
	return nil
}

func number(s string) (float64, bool) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return v, err == nil && v == v
}
