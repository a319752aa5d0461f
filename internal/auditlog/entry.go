package auditlog

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"weelo/internal/phone"
)

// What is written down. Of an operator's action that was refused a second row follows with Failed behind
// its name.
const (
	CodeSent       = "code_sent"
	CodeNotSent    = "code_not_sent"
	CodeLost       = "code_lost"
	LoggedIn       = "login"
	LoginRefused   = "login_refused"
	NewDevice      = "new_device"
	SessionRevoked = "session_revoked"
	RefreshReuse   = "refresh_reuse"
	// LimitTripped is a refusal by a limit: the subject says which.
	LimitTripped = "limit_tripped"
	// BreakerChanged is a provider that is left alone, or asked again.
	BreakerChanged = "breaker_changed"

	DriverJoined = "driver_joined"
	DriverLeft   = "driver_left"
	ShareCreated = "share_created"
	ShareRevoked = "share_revoked"

	UserSuspended   = "user_suspended"
	UserUnsuspended = "user_unsuspended"
	KYCSet          = "kyc_set"
	SessionEnded    = "session_ended"
	SessionsEnded   = "sessions_ended"
	DisputeResolved = "dispute_resolved"

	CommandReleased  = "command_released"
	CommandDiscarded = "command_discarded"

	// OpsRead is any other request of an operator: what he looked at is the subject.
	OpsRead = "ops_read"
	// OpsWatch is what an operator began to watch over a socket.
	OpsWatch = "ops_watch"

	// LogPruned says up to which row the log itself was removed because it had outlived its retention.
	LogPruned = "audit_pruned"

	Failed = ".failed"
)

// System is the actor of what nobody asked for.
const System = "system"

// Event is one thing to write down, as it is known where it happens.
type Event struct {
	At      time.Time // zero: now
	Actor   string    // user id; "" when nobody is known yet, System for the product itself
	Role    string    // customer, transporter, driver, ops; "" with no actor
	Action  string
	Subject string // kind:id, e.g. user:…, session:…, order:…
	Reason  string // for people, or a refusal's code; at most MaxReason characters
	// AuthorisedBy is the transporter whose phone got the code of a driver.
	AuthorisedBy string
	Phone        string // E.164; only its HMAC is kept
	From         Source
	Details      map[string]any // small; nothing secret
}

// Source is where a request came from.
type Source struct {
	Client    netip.Addr
	Device    string // as the client names it; only a hash is kept
	RequestID string
}

// Entry is an Event as it is kept.
type Entry struct {
	At           time.Time // UTC, microseconds
	Actor        string
	Role         string
	Action       string
	Subject      string
	Reason       string
	AuthorisedBy string
	PhoneHMAC    string // pepper:hmac, "" when no phone is known
	Network      string // the client's /24 or /48
	DeviceHash   string // pepper:hmac
	RequestID    string
	Details      string // a JSON object
}

type sourceKey struct{}

// WithSource remembers where a request came from.
func WithSource(ctx context.Context, s Source) context.Context {
	return context.WithValue(ctx, sourceKey{}, s)
}

// SourceOf gives where the request came from; the zero Source when nobody said.
func SourceOf(ctx context.Context) Source {
	s, _ := ctx.Value(sourceKey{}).(Source)
	return s
}

// The bounds of what is kept; what is longer is cut.
const (
	MaxReason  = 500 // characters
	maxWord    = 160 // bytes, of ids and names
	maxDetails = 2000
)

// Keys hide phones and devices: the pepper and the name that hashes carry.
type Keys struct {
	Kid    string
	Secret []byte
}

// Phone is what is kept of a phone number, E.164. "" stays "".
func (k Keys) Phone(e164 string) string { return k.hide("audit/phone", e164) }

// Device is what is kept of a device's name.
func (k Keys) Device(name string) string { return k.hide("audit/device", name) }

func (k Keys) hide(what, name string) string {
	if name == "" {
		return ""
	}
	m := hmac.New(sha256.New, k.Secret)
	m.Write([]byte(what))
	m.Write([]byte{0})
	m.Write([]byte(name))
	return k.Kid + ":" + hex.EncodeToString(m.Sum(nil)[:16])
}

// Entry hides what may not be kept. now is used when the event has no time.
func (k Keys) Entry(e Event, now time.Time) Entry {
	at := e.At
	if at.IsZero() {
		at = now
	}
	details := "{}"
	if len(e.Details) > 0 {
		if b, err := json.Marshal(withoutPhones(e.Details)); err == nil && len(b) <= maxDetails {
			details = strings.ToValidUTF8(string(b), "")
		}
	}
	return Entry{
		At: at.UTC().Truncate(time.Microsecond), Actor: word(e.Actor), Role: word(e.Role), Action: word(e.Action), Subject: word(e.Subject),
		Reason: text(e.Reason), AuthorisedBy: word(e.AuthorisedBy), PhoneHMAC: k.Phone(e.Phone), Network: Network(e.From.Client),
		DeviceHash: k.Device(e.From.Device), RequestID: word(e.From.RequestID), Details: details,
	}
}

// withoutPhones masks what people may have written into the texts of details.
func withoutPhones(details map[string]any) map[string]any {
	masked := make(map[string]any, len(details))
	for name, v := range details {
		if s, ok := v.(string); ok {
			v = phone.Mask(s)
		}
		masked[name] = v
	}
	return masked
}

// word cuts an id to its bound and drops what no store keeps alike.
func word(s string) string {
	s = text(s)
	if len(s) > maxWord {
		s = strings.ToValidUTF8(s[:maxWord], "")
	}
	return s
}

// text masks phones, which people write into reasons and clients into the ids of requests.
func text(s string) string {
	clean := phone.Mask(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r < ' ' && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s))
	if utf8.RuneCountInString(clean) > MaxReason {
		clean = string([]rune(clean)[:MaxReason])
	}
	return clean
}

// Network is what is kept of an address: its /24, or /48 of IPv6. "" of none.
func Network(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	bits := 48
	switch {
	case !a.IsValid():
		return ""
	case a.Is4():
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
