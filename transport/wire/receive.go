package wire

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"weelo/internal/track"
)

// This file is the client's side: what a phone, a simulated fleet or a test writes and reads.

// AppendHello appends the first message of a client. An empty token means that the upgrade had one.
func AppendHello(dst []byte, token, device string, resume *Resume) []byte {
	dst = append(dst, `{"t":"hello"`...)
	if token != "" {
		dst = appendText(append(dst, `,"token":`...), token)
	}
	if device != "" {
		dst = appendText(append(dst, `,"device":`...), device)
	}
	if resume != nil {
		dst = appendText(append(dst, `,"resume":{"stream":`...), resume.Stream)
		dst = append(strconv.AppendInt(append(dst, `,"seq":`...), resume.Seq, 10), '}')
	}
	return append(dst, '}')
}

// AppendFix appends one position of a driver; trip "" means his live trip.
func AppendFix(dst []byte, f track.Fix, trip string) []byte {
	return appendSample(append(dst, `{"t":"fix",`...), f, trip)
}

// AppendFixes appends a batch, to be acknowledged.
func AppendFixes(dst []byte, id string, fixes []track.Fix, trip string) []byte {
	dst = appendText(append(dst, `{"t":"fixes","id":`...), id)
	dst = append(dst, `,"fixes":[`...)
	for i, f := range fixes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendSample(append(dst, '{'), f, trip)
	}
	return append(dst, ']', '}')
}

// appendSample appends the members of a fix and closes its object.
func appendSample(dst []byte, f track.Fix, trip string) []byte {
	dst = strconv.AppendInt(append(dst, `"n":`...), f.N, 10)
	dst = strconv.AppendInt(append(dst, `,"ts":`...), f.TS, 10)
	dst = appendDegrees(append(dst, `,"lat":`...), f.Lat)
	dst = appendDegrees(append(dst, `,"lng":`...), f.Lng)
	dst = appendMotion(dst, f)
	dst = strconv.AppendBool(append(dst, `,"mock":`...), f.Mock)
	if trip != "" {
		dst = appendText(append(dst, `,"trip":`...), trip)
	}
	return append(dst, '}')
}

// AppendWatch appends a watch. kind is trip, order, fleet or all; target its id, unused for the last two.
func AppendWatch(dst []byte, id, kind, target string) []byte {
	dst = appendText(append(dst, `{"t":"watch","id":`...), id)
	dst = appendText(append(dst, ','), kind)
	dst = append(dst, ':')
	if kind == "trip" || kind == "order" {
		dst = appendText(dst, target)
	} else {
		dst = append(dst, "true"...)
	}
	return append(dst, '}')
}

// AppendUnwatch appends the end of a watch.
func AppendUnwatch(dst []byte, id string) []byte {
	return append(appendText(append(dst, `{"t":"unwatch","id":`...), id), '}')
}

// AppendAuth appends a new token of the same session.
func AppendAuth(dst []byte, token string) []byte {
	return append(appendText(append(dst, `{"t":"auth","token":`...), token), '}')
}

// AppendReplay asks for the events from a number on.
func AppendReplay(dst []byte, from int64) []byte {
	return append(strconv.AppendInt(append(dst, `{"t":"replay","from":`...), from, 10), '}')
}

// AppendSeen acknowledges the events up to a number.
func AppendSeen(dst []byte, seq int64) []byte {
	return append(strconv.AppendInt(append(dst, `{"t":"seen","seq":`...), seq, 10), '}')
}

// AppendSeenOffer says that an offer is shown.
func AppendSeenOffer(dst []byte, offer string) []byte {
	return append(appendText(append(dst, `{"t":"seen","offer":`...), offer), '}')
}

// AppendPing asks for a pong.
func AppendPing(dst []byte) []byte { return append(dst, `{"t":"ping"}`...) }

// Position is one position as a watcher gets it.
type Position struct {
	Trip string
	Fix  track.Fix
}

// IsPositions tells whether a message is a pos frame, without decoding it.
func IsPositions(b []byte) bool { return bytes.HasPrefix(b, []byte(posHead)) }

// DecodePositions decodes a pos frame and appends its positions to into.
func DecodePositions(b []byte, into []Position) ([]Position, error) {
	if !utf8.Valid(b) {
		return into, &Malformed{What: "not UTF-8"}
	}
	s := &scanner{b: b}
	r := &reader{scanner: s}
	var f fields
	for r.next(&f) {
		switch string(f.key) {
		case "t":
			if r.str("t", 0, maxID, "pos") != "pos" {
				r.refuseField("t", "is not pos")
			}
		case "p":
			into = r.positions(into)
		default:
			r.skip()
		}
	}
	s.end()
	if s.err != nil {
		return into, s.err
	}
	if r.refusal != nil {
		return into, r.refusal
	}
	return into, nil
}

func (r *reader) positions(into []Position) []Position {
	if !r.expect('[') {
		return into
	}
	if r.peek() == ']' {
		r.i++
		return into
	}
	for r.err == nil {
		into = append(into, r.position(into))
		if r.peek() == ']' {
			r.i++
			return into
		}
		r.expect(',')
	}
	return into
}

func (r *reader) position(before []Position) Position {
	var (
		p    Position
		f    fields
		last string
	)
	if n := len(before); n > 0 {
		last = before[n-1].Trip
	}
	for r.next(&f) {
		switch string(f.key) {
		case "trip":
			p.Trip = r.str("trip", 0, maxID, last)
		case "n":
			p.Fix.N = r.integer("n", 0, 1<<53)
		case "ts":
			p.Fix.TS = r.integer("ts", 0, maxTS)
		case "rx":
			p.Fix.ReceivedMS = r.integer("rx", 0, maxTS)
		case "lat":
			p.Fix.Lat = r.float("lat", -90, 90)
		case "lng":
			p.Fix.Lng = r.float("lng", -180, 180)
		case "acc":
			p.Fix.Accuracy = r.float("acc", 0, maxAccuracy)
		case "speed":
			if !r.null() {
				p.Fix.Speed, p.Fix.HasSpeed = r.float("speed", 0, maxSpeed), true
			}
		case "bearing":
			if !r.null() {
				p.Fix.Bearing, p.Fix.HasBearing = r.bearing(), true
			}
		default:
			r.skip()
		}
	}
	return p
}

// Received is any message of the server but pos, as a client reads it. Which fields are set depends
// on T.
type Received struct {
	T string `json:"t"`

	// welcome, authed
	Conn      string `json:"conn"`
	User      string `json:"user"`
	Role      string `json:"role"`
	Stream    string `json:"stream"`
	Head      int64  `json:"head"`
	Mode      string `json:"mode"`
	ExpMS     int64  `json:"expMs"`
	ServerMS  int64  `json:"serverMs"`
	PingMS    int64  `json:"pingMs"`
	StaleMS   int64  `json:"staleMs"`
	Report    Report `json:"report"`
	LastFixMS int64  `json:"lastFixMs"` // also of ack; 0 for null

	// event, synced
	Seq      int64  `json:"seq"`
	ID       string `json:"id"` // also of offer
	Type     string `json:"type"`
	V        int    `json:"v"`
	At       int64  `json:"at"`
	Expires  int64  `json:"expires"` // also of offer
	Order    string `json:"order"`   // also of trip
	Replayed bool   `json:"replayed"`

	// trip (its id; also of welcome and event), unwatched, offer
	Trip    string          `json:"trip"`
	Watch   string          `json:"watch"`
	Version int64           `json:"version"`
	Status  string          `json:"status"`
	Driver  json.RawMessage `json:"driver"`
	Vehicle json.RawMessage `json:"vehicle"`
	Pickup  *Stop           `json:"pickup"`
	Drop    *Stop           `json:"drop"`
	Pos     *Place          `json:"pos"`
	EndedMS int64           `json:"endedMs"`
	Reason  string          `json:"reason"`
	Open    bool            `json:"open"`
	Data    json.RawMessage `json:"data"` // of event and offer

	// ack, error
	Re        string `json:"re"`
	Accepted  int    `json:"accepted"`
	Duplicate int    `json:"duplicate"`
	Stale     int    `json:"stale"`
	Invalid   int    `json:"invalid"`
	InvalidAt []int  `json:"invalidAt"`
	Code      string `json:"code"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`

	// goaway
	ReconnectMS int64 `json:"reconnectMs"`
}

// Report is how often a driver should report.
type Report struct {
	MovingMS int64 `json:"movingMs"`
	IdleMS   int64 `json:"idleMs"`
}

// Stop is a pickup or a drop.
type Stop struct {
	Lat     float64 `json:"lat"`
	Lng     float64 `json:"lng"`
	Address string  `json:"address"`
	City    string  `json:"city"`
	State   string  `json:"state"`
}

// Place is the last position in a trip frame.
type Place struct {
	TS      int64    `json:"ts"`
	RX      int64    `json:"rx"`
	Lat     float64  `json:"lat"`
	Lng     float64  `json:"lng"`
	Speed   *float64 `json:"speed"`
	Bearing *float64 `json:"bearing"`
	Acc     float64  `json:"acc"`
}

// DecodeReceived decodes any message of the server but pos.
func DecodeReceived(b []byte) (*Received, error) {
	var r Received
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, &Malformed{What: err.Error()}
	}
	if r.T == "" {
		return nil, &Malformed{What: "no t"}
	}
	return &r, nil
}
