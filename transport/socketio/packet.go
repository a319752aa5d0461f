package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// The Engine.IO packet types (engine.io-protocol v4): one ASCII digit before the payload.
const (
	engineOpen    = '0'
	engineClose   = '1'
	enginePing    = '2'
	enginePong    = '3'
	engineMessage = '4'
	engineUpgrade = '5'
	engineNoop    = '6'
)

// packetType is the type of a Socket.IO packet (socket.io-protocol v5).
type packetType byte

// The Socket.IO packet types.
const (
	packetConnect packetType = iota
	packetDisconnect
	packetEvent
	packetAck
	packetConnectError
	packetBinaryEvent
	packetBinaryAck
)

const (
	// rootNamespace is the only namespace the apps use and the only one served.
	rootNamespace = "/"
	// maxAttachments bounds the binary frames a packet may announce, as the reference parser does.
	maxAttachments = 10
	// maxNamespace bounds the name of a namespace, in bytes; longer ones are malformed.
	maxNamespace = 256
	// maxAckID is the largest integer JavaScript counts exactly: 2^53 - 1.
	maxAckID = 1<<53 - 1
)

// errMalformed is wrapped by everything decode refuses: the connection is then closed, as the
// protocol demands.
var errMalformed = errors.New("socketio: malformed packet")

// packet is one Socket.IO packet without its Engine.IO type. Data aliases the decoded frame: it
// is valid JSON, or empty when the packet has none.
type packet struct {
	Type        packetType
	Attachments int    // of binary packets only
	Namespace   string // "/" when the frame names none
	HasID       bool
	ID          uint64 // of events that want an acknowledgement, and of acknowledgements
	Data        []byte
}

// decodePacket reads one Socket.IO packet: type, attachments, namespace, id, payload. It is
// stricter than the reference parser in one place: an event or acknowledgement without a payload
// is malformed, because it names nothing.
func decodePacket(frame []byte) (packet, error) {
	if len(frame) == 0 || frame[0] < '0' || frame[0] > '6' {
		return packet{}, fmt.Errorf("%w: unknown type", errMalformed)
	}
	p := packet{Type: packetType(frame[0] - '0'), Namespace: rootNamespace}
	rest := frame[1:]

	if p.Type == packetBinaryEvent || p.Type == packetBinaryAck {
		digits, after := leadingDigits(rest)
		n, err := strconv.Atoi(string(digits))
		if err != nil || len(after) == 0 || after[0] != '-' || n > maxAttachments {
			return packet{}, fmt.Errorf("%w: illegal attachments", errMalformed)
		}
		p.Attachments, rest = n, after[1:]
	}
	if len(rest) > 0 && rest[0] == '/' {
		name, after, _ := bytes.Cut(rest, []byte{','})
		if len(name) > maxNamespace {
			return packet{}, fmt.Errorf("%w: namespace too long", errMalformed)
		}
		p.Namespace, rest = string(name), after
	}
	if digits, after := leadingDigits(rest); len(digits) > 0 {
		id, err := strconv.ParseUint(string(digits), 10, 64)
		if err != nil || id > maxAckID {
			return packet{}, fmt.Errorf("%w: illegal acknowledgement id", errMalformed)
		}
		p.HasID, p.ID, rest = true, id, after
	}
	p.Data = rest
	return p, p.checkPayload()
}

// leadingDigits splits b after its decimal digits.
func leadingDigits(b []byte) (digits, rest []byte) {
	i := 0
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return b[:i], b[i:]
}

// checkPayload holds the payload against what its type allows.
func (p packet) checkPayload() error {
	if len(p.Data) > 0 && !json.Valid(p.Data) {
		return fmt.Errorf("%w: payload is not JSON", errMalformed)
	}
	first := firstByte(p.Data)
	ok := false
	switch p.Type {
	case packetConnect:
		ok = first == 0 || first == '{'
	case packetDisconnect:
		ok = first == 0
	case packetConnectError:
		ok = first == 0 || first == '{' || first == '"'
	case packetAck, packetBinaryAck:
		ok = first == '[' && p.HasID
	case packetEvent, packetBinaryEvent:
		ok = first == '['
	}
	if !ok {
		return fmt.Errorf("%w: payload does not fit type %d", errMalformed, p.Type)
	}
	return nil
}

// firstByte is the first byte of a JSON text that is not white space, 0 when there is none.
func firstByte(b []byte) byte {
	for _, c := range b {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// event is a decoded EVENT: a name and its arguments, each one a JSON text.
type event struct {
	Name string
	Args []json.RawMessage
}

// decodeEvent reads the payload of an EVENT. Names that the client libraries keep for themselves
// are malformed, as in the reference parser.
func decodeEvent(data []byte) (event, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil || len(parts) == 0 {
		return event{}, fmt.Errorf("%w: event without a name", errMalformed)
	}
	e := event{Args: parts[1:]}
	if firstByte(parts[0]) != '"' || json.Unmarshal(parts[0], &e.Name) != nil {
		return event{}, fmt.Errorf("%w: event name is not a string", errMalformed)
	}
	switch e.Name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return event{}, fmt.Errorf("%w: reserved event name", errMalformed)
	}
	return e, nil
}

// encodePacket writes p as a whole Engine.IO message frame.
func encodePacket(p packet) []byte {
	dst := append(make([]byte, 0, len(p.Data)+len(p.Namespace)+24), engineMessage, '0'+byte(p.Type))
	if p.Type == packetBinaryEvent || p.Type == packetBinaryAck {
		dst = strconv.AppendInt(dst, int64(p.Attachments), 10)
		dst = append(dst, '-')
	}
	if p.Namespace != rootNamespace {
		dst = append(dst, p.Namespace...)
		dst = append(dst, ',')
	}
	if p.HasID {
		dst = strconv.AppendUint(dst, p.ID, 10)
	}
	return append(dst, p.Data...)
}

// appendEvent writes an EVENT frame of the root namespace. name is one of ours and needs no
// escaping; args are JSON texts.
func appendEvent(dst []byte, name string, args ...[]byte) []byte {
	dst = append(dst, engineMessage, '0'+byte(packetEvent), '[', '"')
	dst = append(dst, name...)
	dst = append(dst, '"')
	for _, a := range args {
		dst = append(dst, ',')
		dst = append(dst, a...)
	}
	return append(dst, ']')
}
