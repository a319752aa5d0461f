package rest

import (
	"context"
	"errors"
	"math"
	"net/http"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/limit"
	"weelo/internal/login"
	"weelo/internal/otp"
	"weelo/internal/phone"
	"weelo/internal/session"
	"weelo/internal/token"
)

// Sessions is what login needs of sessions: *session.Keeper.
type Sessions interface {
	Refresh(ctx context.Context, refresh string, now time.Time) (session.Pair, error)
	Logout(ctx context.Context, id token.Identity, now time.Time) error
	End(ctx context.Context, user fleet.UserID, why string, now time.Time) (int, error)
}

// Users reads people: *postgres.Users, *sqlite.Users.
type Users interface {
	User(ctx context.Context, id fleet.UserID) (fleet.User, error)
}

// Tickets makes socket tickets: *session.Tickets.
type Tickets interface {
	Issue(ctx context.Context, id token.Identity) (string, error)
}

type sendOTPInput struct {
	Body struct {
		_     struct{} `additionalProperties:"false"`
		Phone string   `json:"phone" maxLength:"32" example:"9876543210" doc:"Ten digits, also after 0, 91 or +91"`
		Role  string   `json:"role,omitempty" maxLength:"32" example:"transporter" doc:"customer (default) or transporter"`
	}
}

type codeSentData struct {
	Message     string `json:"message"`
	ExpiresIn   int    `json:"expiresIn" doc:"Seconds"`
	ChallengeID string `json:"challengeId" doc:"May be sent back with the code; then no other code is accepted"`
}

type verifyOTPInput struct {
	Body struct {
		_           struct{} `additionalProperties:"false"`
		Phone       string   `json:"phone" maxLength:"32" example:"9876543210"`
		OTP         string   `json:"otp" pattern:"^[0-9]{6}$" doc:"Six digits"`
		Role        string   `json:"role,omitempty" maxLength:"32" example:"transporter"`
		ChallengeID *string  `json:"challengeId,omitempty" maxLength:"64"`
		DeviceID    *string  `json:"deviceId,omitempty" nullable:"true" maxLength:"128"`
		DeviceName  *string  `json:"deviceName,omitempty" nullable:"true" maxLength:"128"`
	}
}

type userData struct {
	ID                fleet.UserID `json:"id"`
	Phone             string       `json:"phone"`
	Role              fleet.Role   `json:"role"`
	Name              string       `json:"name"`
	Email             string       `json:"email"`
	IsProfileComplete bool         `json:"isProfileComplete"`
	CreatedAt         Timestamp    `json:"createdAt"`
	UpdatedAt         Timestamp    `json:"updatedAt"`
}

type tokensData struct {
	AccessToken  string `json:"accessToken"`
	RefreshToken string `json:"refreshToken"`
	ExpiresIn    int    `json:"expiresIn" doc:"Seconds until the access token expires"`
}

type loggedInData struct {
	User      userData   `json:"user"`
	Tokens    tokensData `json:"tokens"`
	IsNewUser bool       `json:"isNewUser"`
}

type refreshInput struct {
	Body struct {
		_            struct{} `additionalProperties:"false"`
		RefreshToken string   `json:"refreshToken" minLength:"1" maxLength:"2048"`
	}
}

type messageData struct {
	Message string `json:"message"`
}

type meData struct {
	User userData `json:"user"`
}

type ticketData struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int    `json:"expiresIn" doc:"Seconds"`
}

type empty struct{}

// auth is the resource of logins.
type auth struct {
	logins   protocol.Logins
	sessions Sessions
	users    Users
	tickets  Tickets
	now      func() time.Time
}

// RegisterAuth adds login, refresh and logout of customers, transporters, ops and drivers, and socket
// tickets.
func RegisterAuth(a *API, logins protocol.Logins, sessions Sessions, users Users, tickets Tickets) {
	h := &auth{logins: logins, sessions: sessions, users: users, tickets: tickets, now: a.now}
	public := func(path, name, summary string) Route {
		return Route{Method: http.MethodPost, Path: "/api/v1" + path, Name: name, Summary: summary, Tag: "login", Public: true, MaxBody: MaxAuthBody}
	}
	Handle(a, public("/auth/send-otp", "send-otp", "Send a login code to one's own phone"), h.sendOTP)
	Handle(a, public("/auth/verify-otp", "verify-otp", "Log in with a code"), h.verifyOTP)
	Handle(a, public("/auth/refresh", "refresh", "Exchange a refresh token"), h.refresh)
	own := func(method, path, name, summary string) Route {
		return Route{Method: method, Path: "/api/v1" + path, Name: name, Summary: summary, Tag: "login"}
	}
	Handle(a, own(http.MethodPost, "/auth/logout", "logout", "End this session"), h.logout)
	Handle(a, own(http.MethodPost, "/auth/logout-all", "logout-all", "End every session of the caller"), h.logoutAll)
	Handle(a, own(http.MethodGet, "/auth/me", "me", "Who the caller is"), h.me)
	Handle(a, own(http.MethodPost, "/ws-tickets", "ws-ticket", "A single-use ticket to open a socket with"), h.ticket)

	send := public("/driver-auth/send-otp", "driver-send-otp", "Send a driver's login code to the transporter's phone")
	send.Message = "The code was sent to your transporter."
	Handle(a, send, h.driverSendOTP)
	Handle(a, public("/driver-auth/verify-otp", "driver-verify-otp", "Log a driver in with a code"), h.driverVerifyOTP)
	out := own(http.MethodPost, "/driver-auth/logout", "driver-logout", "End this driver session")
	out.Roles = []fleet.Role{fleet.Driver}
	Handle(a, out, h.logout)
}

// ownKey reads phone and role. Every role that may not log in here has the same answer.
func ownKey(number, role string) (otp.Key, error) {
	n, err := phone.Parse(number)
	if err != nil {
		return otp.Key{}, err
	}
	switch r := fleet.Role(role); r {
	case "":
		return otp.Key{Flow: otp.Own, Role: fleet.Customer, Phone: n}, nil
	case fleet.Customer, fleet.Transporter, fleet.Ops:
		return otp.Key{Flow: otp.Own, Role: r, Phone: n}, nil
	case fleet.Driver:
		return otp.Key{}, login.ErrRole
	default:
		return otp.Key{}, login.ErrRole
	}
}

func (h *auth) sendOTP(ctx context.Context, in *sendOTPInput) (codeSentData, error) {
	key, err := ownKey(in.Body.Phone, in.Body.Role)
	if err != nil {
		return codeSentData{}, err
	}
	sent, err := h.logins.SendCode(ctx, &protocol.SendCode{Key: key, From: from(ctx), Source: auditlog.SourceOf(ctx)})
	if err != nil {
		return codeSentData{}, err
	}
	return codeSentData{Message: "We sent you a code.", ExpiresIn: seconds(sent.ExpiresIn), ChallengeID: sent.Challenge}, nil
}

func (h *auth) verifyOTP(ctx context.Context, in *verifyOTPInput) (loggedInData, error) {
	key, err := ownKey(in.Body.Phone, in.Body.Role)
	if err != nil {
		return loggedInData{}, err
	}
	ok, err := h.logins.SubmitCode(ctx, submission(ctx, key, in.Body.OTP, in.Body.ChallengeID, in.Body.DeviceName))
	if err != nil {
		return loggedInData{}, err
	}
	return loggedInData{User: userOf(ok.User), Tokens: tokensOf(ok.Pair), IsNewUser: ok.IsNew}, nil
}

// submission adds what the request says of its device.
func submission(ctx context.Context, key otp.Key, code string, challenge, deviceName *string) *protocol.SubmitCode {
	req := RequestOf(ctx)
	m := &protocol.SubmitCode{Key: key, Code: code, Device: req.DeviceOrOrigin(), DeviceID: req.Device, Source: auditlog.SourceOf(ctx)}
	if challenge != nil {
		m.Challenge = *challenge
	}
	if deviceName != nil {
		m.Name = printable(*deviceName, maxDevice)
	}
	return m
}

func (h *auth) refresh(ctx context.Context, in *refreshInput) (tokensData, error) {
	pair, err := h.sessions.Refresh(ctx, in.Body.RefreshToken, h.now())
	if err != nil {
		return tokensData{}, err
	}
	return tokensOf(pair), nil
}

func (h *auth) logout(ctx context.Context, _ *empty) (messageData, error) {
	if err := h.sessions.Logout(ctx, Caller(ctx), h.now()); err != nil {
		return messageData{}, err
	}
	return messageData{Message: "You are logged out."}, nil
}

func (h *auth) logoutAll(ctx context.Context, _ *empty) (messageData, error) {
	if _, err := h.sessions.End(ctx, Caller(ctx).UserID, session.LogoutAll, h.now()); err != nil {
		return messageData{}, err
	}
	return messageData{Message: "You are logged out on every device."}, nil
}

func (h *auth) me(ctx context.Context, _ *empty) (meData, error) {
	u, err := h.users.User(ctx, Caller(ctx).UserID)
	if errors.Is(err, fleet.ErrNoUser) {
		return meData{}, session.ErrUserNotFound
	}
	if err != nil {
		return meData{}, err
	}
	return meData{User: userOf(u)}, nil
}

func (h *auth) ticket(ctx context.Context, _ *empty) (ticketData, error) {
	t, err := h.tickets.Issue(ctx, Caller(ctx))
	if err != nil {
		return ticketData{}, err
	}
	return ticketData{Ticket: t, ExpiresIn: seconds(session.TicketLife)}, nil
}

// from is what a request is limited by.
func from(ctx context.Context) []string {
	req := RequestOf(ctx)
	list := []string{"ip:" + limit.Sender(req.Client)}
	if req.Device != "" {
		list = append(list, "device:"+req.Device)
	}
	return list
}

func userOf(u fleet.User) userData {
	return userData{
		ID: u.ID, Phone: phone.Number(u.Phone).National(), Role: u.Role, Name: u.Name, Email: u.Email,
		IsProfileComplete: u.Name != "", CreatedAt: At(u.CreatedAt), UpdatedAt: At(u.UpdatedAt),
	}
}

func tokensOf(p session.Pair) tokensData {
	return tokensData{AccessToken: p.Access, RefreshToken: p.Refresh, ExpiresIn: seconds(p.ExpiresIn)}
}

// seconds rounds up, so that a client never waits for nothing.
func seconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }

// driverPhone names the field as the driver's calls do.
func driverPhone(number string) (otp.Key, error) {
	n, err := phone.Parse(number)
	if err != nil {
		return otp.Key{}, fault.Invalid("driverPhone", phone.ErrInvalid.Message)
	}
	return otp.Key{Flow: otp.Driver, Role: fleet.Driver, Phone: n}, nil
}
