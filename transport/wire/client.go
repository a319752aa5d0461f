package wire

import (
	"unicode/utf8"

	"weelo/internal/fault"
	"weelo/internal/track"
)

// Kind is the t of a message that a client sends.
type Kind uint8

// The messages of a client.
const (
	Hello Kind = iota + 1
	Auth
	Replay
	Fix
	Fixes
	Watch
	Unwatch
	Seen
	Ping
)

// Bounds of what a client sends.
const (
	MaxFixes = 100  // fixes in one batch
	maxID    = 64   // bytes of an id that the client chose
	maxToken = 4096 // bytes
)

// Message is one decoded message of a client. Which fields are set depends on Kind. Use one per
// connection: decoding again reuses its memory, so nothing of it may be kept beyond that.
type Message struct {
	Kind   Kind
	ID     string // of a batch, a watch, an unwatch
	Token  string
	Device string
	Resume *Resume
	From   int64  // replay
	Seq    int64  // seen
	Offer  string // seen: of an offer, which has no number

	Trip  string // of a fix ("" is the live trip), or of a watch
	Order string
	Fleet bool
	All   bool

	Fix    track.Fix
	Driver string // of a fix: who the sender says he is; "" says nothing
	Batch  []Sample

	scanner scanner // here, so that decoding allocates none
}

// Resume is what the client has seen.
type Resume struct {
	Stream string
	Seq    int64
}

// Sample is one fix of a batch. A sample that is not Valid has a wrong type or is out of range; it is
// counted, the others of the batch are not touched.
type Sample struct {
	Fix    track.Fix
	Trip   string
	Driver string // as Message.Driver
	Valid  bool
}

// Decode reads one message of a client. It answers *Malformed for what is no message at all, and a
// *fault.Error (UNKNOWN_TYPE, VALIDATION_ERROR) for a message that cannot be accepted; m.ID is then
// the id to answer to, when one was readable.
func (m *Message) Decode(b []byte) error {
	m.reset()
	if !utf8.Valid(b) {
		return &Malformed{What: "not UTF-8"}
	}
	name, err := kindOf(b)
	if err != nil {
		return err
	}
	m.scanner = scanner{b: b}
	s := &m.scanner
	r := &reader{scanner: s}
	switch string(name) {
	case "fix":
		m.Kind = Fix
		m.Fix = r.fix(&m.Trip, &m.Driver)
	case "fixes":
		m.Kind = Fixes
		m.batch(r)
	case "hello":
		m.Kind = Hello
		m.hello(r)
	case "auth":
		m.Kind = Auth
		m.auth(r)
	case "replay":
		m.Kind = Replay
		r.only("from", func() { m.From = r.integer("from", 1, 1<<53) })
	case "seen":
		m.Kind = Seen
		m.seen(r)
	case "watch":
		m.Kind = Watch
		m.watch(r)
	case "unwatch":
		m.Kind = Unwatch
		r.only("id", func() { m.ID = r.str("id", 1, maxID, m.ID) })
	case "ping":
		m.Kind = Ping
		var f fields
		for s.next(&f) {
			s.skip()
		}
	default:
		s.skip()
		r.refuse(fault.Newf(fault.InvalidArgument, "UNKNOWN_TYPE", "There is no message type %q.", short(name)))
	}
	s.end()
	if s.err != nil {
		return s.err
	}
	if r.refusal != nil {
		return r.refusal
	}
	return nil
}

func (m *Message) reset() {
	trip, batch := m.Trip, m.Batch[:0]
	*m = Message{Trip: trip, Batch: batch}
}

// kindOf finds the t of a message; it comes first nearly always.
func kindOf(b []byte) ([]byte, error) {
	s := scanner{b: b}
	var f fields
	for s.next(&f) {
		if string(f.key) != "t" {
			s.skip()
			continue
		}
		if s.peek() != '"' {
			return nil, &Malformed{What: "t is not a string", At: s.i}
		}
		t := s.text()
		return t, s.err
	}
	s.end()
	if s.err != nil {
		return nil, s.err
	}
	return nil, &Malformed{What: "no t"}
}

func short(b []byte) string { return string(b[:min(len(b), 32)]) }

func (m *Message) hello(r *reader) {
	var f fields
	for r.next(&f) {
		switch string(f.key) {
		case "token":
			m.Token = r.optional("token", maxToken)
		case "device":
			m.Device = r.optional("device", maxID)
		case "resume":
			m.Resume = r.resume()
		default:
			r.skip()
		}
	}
}

func (r *reader) resume() *Resume {
	if r.null() {
		return nil
	}
	if r.peek() != '{' {
		r.wrong("resume", "must be an object")
		return nil
	}
	var f fields
	out := Resume{Seq: -1}
	for r.next(&f) {
		switch string(f.key) {
		case "stream":
			out.Stream = r.str("resume.stream", 0, maxID, "")
		case "seq":
			out.Seq = r.integer("resume.seq", 0, 1<<53)
		default:
			r.skip()
		}
	}
	if out.Seq < 0 {
		r.refuseField("resume.seq", "is required")
	}
	return &out
}

func (m *Message) auth(r *reader) {
	r.only("token", func() { m.Token = r.str("token", 1, maxToken, "") })
}

func (m *Message) seen(r *reader) {
	var f fields
	given := 0
	for r.next(&f) {
		switch string(f.key) {
		case "seq":
			m.Seq = r.integer("seq", 0, 1<<53)
		case "offer":
			m.Offer = r.str("offer", 1, maxID, "")
		default:
			r.skip()
			continue
		}
		given++
	}
	if given != 1 {
		r.refuseField("seq", "give exactly one of seq and offer")
	}
}

func (m *Message) watch(r *reader) {
	m.Trip = ""
	var f fields
	for r.next(&f) {
		switch string(f.key) {
		case "id":
			m.ID = r.str("id", 1, maxID, "")
		case "trip":
			m.Trip = r.optional("trip", maxID)
		case "order":
			m.Order = r.optional("order", maxID)
		case "fleet":
			m.Fleet = r.boolean("fleet")
		case "all":
			m.All = r.boolean("all")
		default:
			r.skip()
		}
	}
	scopes := 0
	for _, given := range []bool{m.Trip != "", m.Order != "", m.Fleet, m.All} {
		if given {
			scopes++
		}
	}
	switch {
	case m.ID == "":
		r.refuseField("id", "is required")
	case scopes != 1:
		r.refuseField("trip", "give exactly one of trip, order, fleet and all")
	}
}

func (m *Message) batch(r *reader) {
	var f fields
	given := false
	for r.next(&f) {
		switch string(f.key) {
		case "id":
			m.ID = r.str("id", 1, maxID, "")
		case "fixes":
			given = true
			m.samples(r)
		default:
			r.skip()
		}
	}
	switch {
	case m.ID == "":
		r.refuseField("id", "is required")
	case !given:
		r.refuseField("fixes", "is required")
	}
}

func (m *Message) samples(r *reader) {
	if r.peek() != '[' {
		r.wrong("fixes", "must be a list")
		return
	}
	r.i++
	if r.peek() == ']' {
		r.i++
		r.refuseField("fixes", "must not be empty")
		return
	}
	for r.err == nil {
		m.sample(r)
		if r.peek() == ']' {
			r.i++
			return
		}
		r.expect(',')
	}
}

// sample reads one item; what is wrong with it stays with it.
func (m *Message) sample(r *reader) {
	if len(m.Batch) >= MaxFixes {
		r.skip()
		r.refuseField("fixes", "at most 100 fixes in one message")
		return
	}
	item := reader{scanner: r.scanner}
	var one Sample
	if r.peek() == '{' {
		if n := len(m.Batch); n > 0 {
			one.Trip = m.Batch[n-1].Trip // the same trip as before costs no new string
		}
		one.Fix = item.fix(&one.Trip, &one.Driver)
		one.Valid = item.refusal == nil
	} else {
		r.skip()
	}
	m.Batch = append(m.Batch, one)
}
