package acceptance

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"weelo/internal/client"
)

// TestTheTwoCallsOfTheDeploymentGuide are sent as they are written there.
func TestTheTwoCallsOfTheDeploymentGuide(t *testing.T) {
	t.Parallel()
	s := onDev(t)
	for _, call := range []struct{ path, body, to string }{
		{"/api/v1/auth/send-otp", `{"phone": "9876543210", "role": "transporter"}`, "9876543210"},
		{"/api/v1/driver-auth/send-otp", `{"driverPhone": "9123456789"}`, "9876543210"}, // the transporter authorises
	} {
		seen := len(lines(s.smsFile))
		res, err := http.Post(s.server.Base+call.path, "application/json", strings.NewReader(call.body))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK || !strings.Contains(string(text), `"success":true`) {
			t.Errorf("%s: %d %s", call.path, res.StatusCode, text)
		}
		s.code(t, call.to, seen)
	}
}

// TestCodeSurvivesTheTask: the task is killed between send and verify; the code works on the next one,
// once.
func TestCodeSurvivesTheTask(t *testing.T) {
	t.Parallel()
	s := onServe(t)
	if err := s.api("").SendOTP(t.Context(), s.cast.customerPhone, "customer"); err != nil {
		t.Fatal(err)
	}
	code := s.code(t, s.cast.customerPhone, 0)
	s.crash(t)
	tokens, _, err := s.api("").VerifyOTP(t.Context(), s.cast.customerPhone, "customer", code)
	if err != nil {
		t.Fatalf("after the crash: %v", err)
	}
	var me struct{ User struct{ Role string } }
	if err := s.api(tokens.AccessToken).Call(t.Context(), http.MethodGet, "auth/me", nil, &me); err != nil {
		t.Errorf("the session: %v", err)
	}
	// Sessions and tries are durable: after another crash the refresh token works and the code does not.
	s.crash(t)
	if _, err := s.api("").Refresh(t.Context(), tokens.RefreshToken); err != nil {
		t.Errorf("refresh after another crash: %v", err)
	}
	other := s.api("")
	other.HTTP = &http.Client{Transport: device("another")}
	_, _, err = other.VerifyOTP(t.Context(), s.cast.customerPhone, "customer", code)
	var refused *client.APIError
	if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest {
		t.Errorf("the code works twice: %v", err)
	}
}

// device sends every request as another device would.
type device string

func (d device) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Device-Id", string(d))
	return http.DefaultTransport.RoundTrip(r)
}

// TestRestartGoesOn: what was stored is there after an orderly end, tokens included.
func TestRestartGoesOn(t *testing.T) {
	t.Parallel()
	s := onDev(t)
	token := s.login(t, s.cast.transporterPhone, "transporter")
	if code := s.server.Stop(t, 30e9); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.start(t)
	var list struct{ Drivers []struct{ ID string } }
	if err := s.api(token).Call(t.Context(), http.MethodGet, "driver/list", nil, &list); err != nil || len(list.Drivers) == 0 {
		t.Errorf("drivers after a restart: %+v %v", list, err)
	}
}
