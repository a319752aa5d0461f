package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/notify"
	"weelo/internal/otp"
	"weelo/internal/phone"
)

// SendCode asks for a code. From is what the request is limited by: an address, a device.
type SendCode struct {
	Key  otp.Key
	From []string
	// Invitation is the onboarding flow's: who wants the owner of the phone in his fleet. It is stored
	// with the code.
	Invitation *fleet.Invitation
	Source     auditlog.Source
}

// CodeSent answers SendCode. The driver's fields are set in the driver's flow only.
type CodeSent struct {
	Challenge string
	ExpiresIn time.Duration

	DriverID        fleet.UserID
	DriverFirstName string
	TransporterHint string // the transporter's number, masked
}

// Prepared is a code that is stored and not yet handed over.
type Prepared struct {
	Sent CodeSent
	key  otp.Key
	sms  notify.SMS
	told auditlog.Event // what is written down of it
	// authorisedBy is whose phone gets a driver's code.
	authorisedBy fleet.UserID
	// quota is the event to take back when the provider refuses.
	quotaKey string
}

// String hides the code, which fmt would otherwise find in the message.
func (p *Prepared) String() string { return "code for " + p.key.Phone.Masked() }

// LogValue hides the code.
func (p *Prepared) LogValue() slog.Value { return slog.StringValue(p.String()) }

// binding is what must still be true of a driver when the code is used (security.md §2.7 D6).
type binding struct {
	Driver      fleet.UserID `json:"d"`
	Transporter fleet.UserID `json:"t"`
	Membership  int64        `json:"m"`
}

// Prepare checks that a code may be sent and stores it. It does not call the provider.
func (d *Desk) Prepare(ctx context.Context, m *SendCode) (prepared *Prepared, err error) {
	if err := d.admit(); err != nil {
		return nil, err
	}
	defer func() { d.auditPrepared(m, prepared, err) }()
	to, err := d.destination(ctx, m)
	if err != nil {
		d.count(m.Key.Flow, "refused", fault.From(err).Reason)
		return nil, err
	}
	code, err := otp.NewCode(d.cfg.Random)
	if err != nil {
		return nil, err
	}
	id, err := otp.NewID(d.cfg.Random)
	if err != nil {
		return nil, err
	}
	life, _ := d.cfg.Policy.Of(m.Key.Flow)
	to.sent.Challenge, to.sent.ExpiresIn = id, life
	p := &Prepared{Sent: to.sent, key: m.Key, quotaKey: to.quotaKey, authorisedBy: to.boss, sms: to.message(code)}
	if err := d.take(ctx, to.quotaKey, id, to.windows, to.full); err != nil {
		d.count(m.Key.Flow, "refused", fault.From(err).Reason)
		return nil, err
	}
	if m.Invitation != nil {
		if err := d.cfg.Crews.Invite(ctx, *m.Invitation); err != nil {
			d.giveBack(ctx, to.quotaKey, id)
			return nil, d.notSent(ctx, m.Key, to.phone, "the invitation cannot be stored", err)
		}
	}
	pepper := d.cfg.Peppers[0]
	wait, err := d.cfg.Codes.Issue(ctx, m.Key, otp.Code{
		ID: id, Kid: pepper.ID, Hash: pepper.Hash(m.Key, id, code), Binding: to.binding,
	}, life, d.cooldown())
	switch {
	case err != nil:
		d.giveBack(ctx, to.quotaKey, id)
		return nil, d.notSent(ctx, m.Key, to.phone, "the code cannot be stored", err)
	case wait > 0:
		d.giveBack(ctx, to.quotaKey, id)
		d.count(m.Key.Flow, "refused", ErrCooldown.Reason)
		return nil, ErrCooldown.After(wait)
	}
	return p, nil
}

func (d *Desk) cooldown() time.Duration {
	if d.cfg.NoLimits {
		return 0
	}
	return d.cfg.Policy.Cooldown
}

// destination is whose phone a code goes to, what it says, and what limits that phone.
type destination struct {
	phone    phone.Number
	message  func(code string) notify.SMS
	sent     CodeSent // what the asker is told, but for challenge and life
	binding  string   // of the code; see binding
	quotaKey string
	windows  []otp.Window
	full     *fault.Error // the refusal when a window is full
	boss     fleet.UserID // of a driver's login: whose phone it is
}

// destination decides where the code of a request goes.
func (d *Desk) destination(ctx context.Context, m *SendCode) (destination, error) {
	switch m.Key.Flow {
	case otp.Driver:
		return d.toTransporter(ctx, m)
	case otp.Onboard:
		return d.toRecruit(ctx, m)
	case otp.Own:
	}
	app := notify.CaptainApp
	switch m.Key.Role {
	case fleet.Customer:
		app = notify.CustomerApp
	case fleet.Transporter:
	case fleet.Ops:
		if !slices.Contains(d.cfg.Ops, m.Key.Phone) {
			return destination{}, ErrRole
		}
	default:
		return destination{}, ErrRole
	}
	return destination{
		phone: m.Key.Phone, quotaKey: "otp-sent:" + m.Key.Phone.National(), windows: d.cfg.Policy.PerDestination, full: ErrTooManyCodes,
		message: func(code string) notify.SMS { return d.cfg.Hashes.OwnCode(m.Key.Phone, app, code, d.minutes(otp.Own)) },
	}, nil
}

// toTransporter sends a driver's code to the transporter whose fleet the driver is in.
func (d *Desk) toTransporter(ctx context.Context, m *SendCode) (destination, error) {
	driver, boss, err := d.driver(ctx, m)
	if err != nil {
		return destination{}, err
	}
	to := phone.Number(boss.Phone)
	drivers, err := d.cfg.Users.CountDrivers(ctx, boss.ID)
	if err != nil {
		return destination{}, d.notSent(ctx, m.Key, to, "the fleet cannot be read", err)
	}
	bound, err := json.Marshal(binding{driver.ID, boss.ID, driver.MembershipVersion})
	if err != nil {
		return destination{}, fmt.Errorf("login: binding: %w", err)
	}
	first := firstName(driver.Name)
	return destination{
		phone: to, binding: string(bound), quotaKey: "otp-sent-drivers:" + string(boss.ID), windows: d.cfg.Policy.DriverCodes(drivers), full: ErrTooManySMS,
		boss: boss.ID, sent: CodeSent{DriverID: driver.ID, DriverFirstName: first, TransporterHint: to.Hint()},
		message: func(code string) notify.SMS {
			return d.cfg.Hashes.DriverCode(to, code, first, m.Key.Phone.National()[6:], d.minutes(otp.Driver))
		},
	}, nil
}

// minutes is the life of a code as messages say it.
func (d *Desk) minutes(f otp.Flow) int {
	life, _ := d.cfg.Policy.Of(f)
	return int(math.Ceil(life.Minutes()))
}

// driver finds the driver and the transporter. Unknown numbers are limited per address and device,
// and once that limit is reached known ones are refused alike, so that it cannot be used to search.
func (d *Desk) driver(ctx context.Context, m *SendCode) (driver, boss fleet.User, err error) {
	for _, from := range m.From {
		wait, err := d.cfg.Limits.Wait(ctx, "otp-unknown:"+from, d.windows(d.cfg.Policy.Unknown))
		if err != nil {
			return driver, boss, d.notSent(ctx, m.Key, m.Key.Phone, "limits cannot be checked", err)
		}
		if wait > 0 {
			return driver, boss, ErrTooManyAsks.After(wait)
		}
	}
	driver, err = d.cfg.Users.ByPhone(ctx, m.Key.Phone.E164(), fleet.Driver)
	switch {
	case errors.Is(err, fleet.ErrNoUser), err == nil && driver.Suspended:
		id, err := otp.NewID(d.cfg.Random)
		if err != nil {
			return driver, boss, err
		}
		for _, from := range m.From {
			if err := d.take(ctx, "otp-unknown:"+from, id, d.windows(d.cfg.Policy.Unknown), ErrTooManyAsks); err != nil {
				return driver, boss, err
			}
		}
		return driver, boss, ErrNoDriver
	case err != nil:
		return driver, boss, d.notSent(ctx, m.Key, m.Key.Phone, "the driver cannot be read", err)
	case driver.TransporterID == "":
		return driver, boss, ErrNoTransporter
	}
	boss, err = d.cfg.Users.User(ctx, driver.TransporterID)
	switch {
	case errors.Is(err, fleet.ErrNoUser), err == nil && boss.Suspended:
		return driver, boss, ErrTransporter
	case err != nil:
		return driver, boss, d.notSent(ctx, m.Key, m.Key.Phone, "the transporter cannot be read", err)
	}
	return driver, boss, nil
}

func (d *Desk) windows(w ...otp.Window) []otp.Window { return w }

func (d *Desk) take(ctx context.Context, key, id string, windows []otp.Window, refusal *fault.Error) error {
	if d.cfg.NoLimits {
		return nil
	}
	wait, err := d.cfg.Limits.Take(ctx, key, id, windows)
	if err != nil {
		return ErrUnavailable.Because(err)
	}
	if wait > 0 {
		return refusal.After(wait)
	}
	return nil
}

func (d *Desk) giveBack(ctx context.Context, key, id string) {
	if err := d.cfg.Limits.Return(context.WithoutCancel(ctx), key, id); err != nil {
		d.log.WarnContext(ctx, "a limit counts a code that was not sent", "error", err)
	}
}

// notSent is the one line for a code that never reached the provider's queue.
func (d *Desk) notSent(ctx context.Context, k otp.Key, to phone.Number, why string, err error) error {
	d.count(k.Flow, "undelivered", "unavailable")
	d.log.WarnContext(ctx, "code not sent", "phone", to, "why", why, "error", err)
	return ErrUnavailable.Because(err)
}

// Deliver hands a prepared code over and waits at most until ctx ends (ProviderWait is meant).
func (d *Desk) Deliver(ctx context.Context, p *Prepared) (*CodeSent, error) {
	class, err := d.cfg.SMS.Send(ctx, p.sms, func(class notify.Class, err error) {
		if class == notify.Refused {
			d.takeBack(context.WithoutCancel(ctx), p)
			d.auditDelivery(ctx, p, class, err)
		}
	})
	d.auditDelivery(ctx, p, class, err)
	switch class {
	case notify.Refused:
		d.takeBack(context.WithoutCancel(ctx), p)
		d.count(p.key.Flow, "undelivered", class.String())
		return nil, words[p.key.Flow].notSent.Because(err)
	case notify.Accepted, notify.Undecided:
		d.count(p.key.Flow, "sent", class.String())
	}
	return &p.Sent, nil
}

// takeBack undoes Prepare: the person may ask again at once, and it costs nothing.
func (d *Desk) takeBack(ctx context.Context, p *Prepared) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := d.cfg.Codes.Withdraw(ctx, p.key, p.Sent.Challenge); err != nil {
		d.log.WarnContext(ctx, "a code that was not sent could not be withdrawn", "phone", p.key.Phone, "error", err)
	}
	d.giveBack(ctx, p.quotaKey, p.Sent.Challenge)
}

// firstName is all of a driver's name that goes out before the login.
func firstName(name string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(name), " ")
	if len(first) > 24 {
		return ""
	}
	return first
}
