package notify

import (
	"errors"

	"weelo/internal/phone"
)

// State is what became of a message after its provider took it, as far as the provider was told.
type State string

// The states. There are no others, so that they can be labels of a metric.
const (
	Sent      State = "sent"      // the operator of the phone has it
	Delivered State = "delivered" // the phone has it
	Failed    State = "failed"    // it did not arrive: no such phone, switched off for too long
	Blocked   State = "blocked"   // somebody dropped it: not as registered (DLT), or the number wants none
)

// Lost tells whether the message will not arrive.
func (s State) Lost() bool { return s == Failed || s == Blocked }

// Report is what a provider tells later of one message.
type Report struct {
	Provider string
	Template string // the key of a Template, or UnknownTemplate
	State    State
	To       phone.Number // "" when the provider did not say
	Why      string       // the provider's word or code for it, without digits that could be a phone
}

// UnknownTemplate stands for what a report does not say, or says wrongly.
const UnknownTemplate = "unknown"

// Code tells whether the message carried a one-time code.
func (r Report) Code() bool {
	t, ok := template(r.Template)
	return ok && t.carriesCode()
}

// knownTemplate keeps strangers' words out of labels.
func knownTemplate(key string) string {
	if _, ok := template(key); ok {
		return key
	}
	return UnknownTemplate
}

// Why a request is not taken for a report.
var (
	ErrForged    = errors.New("not from the provider")
	ErrMalformed = errors.New("not a delivery report")
)

// maxWhy bounds the provider's words.
const maxWhy = 80

// saidWhy keeps a provider's words for the log.
func saidWhy(words string) string {
	words = Harmless(words)
	return words[:min(len(words), maxWhy)]
}

// number reads a phone that a provider names; "" when it is none of ours.
func number(said string) phone.Number {
	n, err := phone.Parse(said)
	if err != nil {
		return ""
	}
	return n
}
