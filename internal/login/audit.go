package login

import (
	"context"
	"time"

	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/notify"
	"weelo/internal/otp"
)

// Trail takes what is written down about logins: *auditlog.Recorder.
type Trail interface {
	// Admit refuses when nothing can be written down any more.
	Admit() error
	Record(e auditlog.Event) error
	// Note is for what anybody can cause at any rate: repeats are counted, and nothing is refused.
	Note(e auditlog.Event)
}

// admit refuses a login that could not be written down.
func (d *Desk) admit() error {
	if d.cfg.Audit == nil {
		return nil
	}
	if err := d.cfg.Audit.Admit(); err != nil {
		return ErrUnavailable.Because(err)
	}
	return nil
}

// auditPrepared writes down a code that will not be sent, and remembers what to say of one that may be.
func (d *Desk) auditPrepared(m *SendCode, p *Prepared, err error) {
	e := auditlog.Event{Action: auditlog.CodeSent, Phone: m.Key.Phone.E164(), From: m.Source, Details: aboutKey(m.Key)}
	if m.Invitation != nil {
		e.Actor, e.Role = string(m.Invitation.Transporter), string(fleet.Transporter)
	}
	if err == nil {
		if p.Sent.DriverID != "" {
			e.Subject = "user:" + string(p.Sent.DriverID)
		}
		e.AuthorisedBy = string(p.authorisedBy)
		p.told = e
		return
	}
	if d.cfg.Audit != nil {
		e.Action, e.Reason = auditlog.CodeNotSent, fault.From(err).Reason
		d.cfg.Audit.Note(e)
	}
}

// neverBegun are the refusals of a session that had no time for a request. The Desk, which writes down
// its own, never heard of it.
var neverBegun = map[string]bool{"BUSY": true, "SHUTTING_DOWN": true, "INTERRUPTED": true}

// auditUnsent writes down a code that the Desk was not asked for. limit is the one that refused, "" when
// none did.
func (g *Gate) auditUnsent(m *SendCode, limit string, err error) {
	e := auditlog.Event{Action: auditlog.CodeNotSent, Phone: m.Key.Phone.E164(), From: m.Source, Details: aboutKey(m.Key)}
	if m.Invitation != nil {
		e.Actor, e.Role = string(m.Invitation.Transporter), string(fleet.Transporter)
	}
	g.auditRefused(e, limit, err)
}

// auditUntried writes down a try that the Desk was not asked for, likewise.
func (g *Gate) auditUntried(m *SubmitCode, limit string, err error) {
	e := auditlog.Event{Action: auditlog.LoginRefused, Phone: m.Key.Phone.E164(), From: m.Source, Details: aboutKey(m.Key)}
	g.auditRefused(e, limit, err)
}

func (g *Gate) auditRefused(e auditlog.Event, limit string, err error) {
	if g.cfg.Audit == nil {
		return
	}
	e.Reason = fault.From(err).Reason
	if limit != "" {
		e.Details["limit"] = limit
	}
	g.cfg.Audit.Note(e)
}

// aboutKey is a login in words, without the phone.
func aboutKey(k otp.Key) map[string]any {
	return map[string]any{"flow": string(k.Flow), "role": string(k.Role)}
}

// auditDelivery writes down what became of a code at the provider, and why it was not taken.
func (d *Desk) auditDelivery(ctx context.Context, p *Prepared, class notify.Class, why error) {
	if d.cfg.Audit == nil {
		return
	}
	e := p.told
	if class == notify.Refused {
		e.Action, e.Reason = auditlog.CodeNotSent, words[p.key.Flow].notSent.Reason
	}
	e.Details = aboutKey(p.key)
	e.Details["provider"] = class.String()
	if reason := notify.Reason(why); reason != "" {
		e.Details["why"] = reason
	}
	if err := d.cfg.Audit.Record(e); err != nil {
		d.log.ErrorContext(ctx, "what became of a code is not in the audit log", "phone", p.key.Phone, "error", err)
	}
}

// auditSubmitted writes down how a login ended and gives its answer: that of a success which cannot be
// written down is a refusal. Its session was not handed out.
func (d *Desk) auditSubmitted(ctx context.Context, m *SubmitCode, in *LoggedIn, err error) error {
	if d.cfg.Audit == nil {
		return err
	}
	e := auditlog.Event{Phone: m.Key.Phone.E164(), From: m.Source, Details: aboutKey(m.Key)}
	if err != nil {
		e.Action, e.Reason = auditlog.LoginRefused, fault.From(err).Reason
		d.cfg.Audit.Note(e)
		return err
	}
	e.Details["new_user"] = in.IsNew
	if m.Key.Flow == otp.Onboard {
		e.Action, e.Actor, e.Role, e.Subject = auditlog.DriverJoined, string(m.Transporter), string(fleet.Transporter), "user:"+string(in.User.ID)
	} else {
		e.Action, e.Actor, e.Role, e.Subject = auditlog.LoggedIn, string(in.User.ID), string(in.User.Role), "session:"+in.Pair.Identity.SessionID
		e.AuthorisedBy = string(in.Transporter.ID)
	}
	if err := d.cfg.Audit.Record(e); err != nil {
		d.log.ErrorContext(ctx, "login refused: it cannot be written down", "phone", m.Key.Phone, "error", err)
		return ErrUnavailable.Because(err)
	}
	if in.newDevice { // nobody causes this at any rate: it took a right code
		e.Action = auditlog.NewDevice
		if err := d.cfg.Audit.Record(e); err != nil { // the login itself is written down
			d.log.WarnContext(ctx, "that a login was on a new device is not in the audit log", "phone", m.Key.Phone, "error", err)
		}
	}
	return nil
}

// newDevice tells whether a user who has logged in before does so on a device that he never used. What
// cannot be read is no news.
func (d *Desk) newDevice(ctx context.Context, in *LoggedIn, device string) bool {
	if d.cfg.Audit == nil || d.cfg.Devices == nil || in.IsNew || device == "" {
		return false
	}
	known, err := d.cfg.Devices.KnownDevice(ctx, in.User.ID, device, time.Time{})
	return err == nil && !known
}
