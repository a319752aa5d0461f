package login

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/otp"
)

// try counts one try before anybody compares it: durably as failed, then in its challenge. In this order a try
// that the durable store does not take uses up none of the code's, and there is nothing to give back to a store
// that may be away by then. What the look before it finds hopeless is written nowhere.
//
// a.Codes are what may be compared; then reserved names the durable try, which whoever was right releases. There
// are none when only a consumed code is left.
func (d *Desk) try(ctx context.Context, m *SubmitCode, now time.Time) (a otp.Attempt, reserved int64, err error) {
	over, err := d.overCeiling(ctx, m, now)
	if err != nil {
		return a, 0, err
	}
	_, tries := d.cfg.Policy.Of(m.Key.Flow)
	by := otp.Sender{Challenge: m.Challenge, Devices: d.cfg.Peppers.Devices(m.Device)}
	outlook, err := d.cfg.Codes.Look(ctx, m.Key, by, tries)
	if err != nil {
		return a, 0, ErrUnavailable.Because(err)
	}
	if err = d.hopeless(m, outlook.Standing); err != nil {
		return a, 0, err
	}
	if over {
		if err = d.passLane(ctx, m); err != nil {
			return a, 0, err
		}
	}
	if outlook.Live {
		if reserved, err = d.reserve(ctx, m, over, now); err != nil {
			return a, 0, err
		}
	}
	a, err = d.cfg.Codes.Try(ctx, m.Key, by, tries)
	if err != nil {
		err = ErrUnavailable.Because(err)
	} else {
		err = d.hopeless(m, a.Standing)
	}
	if reserved == 0 {
		a.Codes = nil // one that was sent since the look: no durable try stands for it
	}
	if err != nil || len(a.Codes) == 0 { // the last code was won, or the last try taken, since the look
		d.release(ctx, reserved)
		return a, 0, err
	}
	return a, reserved, nil
}

// hopeless refuses a try that is not compared with anything. It has not been counted.
func (d *Desk) hopeless(m *SubmitCode, s otp.Standing) error {
	w := words[m.Key.Flow]
	switch s {
	case otp.Missing:
		return d.refused(m, "missing", w.missing)
	case otp.Foreign:
		return d.refused(m, "foreign", w.wrong)
	case otp.Exhausted:
		return d.refused(m, "exhausted", w.exhausted)
	case otp.Counted:
	}
	return nil
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

// release takes a try back that was not wrong, whatever else became of it; 0 is none.
func (d *Desk) release(ctx context.Context, try int64) {
	if try == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := d.cfg.Fails.Release(ctx, try); err != nil {
		d.log.WarnContext(ctx, "a try that was not wrong stays counted as failed", "error", err)
	}
}

// overCeiling tells whether a phone has too many failed tries in the window, whatever was sent since.
func (d *Desk) overCeiling(ctx context.Context, m *SubmitCode, now time.Time) (bool, error) {
	n, err := d.cfg.Fails.CountFails(ctx, failsOf(m.Key), now.Add(-d.cfg.Policy.FailWindow))
	if err != nil {
		return false, ErrUnavailable.Because(err)
	}
	return n >= d.cfg.Policy.FailCeiling, nil
}

// passLane lets a device that has logged in before go on over the ceiling, slowly, and refuses all others.
func (d *Desk) passLane(ctx context.Context, m *SubmitCode) error {
	open, err := d.lane(ctx, m)
	if err != nil {
		return ErrUnavailable.Because(err)
	}
	if !open {
		return d.tooMany(ctx, m)
	}
	return nil
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

// KnowsDevice tells whether the owner of a phone has logged in on a device since then, from the durable store.
func (d *Desk) KnowsDevice(ctx context.Context, k otp.Key, device string, since time.Time) (bool, error) {
	if d.cfg.Devices == nil || device == "" {
		return false, nil
	}
	u, err := d.cfg.Users.ByPhone(ctx, k.Phone.E164(), k.Role)
	if errors.Is(err, fleet.ErrNoUser) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return d.cfg.Devices.KnownDevice(ctx, u.ID, device, since)
}

// lane tells whether the sender's device has logged in before and has a try left in its own window.
func (d *Desk) lane(ctx context.Context, m *SubmitCode) (bool, error) {
	if d.cfg.Devices == nil || m.DeviceID == "" {
		return false, nil
	}
	known, err := d.KnowsDevice(ctx, m.Key, m.DeviceID, time.Time{})
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
