package client_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"weelo/internal/client"
)

func TestREST(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"POST /api/v1/auth/verify-otp":        `{"success":true,"data":{"user":{"id":"u1"},"tokens":{"accessToken":"a","refreshToken":"r","expiresIn":3600}}}`,
		"POST /api/v1/driver-auth/verify-otp": `{"success":true,"data":{"accessToken":"a","refreshToken":"r","driver":{"id":"d1"},"role":"DRIVER"}}`,
		"POST /api/v1/auth/refresh":           `{"success":true,"data":{"accessToken":"a2","refreshToken":"r2","expiresIn":3600}}`,
		"POST /api/v1/assignments":            `{"success":true,"data":{"id":"t1","tripId":"t1"}}`,
		"PATCH /api/v1/assignments/t1/accept": `{"success":true,"data":{}}`,
		"POST /api/v1/auth/send-otp":          `{"success":true,"data":{"message":"ok","expiresIn":300}}`,
		"POST /api/v1/driver-auth/send-otp":   `{"success":false,"error":{"code":"DRIVER_NOT_FOUND","message":"No driver."}}`,
		"PUT /api/v1/tracking/trip/t1/status": `<html>`,
	}
	var bodies []string
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies = append(bodies, r.Header.Get("Authorization")+" "+string(b))
		if r.URL.Path == "/api/v1/driver-auth/send-otp" {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, answers[r.Method+" "+r.URL.Path])
	}))
	defer web.Close()
	api := client.REST{BaseURL: web.URL + "/"}
	ctx := t.Context()

	if err := api.SendOTP(ctx, "9876543210", "customer"); err != nil {
		t.Error(err)
	}
	if tokens, id, err := api.VerifyOTP(ctx, "9876543210", "customer", "123456"); err != nil || id != "u1" || tokens.RefreshToken != "r" {
		t.Errorf("%+v %s %v", tokens, id, err)
	}
	if tokens, id, err := api.VerifyDriverOTP(ctx, "9876543210", "123456"); err != nil || id != "d1" || tokens.AccessToken != "a" {
		t.Errorf("%+v %s %v", tokens, id, err)
	}
	if tokens, err := api.Refresh(ctx, "r"); err != nil || tokens.AccessToken != "a2" {
		t.Errorf("%+v %v", tokens, err)
	}
	if trip, err := api.As("T").Assign(ctx, client.Assignment{VehicleID: "v", DriverID: "d"}); err != nil || trip != "t1" {
		t.Errorf("%s %v", trip, err)
	}
	if err := api.As("D").Accept(ctx, "t1"); err != nil {
		t.Error(err)
	}
	var refusal *client.APIError
	if err := api.SendDriverOTP(ctx, "9123456789"); !errors.As(err, &refusal) || refusal.Status != 404 || refusal.RetryAfter != 7*time.Second || refusal.Code != "DRIVER_NOT_FOUND" {
		t.Errorf("%v", err)
	}
	if err := api.SetStatus(ctx, "t1", "completed"); !errors.As(err, &refusal) || refusal.Code != "INVALID_RESPONSE" {
		t.Errorf("%v", err)
	}
	if bodies[0] != ` {"phone":"9876543210","role":"customer"}` || bodies[5] != "Bearer D " {
		t.Errorf("sent %q", bodies)
	}
}
