package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/otp"
	"weelo/internal/session"
	"weelo/internal/token"
)

// SubmitCode answers a challenge. Challenge may be empty: any live code of the key is meant.
type SubmitCode struct {
	Key       otp.Key
	Code      string
	Challenge string
	Device    string // names the sender for "the same device": the device id, or where it came from
	DeviceID  string // the device id alone, "" when the client has none
	Name      string // what people call the device, for clients without an id
	// Transporter is the onboarding flow's: whose fleet the code is for.
	Transporter fleet.UserID
	Source      auditlog.Source
}

// String hides the code.
func (m SubmitCode) String() string { return "submission for " + m.Key.Phone.Masked() }

// LogValue hides the code.
func (m SubmitCode) LogValue() slog.Value { return slog.StringValue(m.String()) }

// LoggedIn answers SubmitCode.
type LoggedIn struct {
	User        fleet.User
	Transporter fleet.User // in the driver's flow: whose fleet it is
	Pair        session.Pair
	IsNew       bool
	newDevice   bool // he has logged in before, and not on this device
}

// Submit checks a code and opens the session it yields. Whoever logs in is written down, or is not let in.
func (d *Desk) Submit(ctx context.Context, m *SubmitCode, now time.Time) (*LoggedIn, error) {
	if err := d.admit(); err != nil {
		return nil, err
	}
	in, err := d.submit(ctx, m, now)
	if err = d.auditSubmitted(ctx, m, in, err); err != nil {
		return nil, err
	}
	return in, nil
}

func (d *Desk) submit(ctx context.Context, m *SubmitCode, now time.Time) (*LoggedIn, error) {
	if _, known := words[m.Key.Flow]; !known || !otp.WellFormed(m.Code) {
		return nil, fault.Invalid("otp", "Enter the 6-digit code.")
	}
	a, try, err := d.try(ctx, m, now)
	if err != nil {
		return nil, err
	}
	if len(a.Codes) == 0 { // only a consumed code is left, which its device may repeat
		return d.repeat(ctx, m, a, now)
	}
	right, claim := d.compare(m, a)
	var in *LoggedIn
	switch {
	case right != nil:
		in, err = d.win(ctx, m, *right, now)
	case claim != nil:
		in, err = d.open(ctx, m, *claim, now)
	default:
		return nil, d.wrong(m, a)
	}
	d.release(ctx, try)
	return in, err
}

// repeat opens the session of a consumed code once more, for its device.
func (d *Desk) repeat(ctx context.Context, m *SubmitCode, a otp.Attempt, now time.Time) (*LoggedIn, error) {
	if _, claim := d.compare(m, a); claim != nil {
		return d.open(ctx, m, *claim, now)
	}
	return nil, d.refused(m, "missing", words[m.Key.Flow].missing)
}

func (d *Desk) refused(m *SubmitCode, result string, err error) error {
	d.count(m.Key.Flow, "refused", result)
	return err
}

// win consumes the code and opens a session, unless another device was faster.
func (d *Desk) win(ctx context.Context, m *SubmitCode, code otp.Code, now time.Time) (*LoggedIn, error) {
	if err := d.stillBound(ctx, m, code, now); err != nil {
		return nil, err
	}
	sid, err := newSession(d.cfg.Random)
	if err != nil {
		return nil, err
	}
	claim, won, err := d.cfg.Codes.Consume(ctx, m.Key, otp.Claim{Code: code, Device: d.cfg.Peppers.Device(m.Device), Session: sid}, d.cfg.Policy.ClaimWindow)
	if err != nil {
		return nil, ErrUnavailable.Because(err)
	}
	mine := claim.ID == code.ID && d.cfg.Peppers.SameDevice(claim.Device, m.Device)
	if !won && !mine {
		return nil, d.refused(m, "missing", words[m.Key.Flow].missing)
	}
	return d.open(ctx, m, claim, now)
}

// stillBound re-checks a driver's membership before the code is used up.
func (d *Desk) stillBound(ctx context.Context, m *SubmitCode, code otp.Code, now time.Time) error {
	switch m.Key.Flow {
	case otp.Driver:
		_, _, err := d.member(ctx, m, code)
		return err
	case otp.Onboard:
		_, _, err := d.invited(ctx, m, code, now)
		return err
	case otp.Own:
	}
	return nil
}

// member gives the driver and the transporter the code was sent for, if that still is so.
func (d *Desk) member(ctx context.Context, m *SubmitCode, code otp.Code) (driver, boss fleet.User, err error) {
	var b binding
	if err := json.Unmarshal([]byte(code.Binding), &b); err != nil {
		return driver, boss, fmt.Errorf("login: binding: %w", err)
	}
	gone := words[otp.Driver].missing
	driver, err = d.cfg.Users.User(ctx, b.Driver)
	switch {
	case errors.Is(err, fleet.ErrNoUser):
		return driver, boss, d.refused(m, "left", gone)
	case err != nil:
		return driver, boss, ErrUnavailable.Because(err)
	case driver.Suspended, driver.TransporterID != b.Transporter, driver.MembershipVersion != b.Membership, driver.Phone != m.Key.Phone.E164():
		return driver, boss, d.refused(m, "left", gone)
	}
	boss, err = d.cfg.Users.User(ctx, b.Transporter)
	switch {
	case errors.Is(err, fleet.ErrNoUser), err == nil && boss.Suspended:
		return driver, boss, d.refused(m, "left", gone)
	case err != nil:
		return driver, boss, ErrUnavailable.Because(err)
	}
	return driver, boss, nil
}

// unnamed marks what a client without a device id calls its phone. No header has the character: the name of a phone
// that anybody may have must not pass for an id.
const unnamed = "· "

// open gives the winner's session. It can be done again with the same result, so a store that was
// away costs the person a retry and not the code.
func (d *Desk) open(ctx context.Context, m *SubmitCode, claim otp.Claim, now time.Time) (*LoggedIn, error) {
	if m.Key.Flow == otp.Onboard {
		return d.join(ctx, m, claim, now)
	}
	in, err := d.person(ctx, m, claim, now)
	if err != nil {
		return nil, err
	}
	if in.User.Suspended {
		return nil, d.refused(m, "suspended", session.ErrSuspended)
	}
	device := m.DeviceID
	if device == "" && m.Name != "" {
		device = unnamed + m.Name
	}
	in.newDevice = d.newDevice(ctx, in, device)
	in.Pair, err = d.cfg.Sessions.Open(ctx, claim.Session, in.User, device, now)
	if errors.Is(err, token.ErrUnauthenticated) { // opened by the first answer and revoked since
		return nil, d.refused(m, "missing", words[m.Key.Flow].missing)
	}
	if err != nil {
		return nil, err
	}
	if err := d.cfg.Fails.ClearFails(ctx, m.Key.Phone.E164()); err != nil {
		d.log.WarnContext(ctx, "failed tries could not be cleared", "phone", m.Key.Phone, "error", err)
	}
	d.count(m.Key.Flow, "verified", "")
	d.log.InfoContext(ctx, "logged in", "phone", m.Key.Phone, "role", in.User.Role, "user_id", in.User.ID, "session_id", claim.Session,
		"authorised_by", in.Transporter.ID, "new_user", in.IsNew)
	return in, nil
}

// person finds or enrols whose session it is.
func (d *Desk) person(ctx context.Context, m *SubmitCode, claim otp.Claim, now time.Time) (*LoggedIn, error) {
	if m.Key.Flow == otp.Driver {
		driver, boss, err := d.member(ctx, m, claim.Code)
		return &LoggedIn{User: driver, Transporter: boss}, err
	}
	id, err := newSession(d.cfg.Random)
	if err != nil {
		return nil, err
	}
	at := now.UTC().Truncate(time.Microsecond)
	u, isNew, err := d.cfg.Users.Enrol(ctx, fleet.User{
		ID: fleet.UserID(id), Phone: m.Key.Phone.E164(), Role: m.Key.Role, CreatedAt: at, UpdatedAt: at,
	})
	if err != nil {
		return nil, ErrUnavailable.Because(err)
	}
	return &LoggedIn{User: u, IsNew: isNew}, nil
}

// newSession draws a bare UUID.
func newSession(random io.Reader) (string, error) {
	id, err := uuid.NewRandomFromReader(random)
	if err != nil {
		return "", fmt.Errorf("login: id: %w", err)
	}
	return id.String(), nil
}
