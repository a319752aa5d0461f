// Package nudge is what reaches a person outside the apps' sockets: a push message that wakes a phone, or
// a text message. Nudges are durable messages of the transition they tell of, addressed to a user; who
// sends them finds his phones.
//
// Invariants: a nudge is written in the transaction of what it tells of, under an id made from it, so
// there is none of what did not happen and one of what did; each has a deadline, after which it is
// worth nothing and is not sent; a nudge has no phone number in it.
package nudge

import (
	"encoding/json"
	"strings"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
)

// The outbox channels of nudges.
const (
	PushChannel = "push"
	TextChannel = "sms"
)

// UpdateLife is how long news of a trip or an order is news. It is people's time: no scale divides it.
const UpdateLife = 15 * time.Minute

// ClosingLife is how long it is worth telling that an offer is gone (contract §2.5).
const ClosingLife = 5 * time.Minute

// Push is a push message to one user. Data goes to the app, which knows it by Type.
type Push struct {
	Type   string            `json:"type"`
	Title  string            `json:"title"`
	Body   string            `json:"body"`
	Data   map[string]string `json:"data"`
	Urgent bool              `json:"urgent,omitempty"` // wakes a sleeping phone
	Tag    string            `json:"tag,omitempty"`    // a later message with it replaces this one on the screen
}

// Message is the push as a durable message. Too long texts are cut.
func (p Push) Message(id string, to fleet.UserID, deadline time.Time) ledger.Message {
	p.Title, p.Body = Cut(p.Title, 100), Cut(p.Body, 200)
	data := make(map[string]string, len(p.Data)+1)
	for key, v := range p.Data {
		most := 200
		if strings.HasSuffix(key, "Address") {
			most = 100
		}
		data[key] = Cut(v, most)
	}
	data["type"] = p.Type
	p.Data = data
	return message(id, PushChannel, to, p.Type, p, deadline)
}

// Text is a text message to one user's phone. Vars are what a provider's template is filled with.
type Text struct {
	Template string            `json:"template"`
	Vars     map[string]string `json:"vars"`
}

// The templates of texts.
const (
	TextAccepted = "driver_accepted" // vars driver, vehicle
	TextExpired  = "order_expired"   // vars from, to
)

// varMax is what India's template register lets a variable have.
const varMax = 30

// Message is the text as a durable message. Too long values are cut.
func (t Text) Message(id string, to fleet.UserID, deadline time.Time) ledger.Message {
	vars := map[string]string{}
	for key, v := range t.Vars {
		vars[key] = Cut(v, varMax)
	}
	t.Vars = vars
	return message(id, TextChannel, to, t.Template, t, deadline)
}

func message(id, channel string, to fleet.UserID, kind string, body any, deadline time.Time) ledger.Message {
	raw, _ := json.Marshal(body) // strings and flags cannot fail
	return ledger.Message{ID: id, Channel: channel, To: string(to), Type: kind, Body: raw, Deadline: deadline.UTC()}
}

// Cut shortens a text to so many characters, the last of which then is "…".
func Cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most-1]) + "…"
}
