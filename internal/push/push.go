// Package push wakes phones through a push provider (FCM).
//
// Invariants: nothing is sent after its deadline, nor kept by the provider beyond it; a message is sent
// until a phone of its user has taken it, and then never again, so that only an unknown outcome makes a
// second one; a provider that says when it wants to be asked again is not asked before; a slow or failing
// one holds up nobody but this package's own workers; a token that it does not know any more is forgotten;
// a token is in the message that goes to the provider and in the store, and nowhere else.
package push

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/nudge"
)

// Message is one push message to one phone.
type Message struct {
	Token        string
	Title        string            // ≤ 100 characters
	Body         string            // ≤ 200
	Data         map[string]string // ≤ 200 each, addresses 100
	Channel      string            // the app's notification channel
	HighPriority bool              // wakes a sleeping phone
	Tag          string            // replaces what is shown under the same tag
	TTL          time.Duration     // how long the provider may keep it for a phone that is away
}

// LogValue hides the token.
func (m Message) LogValue() slog.Value { return slog.StringValue(m.String()) }

// String hides the token.
func (m Message) String() string { return "push " + m.Data["type"] }

// GoString hides the token.
func (m Message) GoString() string { return m.String() }

// What became of a message that was not taken. Their texts contain no token.
var (
	ErrGone      = errors.New("push: the phone's token is worth nothing any more")
	ErrTemporary = errors.New("push: the provider cannot take it now, or nobody knows whether it did")
	ErrRefused   = errors.New("push: the provider will never take it")
)

// Sender is a provider. Send's error is one of ErrGone, ErrTemporary and ErrRefused.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// MaxTokens is how many phones of one user are kept; newer ones take the place of the oldest.
const MaxTokens = 10

// MaxTokenLength bounds a token, in bytes. FCM's have about 160; it may lengthen them.
const MaxTokenLength = 1024

// Phone is where a user gets push messages.
type Phone struct {
	Token   string
	User    fleet.UserID
	Session string // that registered it
	Device  string // what the app calls the phone; "" when it did not say
	At      time.Time
}

// Phones keeps tokens. A token belongs to who registered it last, and is worth nothing when his session
// has ended.
type Phones interface {
	// Register keeps a token, and of its user's the MaxTokens newest. A session that is not there is an
	// error.
	Register(ctx context.Context, p Phone) error
	// Unregister removes a token of that user; one of somebody else stays.
	Unregister(ctx context.Context, user fleet.UserID, token string) error
	// Tokens gives a user's, newest first, but those of sessions that have ended.
	Tokens(ctx context.Context, user fleet.UserID, now time.Time) ([]string, error)
	// Forget removes a token, whoever has it, unless it was registered again at or after the time.
	Forget(ctx context.Context, token string, before time.Time) error
	// Sweep removes tokens of sessions that have ended, at most limit, and tells how many.
	Sweep(ctx context.Context, now time.Time, limit int) (int, error)
}

// messageOf dresses a push for the Captain app (contract §2.7).
func messageOf(p nudge.Push, token string, ttl time.Duration) Message {
	data := make(map[string]string, len(p.Data)+1)
	for k, v := range p.Data {
		data[k] = v
	}
	if fullScreen[p.Type] {
		data["fullScreen"] = "true"
	}
	return Message{
		Token: token, Title: p.Title, Body: p.Body, Data: data, Channel: channelOf(p.Type), HighPriority: p.Urgent, Tag: p.Tag, TTL: ttl,
	}
}

var fullScreen = map[string]bool{"trip_assigned": true, "assignment_update": true, "driver_assigned": true, "driver_timeout": true, "new_broadcast": true}

// channelOf gives the channel under which the app shows a kind of message; the person may have silenced
// one of them.
func channelOf(kind string) string {
	switch kind {
	case "new_broadcast":
		return "broadcasts_v2"
	case "trip_assigned", "trip_cancelled", "driver_timeout", "driver_assigned", "trip_started", "trip_completed":
		return "trips"
	default:
		return "general"
	}
}
