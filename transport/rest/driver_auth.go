package rest

import (
	"context"

	"weelo/actors/protocol"
	"weelo/internal/auditlog"
	"weelo/internal/fleet"
	"weelo/internal/phone"
)

type driverSendInput struct {
	Body struct {
		DriverPhone string `json:"driverPhone" maxLength:"32" example:"9123456789"`
	}
}

// driverSentData has the driver's first name only: whoever asks is not known yet.
type driverSentData struct {
	TransporterPhoneMasked string       `json:"transporterPhoneMasked" example:"98****210"`
	DriverID               fleet.UserID `json:"driverId"`
	DriverName             string       `json:"driverName"`
	ExpiresInMinutes       int          `json:"expiresInMinutes"`
	ExpiresIn              int          `json:"expiresIn" doc:"Seconds"`
	ChallengeID            string       `json:"challengeId"`
}

type driverVerifyInput struct {
	Body struct {
		DriverPhone string  `json:"driverPhone" maxLength:"32" example:"9123456789"`
		OTP         string  `json:"otp" pattern:"^[0-9]{6}$" doc:"Six digits"`
		ChallengeID *string `json:"challengeId,omitempty" maxLength:"64"`
		DeviceID    *string `json:"deviceId,omitempty" nullable:"true" maxLength:"128"`
		DeviceName  *string `json:"deviceName,omitempty" nullable:"true" maxLength:"128"`
	}
}

type loggedInDriver struct {
	ID                 fleet.UserID `json:"id"`
	Name               string       `json:"name"`
	Phone              string       `json:"phone"`
	TransporterID      fleet.UserID `json:"transporterId"`
	TransporterName    string       `json:"transporterName"`
	LicenseNumber      string       `json:"licenseNumber,omitempty"`
	IsProfileCompleted bool         `json:"isProfileCompleted"`
}

type driverLoggedInData struct {
	AccessToken  string         `json:"accessToken"`
	RefreshToken string         `json:"refreshToken"`
	Driver       loggedInDriver `json:"driver"`
	Role         string         `json:"role" example:"DRIVER"`
}

func (h *auth) driverSendOTP(ctx context.Context, in *driverSendInput) (driverSentData, error) {
	key, err := driverPhone(in.Body.DriverPhone)
	if err != nil {
		return driverSentData{}, err
	}
	sent, err := h.logins.SendCode(ctx, &protocol.SendCode{Key: key, From: from(ctx), Source: auditlog.SourceOf(ctx)})
	if err != nil {
		return driverSentData{}, err
	}
	return driverSentData{
		TransporterPhoneMasked: sent.TransporterHint, DriverID: sent.DriverID, DriverName: sent.DriverFirstName,
		ExpiresInMinutes: (seconds(sent.ExpiresIn) + 59) / 60, ExpiresIn: seconds(sent.ExpiresIn), ChallengeID: sent.Challenge,
	}, nil
}

func (h *auth) driverVerifyOTP(ctx context.Context, in *driverVerifyInput) (driverLoggedInData, error) {
	key, err := driverPhone(in.Body.DriverPhone)
	if err != nil {
		return driverLoggedInData{}, err
	}
	ok, err := h.logins.SubmitCode(ctx, submission(ctx, key, in.Body.OTP, in.Body.ChallengeID, in.Body.DeviceName))
	if err != nil {
		return driverLoggedInData{}, err
	}
	return driverLoggedInData{
		AccessToken: ok.Pair.Access, RefreshToken: ok.Pair.Refresh, Role: "DRIVER",
		Driver: loggedInDriver{
			ID: ok.User.ID, Name: ok.User.Name, Phone: phone.Number(ok.User.Phone).National(), TransporterID: ok.Transporter.ID,
			TransporterName: ok.Transporter.Name, LicenseNumber: ok.User.LicenseNumber, IsProfileCompleted: ok.User.Name != "",
		},
	}, nil
}
