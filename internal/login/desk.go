package login

import (
	"context"
	"io"
	"log/slog"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/notify"
	"weelo/internal/otp"
	"weelo/internal/phone"
	"weelo/internal/session"
)

// The refusals of the apps' contract §1.1 and §1.2.
var (
	ErrRole          = fault.Invalid("role", "Choose customer or transporter.")
	ErrCooldown      = fault.New(fault.ResourceExhausted, "OTP_COOLDOWN", "Please wait a moment before asking for another code.")
	ErrTooManyCodes  = fault.New(fault.ResourceExhausted, "OTP_RATE_LIMIT_EXCEEDED", "Too many codes were asked for. Please try again later.")
	ErrTooManySMS    = fault.New(fault.ResourceExhausted, "SMS_RATE_LIMIT_EXCEEDED", "Too many driver codes went to this transporter. Please try again later.")
	ErrTooManyAsks   = fault.New(fault.ResourceExhausted, "AUTH_RATE_LIMIT_EXCEEDED", "Too many attempts. Please try again later.")
	ErrNoDriver      = fault.New(fault.NotFound, "DRIVER_NOT_FOUND", "This number is not registered as a driver. Ask your transporter to add you.")
	ErrNoTransporter = fault.New(fault.FailedPrecondition, "NO_TRANSPORTER", "You are not in a transporter's fleet. Ask your transporter to add you.")
	ErrTransporter   = fault.New(fault.NotFound, "TRANSPORTER_NOT_FOUND", "Your transporter's account was not found.")
	ErrNotSent       = fault.New(fault.Unavailable, "SERVICE_UNAVAILABLE", "We could not send the code. Please try again in a moment.").After(5 * time.Second)
	ErrDriverNotSent = fault.New(fault.Unavailable, "SMS_SEND_FAILED", "We could not send the code to your transporter. Please try again in a moment.").After(5 * time.Second)
	ErrUnavailable   = fault.New(fault.Unavailable, "SERVICE_UNAVAILABLE", "Login is not possible just now. Please try again in a moment.").After(5 * time.Second)

	ErrDriverExists  = fault.New(fault.Conflict, "DRIVER_EXISTS", "This driver is already in your fleet.")
	ErrDriverInFleet = fault.New(fault.Conflict, "DRIVER_ALREADY_IN_FLEET", "This driver is in another transporter's fleet. He has to leave it first.")
	ErrTooManyGuests = fault.New(fault.ResourceExhausted, "SMS_RATE_LIMIT_EXCEEDED", "Too many drivers were invited. Please try again later.")

	ErrTries = fault.New(fault.ResourceExhausted, "TOO_MANY_ATTEMPTS", "Too many wrong codes. Please try again later.")
)

// vocabulary is the words of a flow for the same refusals: the two apps know different ones.
type vocabulary struct {
	missing   *fault.Error // nothing to compare with: never sent, used, or expired
	wrong     *fault.Error
	exhausted *fault.Error
	notSent   *fault.Error
}

var ownWords = vocabulary{
	missing:   fault.New(fault.FailedPrecondition, "OTP_EXPIRED", "This code has expired. Please ask for a new one."),
	wrong:     fault.New(fault.FailedPrecondition, "INVALID_OTP", "That is not the right code."),
	exhausted: fault.New(fault.FailedPrecondition, "MAX_ATTEMPTS", "Too many wrong codes. Please ask for a new one."),
	notSent:   ErrNotSent,
}

var words = map[otp.Flow]vocabulary{
	otp.Own:     ownWords,
	otp.Onboard: ownWords, // the same app asks
	otp.Driver: {
		missing:   fault.New(fault.FailedPrecondition, "OTP_NOT_FOUND", "This code has expired. Please ask for a new one."),
		wrong:     fault.New(fault.FailedPrecondition, "OTP_INVALID", "That is not the right code."),
		exhausted: fault.New(fault.FailedPrecondition, "OTP_MAX_ATTEMPTS", "Too many wrong codes. Please ask for a new one."),
		notSent:   ErrDriverNotSent,
	},
}

// Sessions opens sessions: *session.Keeper.
type Sessions interface {
	Open(ctx context.Context, sid string, u fleet.User, device string, now time.Time) (session.Pair, error)
}

// Devices remembers on which devices people logged in before: every session.Store does.
type Devices interface {
	KnownDevice(ctx context.Context, user fleet.UserID, device string, since time.Time) (bool, error)
}

// Dispatcher hands over messages: *notify.Dispatcher.
type Dispatcher interface {
	Send(ctx context.Context, s notify.SMS, late func(notify.Class, error)) (notify.Class, error)
}

// Config is what a Desk needs.
type Config struct {
	Codes    otp.Store
	Limits   otp.Limits
	Fails    otp.Fails
	Users    session.Users
	Crews    fleet.Crews // nil: no driver can join a fleet
	Sessions Sessions
	Devices  Devices // nil: no device is known
	SMS      Dispatcher
	Peppers  otp.Peppers
	Policy   otp.Policy
	Hashes   notify.Hashes
	Ops      []phone.Number // who may log in with role ops
	NoLimits bool           // LIMITS=off: no cool-down and no rate limits, for benches; refused in production
	Random   io.Reader      // crypto/rand.Reader
	Log      *slog.Logger
	Observer Observer // nil: nobody counts
	Audit    Trail    // nil: nothing is written down
}

// Observer counts what becomes of codes: event is sent, undelivered, verified or refused; reason says
// why, "" when there is nothing to say.
type Observer interface {
	Count(flow, event, reason string)
}

// Desk runs logins. It is safe for concurrent use; what must be atomic is so in the stores.
type Desk struct {
	cfg Config
	log *slog.Logger
}

// New makes a Desk.
func New(cfg Config) (*Desk, error) {
	if err := cfg.Peppers.Validate(); err != nil {
		return nil, err
	}
	return &Desk{cfg: cfg, log: cfg.Log.With("component", "login")}, nil
}

func (d *Desk) count(f otp.Flow, event, reason string) {
	if d.cfg.Observer != nil {
		d.cfg.Observer.Count(string(f), event, reason)
	}
}

// Life is how long a code is good for, as told to clients.
func (d *Desk) Life() time.Duration { return d.cfg.Policy.Life }

// ProviderWait is how long an answer waits for the SMS provider.
const ProviderWait = 3 * time.Second
