// Package notify hands messages to SMS providers.
//
// Invariants: a slow or failing provider holds up nobody but its own worker; what was not sent is
// never reported as sent, and is one log line that says why, with the phone masked; a code is in the
// message that goes to the provider and nowhere else; a code is handed over once, never queued for
// later and never tried again by itself: the person asks for another. What is no code comes from the
// outbox (Courier), until it is taken or its deadline is over.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"weelo/internal/phone"
)

// Class is what is known after handing a message over.
type Class int

// The classes.
const (
	Undecided Class = iota // timeout, or the connection broke after the request was written: it may arrive
	Accepted               // the provider has taken it
	Refused                // the provider, or we ourselves, said no: it will not arrive
)

// String names the class, for logs and metrics.
func (c Class) String() string {
	switch c {
	case Accepted:
		return "accepted"
	case Refused:
		return "refused"
	case Undecided:
		return "undecided"
	default:
		return fmt.Sprintf("class %d", int(c))
	}
}

// SMS is one message. Code is repeated apart from Body because some providers fill a template with it; one
// without it is a text, and Template and Vars are what its template is filled with.
type SMS struct {
	To       phone.Number
	Body     string
	Code     string
	Template string
	Vars     map[string]string
}

// LogValue hides body and code.
func (s SMS) LogValue() slog.Value { return slog.GroupValue(slog.Any("to", s.To)) }

// String hides body and code.
func (s SMS) String() string { return "sms to " + s.To.Masked() }

// GoString hides body and code.
func (s SMS) GoString() string { return s.String() }

// Sender is a provider. An error goes with every class but Accepted; its text must not contain the
// code or the phone.
type Sender interface {
	Send(ctx context.Context, s SMS) (Class, error)
}

// The reasons for which a message does not even reach a provider.
var (
	ErrQueueFull   = errors.New("too many messages wait")
	ErrBreakerOpen = errors.New("the provider fails, nothing is sent to it for now")
	ErrStopped     = errors.New("the process stops")
)
