package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// String is the outcome's word in logs, metrics and spans.
func (s Status) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Committed:
		return "committed"
	case Fenced:
		return "fenced"
	case Moved:
		return "moved"
	case Replayed:
		return "replayed"
	case Mismatched:
		return "mismatched"
	case Taken:
		return "taken"
	case Missing:
		return "missing"
	case Broken:
		return "broken"
	case Failed:
		return "failed"
	case Aborted:
		return "aborted"
	default:
		return fmt.Sprintf("status(%d)", int(s))
	}
}

// Alone tells whether the transition needs a transaction of its own.
func (t Transition) Alone() bool { return t.Contended || t.Version == 0 }

// Check tells what would keep a transition from being stored, wrapped in ErrMalformed. It is asked
// before a transition joins others, which its refusal by the database would delay.
func (t Transition) Check() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s %s: %s", ErrMalformed, t.Ref.Kind, t.Ref.ID, fmt.Sprintf(format, args...))
	}
	switch {
	case t.Ref.Kind != Order && t.Ref.Kind != Trip:
		return wrong("unknown kind")
	case t.Ref.ID == "":
		return wrong("no id")
	case t.Version < 0:
		return wrong("version %d", t.Version)
	case !object(t.State):
		return wrong("state is not a JSON object")
	case t.At.IsZero():
		return wrong("no time")
	case t.Idem != nil && (t.Idem.Scope == "" || t.Idem.Key == ""):
		return wrong("idempotency record without scope or key")
	case t.Idem != nil && t.Idem.Reply != nil && !json.Valid(t.Idem.Reply):
		return wrong("reply is not JSON")
	}
	for i, e := range t.Events {
		if e.ID == "" || e.Type == "" || e.At.IsZero() || !json.Valid(e.Data) {
			return wrong("event %d (%s) lacks id, type, time or JSON data", i, e.Type)
		}
	}
	names := make(map[string]bool, len(t.Timers))
	for _, c := range t.Timers {
		if c.Name == "" || names[c.Name] {
			return wrong("timer %q is named twice or not at all", c.Name)
		}
		names[c.Name] = true
	}
	for i, m := range t.Outbox {
		if m.ID == "" || m.Channel == "" || !json.Valid(m.Body) {
			return wrong("message %d (%s) lacks id, channel or JSON body", i, m.Type)
		}
	}
	if wrongly := t.checkOffers(); wrongly != "" {
		return wrong("%s", wrongly)
	}
	return nil
}

// checkOffers tells what is wrong with the offers, "" when nothing is.
func (t Transition) checkOffers() string {
	if t.Ref.Kind != Order && (len(t.Offers) > 0 || t.CloseOffers != nil) {
		return "offers of what is no order"
	}
	seen := make(map[string]bool, 2*len(t.Offers))
	for i, o := range t.Offers {
		switch {
		case o.ID == "" || o.Recipient == "" || o.Wave < 0:
			return fmt.Sprintf("offer %d lacks id or recipient, or has wave %d", i, o.Wave)
		case seen["i"+o.ID] || seen["r"+o.Recipient]:
			return fmt.Sprintf("offer %d (%s to %s) stands twice", i, o.ID, o.Recipient)
		case o.Open && (o.Expires.IsZero() || !json.Valid(o.Data)):
			return fmt.Sprintf("open offer %d lacks an end or JSON data", i)
		}
		seen["i"+o.ID], seen["r"+o.Recipient] = true, true
	}
	return ""
}

func object(raw json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) && json.Valid(raw)
}

// Bytes is about how much a transition adds to its statement.
func (t Transition) Bytes() int {
	n := 200 + len(t.State)
	for _, e := range t.Events {
		n += 200 + len(e.Data) + 40*len(e.Recipients)
	}
	for _, m := range t.Outbox {
		n += 200 + len(m.Body)
	}
	for _, o := range t.Offers {
		n += 200 + len(o.Data)
	}
	if t.Idem != nil {
		n += 200 + len(t.Idem.Reply)
	}
	return n
}

// Place is where a row stands.
type Place struct {
	Version int64
	Epoch   int64
}

// Judge says why a write hit no row, from what a re-read found: row is nil when there is none, used
// is the idempotency record of the transition's command, if there is one.
func Judge(t Transition, row *Place, used *Idem) Outcome {
	switch {
	case used != nil && used.Hash == t.Idem.Hash:
		return Outcome{Status: Replayed, Reply: used.Reply}
	case used != nil:
		return Outcome{Status: Mismatched}
	case row == nil:
		return Outcome{Status: Missing}
	case row.Epoch != t.Epoch:
		return Outcome{Status: Fenced}
	case row.Version != t.Version:
		return Outcome{Status: Moved}
	default:
		return Outcome{Status: Broken}
	}
}
