package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/otp"
	"weelo/internal/phone"
	"weelo/internal/session"
	"weelo/internal/token"
)

// Onboarding is what the routes need by which drivers join a fleet: with a code that goes to the
// driver's own phone.
type Onboarding struct {
	Logins protocol.Logins
	Crews  fleet.Crews
	Audit  Trail // is told of a driver who left; nil: nobody is
	// Sessions ends those of a driver who left; nil: they end when they are refreshed, by his membership.
	Sessions interface {
		End(ctx context.Context, user fleet.UserID, why string, now time.Time) (int, error)
	}
}

func (d Fleet) registerOnboarding(a *API) {
	transporter := []fleet.Role{fleet.Transporter}
	const onboard = "/api/v1/driver/onboard/"
	Handle(a, Route{Method: http.MethodPost, Path: onboard + "initiate", Name: "invite-driver", Tag: "drivers", Roles: transporter,
		Summary: "Invite a driver: a code goes to his own phone", MaxBody: 16 << 10}, d.inviteDriver)
	Handle(a, Route{Method: http.MethodPost, Path: onboard + "resend", Name: "invite-driver-again", Tag: "drivers", Roles: transporter,
		Summary: "Send an invited driver a new code", MaxBody: 4 << 10}, d.inviteAgain)
	Handle(a, Route{Method: http.MethodPost, Path: onboard + "verify", Name: "onboard-driver", Tag: "drivers", Roles: transporter,
		Summary: "Take the driver into the fleet with the code that he tells", Status: http.StatusCreated, MaxBody: 4 << 10}, d.onboardDriver)
	Handle(a, Route{Method: http.MethodDelete, Path: "/api/v1/profile/drivers/{driverId}", Name: "dismiss-driver", Tag: "drivers", Roles: transporter,
		Summary: "Take a driver who is on no live trip out of the fleet; his sessions end"}, d.dismissDriver)
	Handle(a, Route{Method: http.MethodDelete, Path: "/api/v1/profile/my-transporter", Name: "leave-fleet", Tag: "drivers", Roles: []fleet.Role{fleet.Driver},
		Summary: "Leave the fleet, when on no live trip; all sessions of the driver end"}, d.leaveFleet)
}

type inviteDriverInput struct {
	Body struct {
		Phone         string  `json:"phone" maxLength:"32" example:"9123456789"`
		Name          string  `json:"name" minLength:"2" maxLength:"100" example:"Ravi Kumar"`
		LicenseNumber string  `json:"licenseNumber" minLength:"5" maxLength:"30" example:"KA0120210001234"`
		Email         *string `json:"email,omitempty" nullable:"true" maxLength:"254"`
	}
}

// InvitedData answers an invitation.
type InvitedData struct {
	Message           string `json:"message"`
	DriverPhoneMasked string `json:"driverPhoneMasked" example:"91****789"`
	ExpiresInMinutes  int    `json:"expiresInMinutes"`
	ExpiresIn         int    `json:"expiresIn" doc:"Seconds"`
	ChallengeID       string `json:"challengeId" doc:"May be sent back with the code; then no other code is accepted"`
}

func recruit(number string) (otp.Key, error) {
	n, err := phone.Parse(number)
	if err != nil {
		return otp.Key{}, err
	}
	return otp.Key{Flow: otp.Onboard, Role: fleet.Driver, Phone: n}, nil
}

func (d Fleet) inviteDriver(ctx context.Context, in *inviteDriverInput) (InvitedData, error) {
	b := in.Body
	key, err := recruit(b.Phone)
	if err != nil {
		return InvitedData{}, err
	}
	i := fleet.Invitation{
		Transporter: Caller(ctx).UserID, Phone: key.Phone.E164(), Name: strings.TrimSpace(b.Name),
		LicenseNumber: strings.ToUpper(strings.TrimSpace(b.LicenseNumber)), At: d.Now(),
	}
	if b.Email != nil {
		i.Email = strings.TrimSpace(*b.Email)
	}
	if len(i.Name) < 2 {
		return InvitedData{}, fault.Invalid("name", "Enter the driver's name.")
	}
	return d.invite(ctx, key, i)
}

type inviteAgainInput struct {
	Body struct {
		Phone string `json:"phone" maxLength:"32" example:"9123456789"`
	}
}

var errNotInvited = fault.New(fault.NotFound, "INVITATION_NOT_FOUND", "This driver was not invited. Please add him again.")

func (d Fleet) inviteAgain(ctx context.Context, in *inviteAgainInput) (InvitedData, error) {
	key, err := recruit(in.Body.Phone)
	if err != nil {
		return InvitedData{}, err
	}
	i, err := d.Onboarding.Crews.Invitation(ctx, Caller(ctx).UserID, key.Phone.E164(), d.Now())
	if errors.Is(err, fleet.ErrNoInvitation) {
		return InvitedData{}, errNotInvited
	}
	if err != nil {
		return InvitedData{}, err
	}
	i.At = d.Now()
	return d.invite(ctx, key, i)
}

func (d Fleet) invite(ctx context.Context, key otp.Key, i fleet.Invitation) (InvitedData, error) {
	sent, err := d.Onboarding.Logins.SendCode(ctx, &protocol.SendCode{Key: key, From: from(ctx), Invitation: &i, Source: auditlog.SourceOf(ctx)})
	if err != nil {
		return InvitedData{}, err
	}
	return InvitedData{
		Message: "A code was sent to the driver's phone.", DriverPhoneMasked: key.Phone.Hint(),
		ExpiresInMinutes: (seconds(sent.ExpiresIn) + 59) / 60, ExpiresIn: seconds(sent.ExpiresIn), ChallengeID: sent.Challenge,
	}, nil
}

type onboardDriverInput struct {
	Body struct {
		Phone       string  `json:"phone" maxLength:"32" example:"9123456789"`
		OTP         string  `json:"otp" pattern:"^[0-9]{6}$" doc:"Six digits"`
		ChallengeID *string `json:"challengeId,omitempty" maxLength:"64"`
	}
}

// OnboardedData is the driver who joined.
type OnboardedData struct {
	Driver OnboardedDriver `json:"driver"`
}

// OnboardedDriver is a new member of the fleet.
type OnboardedDriver struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	Phone         string `json:"phone"`
	LicenseNumber string `json:"licenseNumber"`
	IsVerified    bool   `json:"isVerified" doc:"Whether the phone was verified"`
}

func (d Fleet) onboardDriver(ctx context.Context, in *onboardDriverInput) (OnboardedData, error) {
	key, err := recruit(in.Body.Phone)
	if err != nil {
		return OnboardedData{}, err
	}
	m := submission(ctx, key, in.Body.OTP, in.Body.ChallengeID, nil)
	m.Transporter = Caller(ctx).UserID
	joined, err := d.Onboarding.Logins.SubmitCode(ctx, m)
	if err != nil {
		return OnboardedData{}, err
	}
	u := joined.User
	// Where he was last is of the time before he came, and nothing of this fleet.
	if err := d.Positions.Remove(ctx, u.ID); err != nil {
		d.Log.WarnContext(ctx, "a driver who joined is shown where he was before, until he moves", "driver", u.ID, "error", err)
	}
	d.driverChanged(ctx, driverAdded, u.ID)
	return OnboardedData{OnboardedDriver{ID: string(u.ID), Name: u.Name, Phone: national(u.Phone), LicenseNumber: u.LicenseNumber, IsVerified: true}}, nil
}

type driverIDInput struct {
	ID string `path:"driverId" maxLength:"64"`
}

var (
	errNoSuchDriver = fault.New(fault.NotFound, "DRIVER_NOT_FOUND", "This driver is not in your fleet.")
	errDriverOnTrip = fault.New(fault.Conflict, "DRIVER_ON_TRIP", "This driver is on a trip. He can be removed once it has ended.")
	errOnTrip       = fault.New(fault.Conflict, "DRIVER_ON_TRIP", "You are on a trip. You can leave once it has ended.")
)

// dismissDriver: a transporter lets a driver go.
func (d Fleet) dismissDriver(ctx context.Context, in *driverIDInput) (messageData, error) {
	err := d.part(ctx, Caller(ctx).UserID, fleet.UserID(in.ID))
	switch {
	case errors.Is(err, fleet.ErrNoUser):
		return messageData{}, errNoSuchDriver
	case errors.Is(err, fleet.ErrDriverBusy):
		return messageData{}, errDriverOnTrip
	case err != nil:
		return messageData{}, err
	}
	return messageData{Message: "The driver was removed from your fleet."}, nil
}

// leaveFleet: a driver goes by himself, without asking anybody.
func (d Fleet) leaveFleet(ctx context.Context, _ *struct{}) (messageData, error) {
	who := Caller(ctx)
	err := d.part(ctx, who.TransporterID, who.UserID)
	switch {
	case errors.Is(err, fleet.ErrNoUser): // he has left meanwhile
	case errors.Is(err, fleet.ErrDriverBusy):
		return messageData{}, errOnTrip
	case err != nil:
		return messageData{}, err
	}
	return messageData{Message: "You have left the fleet."}, nil
}

// part takes a driver out of a fleet, whoever of the two wished it.
func (d Fleet) part(ctx context.Context, transporter, driver fleet.UserID) error {
	if err := d.Onboarding.Crews.Leave(ctx, transporter, driver, d.Now()); err != nil {
		return err
	}
	if d.Onboarding.Audit != nil {
		who := Caller(ctx)
		e := auditlog.Event{Actor: string(who.UserID), Role: string(who.Role), Action: auditlog.DriverLeft, Subject: "user:" + string(driver), From: auditlog.SourceOf(ctx)}
		if err := d.Onboarding.Audit.Record(e); err != nil {
			d.Log.ErrorContext(ctx, "that a driver left is not in the audit log", "driver", driver, "error", err)
		}
	}
	// He has left. What follows only makes it known sooner.
	if d.Onboarding.Sessions != nil {
		if _, err := d.Onboarding.Sessions.End(ctx, driver, session.LeftFleet, d.Now()); err != nil {
			d.Log.WarnContext(ctx, "sessions of a driver who left are open until they are refreshed", "driver", driver, "error", err)
		}
	}
	if err := d.Drivers.SetAvailable(ctx, driver, false); err != nil {
		d.Log.WarnContext(ctx, "a driver who left is shown online until he is silent", "driver", driver, "error", err)
	}
	d.driverChanged(asTransporter(ctx, transporter), driverDeleted, driver)
	return nil
}

// asTransporter is for what a transporter's own devices are told when another has changed his fleet.
func asTransporter(ctx context.Context, id fleet.UserID) context.Context {
	return context.WithValue(ctx, callerKey, token.Identity{UserID: id, Role: fleet.Transporter})
}
