// Package notify hands messages to SMS providers.
//
// Invariants: a slow or failing provider holds up nobody but its own worker; what was not sent is
// never reported as sent, and is one log line that says why, with the phone masked; a code is in the
// message that goes to the provider and nowhere else; a code is handed over once, never queued for
// later and never tried again by itself: the person asks for another. A second provider is asked only
// for what the first one certainly did not take. What is no code comes from the outbox (Courier), until
// it is taken or its deadline is over. Every message is a registered template, filled (Template).
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

// SMS is one message: the template Template filled with Vars, which is Body. Vars and Code are repeated
// apart from it because some providers fill the template themselves. Code is "" in what is no code.
type SMS struct {
	To       phone.Number
	Body     string
	Code     string
	Template string            // the key of a Template
	Vars     map[string]string // without the code
}

// LogValue hides body and code.
func (s SMS) LogValue() slog.Value { return slog.GroupValue(slog.Any("to", s.To)) }

// String hides body and code.
func (s SMS) String() string { return "sms to " + s.To.Masked() }

// GoString hides body and code.
func (s SMS) GoString() string { return s.String() }

// Sender is a provider. An error goes with every class but Accepted; its text must not contain the
// code or the phone, and it wraps one of the reasons below.
type Sender interface {
	Send(ctx context.Context, s SMS) (Class, error)
}

// The reasons for which a message does not even reach a provider.
var (
	ErrQueueFull   = errors.New("too many messages wait")
	ErrWaited      = errors.New("it waited too long for its turn")
	ErrBreakerOpen = errors.New("the provider fails, nothing is sent to it for now")
	ErrStopped     = errors.New("the process stops")
)

// The reasons that providers give, or leave to be guessed.
var (
	// ErrHopeless marks a message that cannot be sent however often it is tried.
	ErrHopeless = errors.New("it cannot be sent")
	// ErrNumber says that the phone takes no messages. No provider could do better.
	ErrNumber = fmt.Errorf("the number takes no messages: %w", ErrHopeless)
	// ErrTemplate says that the provider was given no template for this text. Another may have one.
	ErrTemplate = fmt.Errorf("no template is registered for it: %w", ErrHopeless)
	// ErrAccount says that the provider refuses the account: its key, its credit, its sender.
	ErrAccount = errors.New("the provider refuses")
	// ErrBusy says that the provider takes no more just now.
	ErrBusy = errors.New("the provider takes no more just now")
	// ErrUnreached says that the request never left.
	ErrUnreached = errors.New("the provider cannot be reached")
	// ErrNoAnswer says that no answer came in time. The message may arrive.
	ErrNoAnswer = errors.New("no answer in time")
	// ErrUnclear says that the answer cannot be understood, or broke off. The message may arrive.
	ErrUnclear = errors.New("the answer is unclear")
)

// reasons in the order in which they are looked for: the particular before the general.
var reasons = []struct {
	err  error
	name string
}{
	{ErrQueueFull, "queue_full"}, {ErrWaited, "waited"}, {ErrBreakerOpen, "breaker_open"}, {ErrStopped, "stopped"},
	{ErrNumber, "number"}, {ErrTemplate, "template"}, {ErrHopeless, "hopeless"}, {ErrAccount, "account"}, {ErrBusy, "busy"},
	{ErrUnreached, "unreached"}, {ErrNoAnswer, "no_answer"}, {ErrUnclear, "unclear"}, {context.DeadlineExceeded, "no_answer"},
}

// Reason names why a message was not sent, or perhaps not, in one of a few words, for metrics and audit
// rows; "" for nil.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	return "other"
}
