package rest

import (
	"context"
	"net/http"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/push"
)

// PushPhones keeps where a user gets push messages: *postgres.Phones, *sqlite.Phones.
type PushPhones interface {
	Register(ctx context.Context, p push.Phone) error
	Unregister(ctx context.Context, user fleet.UserID, token string) error
}

var errPhones = fault.New(fault.Unavailable, "SERVICE_UNAVAILABLE", "Your phone could not be registered just now. Please try again.").After(5 * time.Second)

type notifications struct {
	phones PushPhones
	now    func() time.Time
}

// RegisterNotifications adds the routes with which apps say where they get push messages.
func RegisterNotifications(a *API, phones PushPhones) {
	h := &notifications{phones: phones, now: a.now}
	Handle(a, Route{Method: http.MethodPost, Path: "/api/v1/notifications/register-token", Name: "register-push-token", Tag: "notifications",
		Summary: "Get push messages on this phone, for as long as this session lives", MaxBody: 4 << 10}, h.register)
	Handle(a, Route{Method: http.MethodDelete, Path: "/api/v1/notifications/unregister-token", Name: "unregister-push-token", Tag: "notifications",
		Summary: "Get no push messages on this phone any more", MaxBody: 4 << 10}, h.unregister)
}

type registerTokenInput struct {
	Body struct {
		Token      string  `json:"token" minLength:"10" maxLength:"1024"`
		DeviceType *string `json:"deviceType,omitempty" nullable:"true" maxLength:"32" example:"android"`
		DeviceID   *string `json:"deviceId,omitempty" nullable:"true" maxLength:"128"`
	}
}

// RegisteredData answers a registration.
type RegisteredData struct {
	Message string       `json:"message"`
	UserID  fleet.UserID `json:"userId"`
	Role    fleet.Role   `json:"role"`
}

func (h *notifications) register(ctx context.Context, in *registerTokenInput) (RegisteredData, error) {
	who := Caller(ctx)
	p := push.Phone{Token: in.Body.Token, User: who.UserID, Session: who.SessionID, At: h.now()}
	if in.Body.DeviceID != nil {
		p.Device = printable(*in.Body.DeviceID, maxDevice)
	}
	if err := h.phones.Register(ctx, p); err != nil {
		return RegisteredData{}, errPhones.Because(err)
	}
	return RegisteredData{Message: "This phone is registered.", UserID: who.UserID, Role: who.Role}, nil
}

type unregisterTokenInput struct {
	Body struct {
		Token string `json:"token" minLength:"1" maxLength:"1024"`
	}
}

func (h *notifications) unregister(ctx context.Context, in *unregisterTokenInput) (messageData, error) {
	if err := h.phones.Unregister(ctx, Caller(ctx).UserID, in.Body.Token); err != nil {
		return messageData{}, errPhones.Because(err)
	}
	return messageData{Message: "This phone is not registered any more."}, nil
}
