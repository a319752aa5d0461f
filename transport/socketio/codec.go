package socketio

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/token"
	"weelo/transport/hub"
)

// formatName names the wire format to the hub.
const formatName = "socketio"

// staleAfter is how old a position may be before the apps draw it as stale (contract §2.4).
const staleAfter = time.Minute

// isoMillis is the one form of time that both apps parse.
const isoMillis = "2006-01-02T15:04:05.000Z"

// codec writes what the hub sends to one Socket.IO client. Only initial changes, and only its own
// connection changes it.
type codec struct {
	who token.Identity
	now func() time.Time
	// initial is set while the client joins a room: the trips' last positions are then worth sending.
	// At other times a trip's view may hold an older position than the one just sent.
	initial atomic.Bool
}

var _ hub.Codec = (*codec)(nil)

// Format is "socketio".
func (c *codec) Format() string { return formatName }

// MaxJoin is 1: the apps read one position per event.
func (c *codec) MaxJoin() int { return 1 }

// Join is never called, because MaxJoin is 1.
func (c *codec) Join(messages [][]byte) []byte { return messages[len(messages)-1] }

// Position is `location_updated`.
func (c *codec) Position(p *protocol.Position) []byte {
	return appendLocation(nil, p.TripID, string(p.Driver), location{
		lat: p.Fix.Lat, lng: p.Fix.Lng, speed: p.Fix.Speed, bearing: p.Fix.Bearing,
		ts: p.Fix.TS, age: max(0, p.Fix.ReceivedMS-p.Fix.TS),
	}, p.Fix.ReceivedMS)
}

// location is a position as the apps get it. Speed and bearing are 0 where the phone gave none.
type location struct {
	lat, lng, speed, bearing float64 // degrees, degrees, m/s, degrees
	ts, age                  int64   // Unix ms; ms
}

func appendLocation(dst []byte, trip, driver string, l location, serverMS int64) []byte {
	dst = append(dst, `42["location_updated",{"tripId":`...)
	dst = appendString(dst, trip)
	dst = append(dst, `,"driverId":`...)
	dst = appendString(dst, driver)
	dst = append(dst, `,"latitude":`...)
	dst = strconv.AppendFloat(dst, l.lat, 'f', -1, 64)
	dst = append(dst, `,"longitude":`...)
	dst = strconv.AppendFloat(dst, l.lng, 'f', -1, 64)
	dst = append(dst, `,"speed":`...)
	dst = strconv.AppendFloat(dst, l.speed, 'f', -1, 64)
	dst = append(dst, `,"bearing":`...)
	dst = strconv.AppendFloat(dst, l.bearing, 'f', -1, 64)
	dst = append(dst, `,"timestamp":"`...)
	dst = time.UnixMilli(l.ts).UTC().AppendFormat(dst, isoMillis)
	dst = append(dst, `","isStale":`...)
	dst = strconv.AppendBool(dst, l.age > staleAfter.Milliseconds())
	dst = append(dst, `,"locationAgeMs":`...)
	dst = strconv.AppendInt(dst, l.age, 10)
	dst = append(dst, `,"eventVersion":1,"serverTimeMs":`...)
	dst = strconv.AppendInt(dst, serverMS, 10)
	return append(dst, `}]`...)
}

// appendString writes a JSON string. Ids are plain; anything else goes through encoding/json.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always marshals
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// Event is what the table says. An event that has expired is not sent: the apps would show a trip
// that nobody can accept any more.
func (c *codec) Event(e hub.Event) [][]byte {
	now := c.now()
	if !e.Expires.IsZero() && now.After(e.Expires) {
		return nil
	}
	return c.emit(e, now, nil)
}

// emit writes one event of the domain as those of the contract; extra is added to each payload.
func (c *codec) emit(e hub.Event, now time.Time, extra fields) [][]byte {
	var out [][]byte
	for _, m := range outward[e.Type] {
		if m.to != "" && m.to != c.who.Role {
			continue
		}
		d, ok := readFields(e.Data) // anew for each: build may keep it
		if !ok || m.when != nil && !m.when(d) {
			continue
		}
		if m.build != nil {
			d = m.build(d, now)
		}
		stamp(d, e, now)
		for k, v := range extra {
			d[k] = v
		}
		out = append(out, eventMessage(m.name, d))
	}
	return out
}

// stamp adds what every event of the contract carries.
func stamp(d fields, e hub.Event, now time.Time) {
	if order := d.text("orderId"); order != "" && d.text("bookingId") == "" {
		d["bookingId"] = order
	}
	for name, value := range map[string]any{
		"eventId": e.ID, "eventVersion": 1, "payloadVersion": strconv.Itoa(max(1, e.PayloadVersion)),
	} {
		if _, ok := d[name]; !ok {
			d[name] = value
		}
	}
	d["serverTimeMs"] = now.UnixMilli()
	if e.Seq > 0 {
		d["_seq"] = e.Seq
	}
	if e.Replayed {
		d["_replayed"] = true
	}
}

// eventMessage is a complete EVENT message with one argument, spelled as the apps read it.
func eventMessage(name string, d fields) []byte {
	spell(map[string]any(d))
	body, err := json.Marshal(d)
	if err != nil { // values come out of JSON or are strings and numbers
		body = []byte("{}")
	}
	return appendEvent(make([]byte, 0, len(body)+len(name)+8), name, body)
}

// spell rewrites a payload in place: Unix ms in time fields become the apps' form, and a place gets
// both spellings of its coordinates.
func spell(value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			if ms, ok := number(inner); ok && isTime(name) {
				v[name] = time.UnixMilli(ms).UTC().Format(isoMillis)
				continue
			}
			spell(inner)
		}
		bothSpellings(v, "latitude", "lat")
		bothSpellings(v, "longitude", "lng")
	case fields:
		spell(map[string]any(v))
	case []any:
		for _, inner := range v {
			spell(inner)
		}
	}
}

func bothSpellings(v map[string]any, long, short string) {
	if value, ok := v[long]; ok {
		v[short] = value
	} else if value, ok := v[short]; ok {
		v[long] = value
	}
}

// isTime tells whether a field holds a moment. Durations and server clocks (…Ms, …Seconds) do not
// end like that.
func isTime(name string) bool {
	return name == "timestamp" || name == "lastUpdated" || strings.HasSuffix(name, "At")
}

// readFields reads a JSON object without losing digits of its numbers.
func readFields(data []byte) (fields, bool) {
	d := make(fields)
	if len(data) == 0 {
		return d, true
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&d); err != nil || d == nil {
		return nil, false
	}
	return d, true
}

// number reads a whole number out of a decoded field.
func number(value any) (int64, bool) {
	switch v := value.(type) {
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	case int64:
		return v, true
	case int:
		return int64(v), true
	}
	return 0, false
}

// Synced has no word in Socket.IO.
func (c *codec) Synced(int64) [][]byte { return nil }

// Trip is the trip's last position, at the moment the client joins its room.
func (c *codec) Trip(v *protocol.TripView, _ string) [][]byte {
	if v.Live == nil || v.EndedMS != 0 || !c.initial.Load() {
		return nil
	}
	now := c.now().UnixMilli()
	return [][]byte{appendLocation(nil, v.TripID, string(v.Driver.ID), location{
		lat: v.Live.Lat, lng: v.Live.Lng, speed: v.Live.Speed, bearing: v.Live.Bearing,
		ts: v.Live.TS, age: max(0, now-v.Live.TS),
	}, now)}
}

// Unwatched is an `error` when a trip goes on without the client. That it is over, and that another truck
// comes in its place, the trip's last assignment_status_changed says.
func (c *codec) Unwatched(_, reason string) [][]byte {
	if reason != protocol.WatchForbidden {
		return nil
	}
	return [][]byte{appendEvent(nil, "error", refusalMessage{Message: errNoTrip.Message, Code: errNoTrip.Reason}.json())}
}

// Offer is `new_broadcast` while the offer is open. Its end is the offer_closed event.
func (c *codec) Offer(o hub.Offer) [][]byte {
	now := c.now()
	d, ok := readFields(o.Data)
	if !ok || !o.Open || !o.Expires.IsZero() && now.After(o.Expires) {
		return nil
	}
	for name, value := range map[string]any{
		"type": "new_broadcast", "broadcastId": d["orderId"], "eventId": o.ID, "eventVersion": o.Version,
		"payloadVersion": strconv.FormatInt(o.Version, 10), "expiresAt": o.Expires.UnixMilli(),
	} {
		if _, ok := d[name]; !ok {
			d[name] = value
		}
	}
	d["serverTimeMs"] = now.UnixMilli()
	if o.Replayed {
		d["_replayed"] = true
	}
	return [][]byte{eventMessage("new_broadcast", d)}
}

// GoAway has no word in Socket.IO: the close that follows makes the client library reconnect.
func (c *codec) GoAway(time.Duration) [][]byte { return nil }
