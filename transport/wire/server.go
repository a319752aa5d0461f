package wire

import (
	"encoding/json"
	"strconv"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/ledger"
	"weelo/internal/track"
)

// Welcome answers a hello.
type Welcome struct {
	Conn      string
	User      string
	Role      string
	Stream    string
	Head      int64
	Mode      string // live, replay or resync
	ExpMS     int64
	ServerMS  int64
	PingMS    int64
	StaleMS   int64
	MovingMS  int64  // how often a driver should report while he moves
	IdleMS    int64  // and while he stands
	Trip      string // the driver's live trip; "" for none
	LastFixMS int64  // of the driver's newest fix in history; 0 for none
}

// AppendWelcome appends the first message of the server.
func AppendWelcome(dst []byte, w Welcome) []byte {
	dst = append(dst, `{"t":"welcome","conn":`...)
	dst = appendText(dst, w.Conn)
	dst = append(dst, `,"user":`...)
	dst = appendText(dst, w.User)
	dst = append(dst, `,"role":`...)
	dst = appendText(dst, w.Role)
	dst = append(dst, `,"stream":`...)
	dst = appendText(dst, w.Stream)
	dst = append(dst, `,"head":`...)
	dst = strconv.AppendInt(dst, w.Head, 10)
	dst = append(dst, `,"mode":`...)
	dst = appendText(dst, w.Mode)
	dst = append(dst, `,"expMs":`...)
	dst = strconv.AppendInt(dst, w.ExpMS, 10)
	dst = append(dst, `,"serverMs":`...)
	dst = strconv.AppendInt(dst, w.ServerMS, 10)
	dst = append(dst, `,"pingMs":`...)
	dst = strconv.AppendInt(dst, w.PingMS, 10)
	dst = append(dst, `,"staleMs":`...)
	dst = strconv.AppendInt(dst, w.StaleMS, 10)
	dst = append(dst, `,"report":{"movingMs":`...)
	dst = strconv.AppendInt(dst, w.MovingMS, 10)
	dst = append(dst, `,"idleMs":`...)
	dst = strconv.AppendInt(dst, w.IdleMS, 10)
	dst = append(dst, `},"trip":`...)
	dst = appendTextOrNull(dst, w.Trip)
	dst = append(dst, `,"lastFixMs":`...)
	dst = appendIntOrNull(dst, w.LastFixMS)
	return append(dst, '}')
}

// AppendSynced ends a replay or a resync.
func AppendSynced(dst []byte, seq int64) []byte {
	dst = append(dst, `{"t":"synced","seq":`...)
	return append(strconv.AppendInt(dst, seq, 10), '}')
}

// AppendAuthed answers an auth.
func AppendAuthed(dst []byte, expMS int64) []byte {
	dst = append(dst, `{"t":"authed","expMs":`...)
	return append(strconv.AppendInt(dst, expMS, 10), '}')
}

// Ack answers a batch after its history commit.
type Ack struct {
	Re        string
	Accepted  int
	Duplicate int
	Stale     int
	Invalid   int
	InvalidAt []int // ascending
	LastFixMS int64 // 0: none
}

// AppendAck appends the answer to a batch.
func AppendAck(dst []byte, a Ack) []byte {
	dst = append(dst, `{"t":"ack","re":`...)
	dst = appendText(dst, a.Re)
	for _, c := range [...]struct {
		name string
		n    int
	}{{"accepted", a.Accepted}, {"duplicate", a.Duplicate}, {"stale", a.Stale}, {"invalid", a.Invalid}} {
		dst = append(append(append(dst, `,"`...), c.name...), `":`...)
		dst = strconv.AppendInt(dst, int64(c.n), 10)
	}
	dst = append(dst, `,"invalidAt":[`...)
	for i, at := range a.InvalidAt {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(at), 10)
	}
	dst = append(dst, `],"lastFixMs":`...)
	return append(appendIntOrNull(dst, a.LastFixMS), '}')
}

// The ends of a message of positions; Position writes one between them, and Join takes them off.
const (
	posHead = `{"t":"pos","p":[`
	posTail = `]}`
)

// AppendPosition appends the message of one position.
func AppendPosition(dst []byte, trip string, f track.Fix) []byte {
	dst = append(dst, posHead+`{"trip":`...)
	dst = appendText(dst, trip)
	dst = append(dst, `,"n":`...)
	dst = strconv.AppendInt(dst, f.N, 10)
	dst = append(dst, ',')
	dst = appendPlace(dst, f)
	return append(dst, `}`+posTail...)
}

// appendPlace appends the members that a position has everywhere.
func appendPlace(dst []byte, f track.Fix) []byte {
	dst = append(dst, `"ts":`...)
	dst = strconv.AppendInt(dst, f.TS, 10)
	dst = append(dst, `,"rx":`...)
	dst = strconv.AppendInt(dst, f.ReceivedMS, 10)
	dst = append(dst, `,"lat":`...)
	dst = appendDegrees(dst, f.Lat)
	dst = append(dst, `,"lng":`...)
	dst = appendDegrees(dst, f.Lng)
	return appendMotion(dst, f)
}

// JoinPositions makes one message of several that AppendPosition made.
func JoinPositions(messages [][]byte) []byte {
	size := len(posHead) + len(posTail)
	for _, m := range messages {
		size += len(m) - len(posHead) - len(posTail) + 1
	}
	dst := append(make([]byte, 0, size), posHead...)
	for i, m := range messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, m[len(posHead):len(m)-len(posTail)]...)
	}
	return append(dst, posTail...)
}

// AppendTrip appends the state of a trip; watch "" becomes null.
func AppendTrip(dst []byte, watch string, v *protocol.TripView) []byte {
	dst = append(dst, `{"t":"trip","watch":`...)
	dst = appendTextOrNull(dst, watch)
	dst = append(dst, `,"trip":`...)
	dst = appendText(dst, v.TripID)
	dst = append(dst, `,"order":`...)
	dst = appendTextOrNull(dst, v.OrderID)
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendInt(dst, v.Version, 10)
	dst = append(dst, `,"status":`...)
	dst = appendText(dst, v.Status)
	dst = append(dst, `,"driver":{"id":`...)
	dst = appendText(dst, string(v.Driver.ID))
	dst = append(dst, `,"name":`...)
	dst = appendText(dst, v.Driver.Name)
	dst = append(dst, `,"phone":`...)
	dst = appendTextOrNull(dst, v.Driver.Phone)
	dst = append(dst, `},"vehicle":{"id":`...)
	dst = appendText(dst, string(v.Vehicle.ID))
	dst = append(dst, `,"number":`...)
	dst = appendText(dst, v.Vehicle.Number)
	dst = append(dst, `,"type":`...)
	dst = appendText(dst, v.Vehicle.Type)
	dst = append(dst, `,"subtype":`...)
	dst = appendText(dst, v.Vehicle.Subtype)
	dst = append(dst, `},"pickup":`...)
	dst = appendStop(dst, v.Pickup)
	dst = append(dst, `,"drop":`...)
	dst = appendStop(dst, v.Drop)
	dst = append(dst, `,"pos":`...)
	if v.Live == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(appendPlace(append(dst, '{'), *v.Live), '}')
	}
	dst = append(dst, `,"eta":null,"endedMs":`...)
	return append(appendIntOrNull(dst, v.EndedMS), '}')
}

func appendStop(dst []byte, p protocol.Place) []byte {
	dst = append(dst, `{"lat":`...)
	dst = appendDegrees(dst, p.Latitude)
	dst = append(dst, `,"lng":`...)
	dst = appendDegrees(dst, p.Longitude)
	dst = append(dst, `,"address":`...)
	dst = appendText(dst, p.Address)
	dst = append(dst, `,"city":`...)
	dst = appendTextOrNull(dst, p.City)
	dst = append(dst, `,"state":`...)
	return append(appendTextOrNull(dst, p.State), '}')
}

// AppendUnwatched ends a watch.
func AppendUnwatched(dst []byte, watch, reason string) []byte {
	dst = append(dst, `{"t":"unwatched","watch":`...)
	dst = appendText(dst, watch)
	dst = append(dst, `,"reason":`...)
	return append(appendText(dst, reason), '}')
}

// AppendOffer appends the state of an offer. data is a JSON object.
func AppendOffer(dst []byte, id string, version int64, open bool, expires time.Time, data []byte) []byte {
	dst = append(dst, `{"t":"offer","id":`...)
	dst = appendText(dst, id)
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendInt(dst, version, 10)
	dst = append(dst, `,"open":`...)
	dst = strconv.AppendBool(dst, open)
	dst = append(dst, `,"expires":`...)
	dst = appendMSOrNull(dst, expires)
	dst = append(dst, `,"data":`...)
	return append(appendRaw(dst, data), '}')
}

// AppendEvent appends an event; seq 0 (a soft event, kept nowhere) becomes null.
func AppendEvent(dst []byte, seq int64, replayed bool, e *ledger.Event) []byte {
	dst = append(dst, `{"t":"event","seq":`...)
	dst = appendIntOrNull(dst, seq)
	dst = append(dst, `,"id":`...)
	dst = appendTextOrNull(dst, e.ID)
	dst = append(dst, `,"type":`...)
	dst = appendText(dst, e.Type)
	dst = append(dst, `,"v":`...)
	dst = strconv.AppendInt(dst, int64(e.PayloadVersion), 10)
	dst = append(dst, `,"at":`...)
	dst = appendMSOrNull(dst, e.At)
	dst = append(dst, `,"expires":`...)
	dst = appendMSOrNull(dst, e.Expires)
	dst = append(dst, `,"trip":`...)
	dst = appendTextOrNull(dst, e.TripID)
	dst = append(dst, `,"order":`...)
	dst = appendTextOrNull(dst, e.OrderID)
	if replayed {
		dst = append(dst, `,"replayed":true`...)
	}
	dst = append(dst, `,"data":`...)
	return append(appendRaw(dst, e.Data), '}')
}

// appendRaw appends JSON made elsewhere, {} when it is none: one bad payload must not break a frame.
func appendRaw(dst, raw []byte) []byte {
	if !json.Valid(raw) {
		return append(dst, "{}"...)
	}
	return append(dst, raw...)
}

// AppendPong answers a ping.
func AppendPong(dst []byte) []byte { return append(dst, `{"t":"pong"}`...) }

// AppendGoAway asks the client to reconnect elsewhere after the wait.
func AppendGoAway(dst []byte, wait time.Duration) []byte {
	dst = append(dst, `{"t":"goaway","reconnectMs":`...)
	return append(strconv.AppendInt(dst, wait.Milliseconds(), 10), '}')
}

// AppendError appends a refusal; re "" becomes null.
func AppendError(dst []byte, re, code, message string, retryable bool) []byte {
	dst = append(dst, `{"t":"error","re":`...)
	dst = appendTextOrNull(dst, re)
	dst = append(dst, `,"code":`...)
	dst = appendText(dst, code)
	dst = append(dst, `,"message":`...)
	dst = appendText(dst, message)
	dst = append(dst, `,"retryable":`...)
	return append(strconv.AppendBool(dst, retryable), '}')
}
