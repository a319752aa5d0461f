package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
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
	w, known := words[m.Key.Flow]
	if !known || !otp.WellFormed(m.Code) {
		return nil, fault.Invalid("otp", "Enter the 6-digit code.")
	}
	open, err := d.ceiling(ctx, m, now)
	if err != nil {
		return nil, err
	}
	_, tries := d.cfg.Policy.Of(m.Key.Flow)
	a, err := d.cfg.Codes.Try(ctx, m.Key, m.Challenge, tries)
	if err != nil {
		return nil, ErrUnavailable.Because(err)
	}
	switch a.Standing {
	case otp.Missing:
		return nil, d.refused(m, "missing", w.missing)
	case otp.Foreign:
		return nil, d.refused(m, "foreign", w.wrong)
	case otp.Exhausted:
		return nil, d.refused(m, "exhausted", w.exhausted)
	case otp.Counted:
	}
	if len(a.Codes) == 0 { // only a consumed code is left, which its device may repeat
		return d.repeat(ctx, m, a, now)
	}
	try, err := d.reserve(ctx, m, open, now)
	if err != nil {
		return nil, err
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

// reserve counts a try as failed durably before anybody compares: of many at once, on any number of tasks,
// as many are compared as the ceiling leaves. open says that the lane of a known device was taken.
func (d *Desk) reserve(ctx context.Context, m *SubmitCode, open bool, now time.Time) (try int64, err error) {
	most := d.cfg.Policy.FailCeiling
	if open {
		most = math.MaxInt32
	}
	try, err = d.cfg.Fails.Reserve(ctx, failsOf(m.Key), now, now.Add(-d.cfg.Policy.FailWindow), most)
	switch {
	case err != nil:
		return 0, ErrUnavailable.Because(err)
	case try == 0: // others were faster
		return 0, d.tooMany(ctx, m)
	}
	return try, nil
}

// release takes a try back that was not wrong, whatever else became of it.
func (d *Desk) release(ctx context.Context, try int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := d.cfg.Fails.Release(ctx, try); err != nil {
		d.log.WarnContext(ctx, "a try that was right is counted as failed", "error", err)
	}
}

// ceiling refuses a phone with too many failed tries in the window, whatever was sent since. A device
// that has logged in before may go on, slowly: then open is true.
func (d *Desk) ceiling(ctx context.Context, m *SubmitCode, now time.Time) (open bool, err error) {
	n, err := d.cfg.Fails.CountFails(ctx, failsOf(m.Key), now.Add(-d.cfg.Policy.FailWindow))
	if err != nil {
		return false, ErrUnavailable.Because(err)
	}
	if n < d.cfg.Policy.FailCeiling {
		return false, nil
	}
	open, err = d.lane(ctx, m)
	if err != nil {
		return false, ErrUnavailable.Because(err)
	}
	if !open {
		return false, d.tooMany(ctx, m)
	}
	return true, nil
}

func (d *Desk) tooMany(ctx context.Context, m *SubmitCode) error {
	d.count(m.Key.Flow, "refused", "ceiling")
	d.log.WarnContext(ctx, "login refused: too many failed tries", "phone", m.Key.Phone)
	return ErrTries.After(min(time.Hour, d.cfg.Policy.FailWindow))
}

// failsOf is what failed tries are counted under. Those of a transporter who guesses a driver's code
// must not keep the driver from logging in.
func failsOf(k otp.Key) string {
	if k.Flow == otp.Onboard {
		return string(k.Flow) + ":" + k.Phone.E164()
	}
	return k.Phone.E164()
}

// lane tells whether the sender's device has logged in before and has a try left in its own window.
func (d *Desk) lane(ctx context.Context, m *SubmitCode) (bool, error) {
	if d.cfg.Devices == nil || m.DeviceID == "" {
		return false, nil
	}
	u, err := d.cfg.Users.ByPhone(ctx, m.Key.Phone.E164(), m.Key.Role)
	if errors.Is(err, fleet.ErrNoUser) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	known, err := d.cfg.Devices.KnownDevice(ctx, u.ID, m.DeviceID)
	if err != nil || !known {
		return false, err
	}
	try, err := otp.NewID(d.cfg.Random)
	if err != nil {
		return false, err
	}
	wait, err := d.cfg.Limits.Take(ctx, "otp-lane:"+m.Key.Literal(), try, []otp.Window{d.cfg.Policy.Lane})
	return wait == 0, err
}

// compare looks at every candidate, in constant time each, before it decides.
func (d *Desk) compare(m *SubmitCode, a otp.Attempt) (right *otp.Code, claim *otp.Claim) {
	for i := range a.Codes {
		if d.cfg.Peppers.Matches(m.Key, a.Codes[i], m.Code) {
			right = &a.Codes[i]
		}
	}
	if a.Claim != nil && d.cfg.Peppers.Matches(m.Key, a.Claim.Code, m.Code) && d.cfg.Peppers.SameDevice(a.Claim.Device, m.Device) {
		claim = a.Claim
	}
	return right, claim
}

// wrong says how many tries are left. This one was counted before it was compared.
func (d *Desk) wrong(m *SubmitCode, a otp.Attempt) error {
	w := words[m.Key.Flow]
	_, tries := d.cfg.Policy.Of(m.Key.Flow)
	left := tries - a.Tries
	if left <= 0 {
		return d.refused(m, "exhausted", w.exhausted)
	}
	told := *w.wrong
	told.Message = fmt.Sprintf("That is not the right code. %d attempts remaining.", left)
	if left == 1 {
		told.Message = "That is not the right code. 1 attempt remaining."
	}
	return d.refused(m, "wrong", told.With("attemptsRemaining", left))
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
	if device == "" {
		device = m.Name
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
