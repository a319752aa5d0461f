package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/notify"
	"weelo/internal/otp"
	"weelo/internal/session"
)

// The onboarding of a driver: his consent is a code that goes to his own phone, which he tells the
// transporter. It yields no session, only the membership.

// toRecruit sends the code to the driver, unless he is in a fleet. It counts against the transporter.
func (d *Desk) toRecruit(ctx context.Context, m *SendCode) (destination, error) {
	if d.cfg.Crews == nil || m.Invitation == nil {
		return destination{}, ErrUnavailable
	}
	boss, err := d.cfg.Users.User(ctx, m.Invitation.Transporter)
	switch {
	case errors.Is(err, fleet.ErrNoUser), err == nil && (boss.Suspended || boss.Role != fleet.Transporter):
		return destination{}, ErrTransporter
	case err != nil:
		return destination{}, d.notSent(ctx, m.Key, m.Key.Phone, "the transporter cannot be read", err)
	}
	driver, err := d.cfg.Users.ByPhone(ctx, m.Key.Phone.E164(), fleet.Driver)
	switch {
	case errors.Is(err, fleet.ErrNoUser):
	case err != nil:
		return destination{}, d.notSent(ctx, m.Key, m.Key.Phone, "the driver cannot be read", err)
	case driver.TransporterID == boss.ID:
		return destination{}, ErrDriverExists
	case driver.TransporterID != "":
		return destination{}, ErrDriverInFleet
	case driver.Suspended:
		return destination{}, session.ErrSuspended
	}
	id, err := otp.NewID(d.cfg.Random)
	if err != nil {
		return destination{}, err
	}
	if err := d.take(ctx, "otp-onboards:"+string(boss.ID), id, d.cfg.Policy.OnboardLimits, ErrTooManyGuests); err != nil {
		return destination{}, err
	}
	bound, err := json.Marshal(binding{Transporter: boss.ID})
	if err != nil {
		return destination{}, fmt.Errorf("login: binding: %w", err)
	}
	return destination{
		phone: m.Key.Phone, binding: string(bound), quotaKey: "otp-sent-onboard:" + m.Key.Phone.National(),
		windows: d.cfg.Policy.PerDestination, full: ErrTooManyCodes,
		message: func(code string) notify.SMS {
			return d.cfg.Hashes.OnboardCode(m.Key.Phone, code, boss.Name, d.minutes(otp.Onboard))
		},
	}, nil
}

// invited gives what a code is good for: the invitation it was sent with; or, when that was answered
// already, the driver who joined by it. A code for another fleet is a wrong one.
func (d *Desk) invited(ctx context.Context, m *SubmitCode, code otp.Code, now time.Time) (fleet.Invitation, *fleet.User, error) {
	w := words[otp.Onboard]
	var b binding
	if err := json.Unmarshal([]byte(code.Binding), &b); err != nil {
		return fleet.Invitation{}, nil, fmt.Errorf("login: binding: %w", err)
	}
	if d.cfg.Crews == nil || m.Transporter == "" || b.Transporter != m.Transporter {
		return fleet.Invitation{}, nil, d.refused(m, "foreign", w.wrong)
	}
	i, err := d.cfg.Crews.Invitation(ctx, m.Transporter, m.Key.Phone.E164(), now)
	switch {
	case err == nil:
		return i, nil, nil
	case !errors.Is(err, fleet.ErrNoInvitation):
		return fleet.Invitation{}, nil, ErrUnavailable.Because(err)
	}
	driver, err := d.cfg.Users.ByPhone(ctx, m.Key.Phone.E164(), fleet.Driver)
	switch {
	case err == nil && driver.TransporterID == m.Transporter:
		return fleet.Invitation{}, &driver, nil
	case err != nil && !errors.Is(err, fleet.ErrNoUser):
		return fleet.Invitation{}, nil, ErrUnavailable.Because(err)
	}
	return fleet.Invitation{}, nil, d.refused(m, "left", w.missing)
}

// join takes the driver into the fleet. It can be done again with the same result. The claim's
// session names him if he is new.
func (d *Desk) join(ctx context.Context, m *SubmitCode, claim otp.Claim, now time.Time) (*LoggedIn, error) {
	i, joined, err := d.invited(ctx, m, claim.Code, now)
	if err != nil {
		return nil, err
	}
	if joined != nil {
		return &LoggedIn{User: *joined, IsNew: joined.ID == fleet.UserID(claim.Session)}, nil
	}
	u, err := d.cfg.Crews.Join(ctx, i, fleet.UserID(claim.Session), now.UTC().Truncate(time.Microsecond))
	switch {
	case errors.Is(err, fleet.ErrInFleet):
		return nil, d.refused(m, "in-fleet", ErrDriverInFleet)
	case err != nil:
		return nil, ErrUnavailable.Because(err)
	}
	if err := d.cfg.Fails.ClearFails(ctx, failsOf(m.Key)); err != nil {
		d.log.WarnContext(ctx, "failed tries could not be cleared", "phone", m.Key.Phone, "error", err)
	}
	d.count(m.Key.Flow, "verified", "")
	d.log.InfoContext(ctx, "driver joined a fleet", "phone", m.Key.Phone, "user_id", u.ID, "transporter_id", u.TransporterID, "membership", u.MembershipVersion)
	return &LoggedIn{User: u, IsNew: u.ID == fleet.UserID(claim.Session)}, nil
}
