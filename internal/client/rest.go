package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// REST calls the API as one person. The zero Token calls without one.
type REST struct {
	BaseURL string
	Token   string
	Reason  string       // why an operator looks at something; goes into the audit log
	HTTP    *http.Client // nil: one with a time-out of 20 s, as the apps have
}

// APIError is a refusal in the envelope of the API.
type APIError struct {
	Status  int
	Code    string `json:"code"`
	Message string `json:"message"`

	RetryAfter time.Duration `json:"-"` // when to come again; 0: the server did not say
}

// Error names status and code.
func (e *APIError) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }

var defaultHTTP = &http.Client{Timeout: 20 * time.Second}

const maxAnswer = 8 << 20 // bytes

// As gives the same API for another token.
func (r REST) As(token string) REST { r.Token = token; return r }

// Call sends in (nil: no body) to a path below /api/v1/ and reads the data of the answer into out (nil:
// not wanted). A refusal is an *APIError.
func (r REST) Call(ctx context.Context, method, path string, in, out any) error {
	a, err := r.Do(ctx, method, path, "", in)
	if err != nil {
		return err
	}
	if refusal := a.Refusal(); refusal != nil {
		return refusal
	}
	if out == nil || len(a.Data) == 0 {
		return nil
	}
	if err := json.Unmarshal(a.Data, out); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

// Answer is what the server said, whatever it was.
type Answer struct {
	Status     int
	Success    bool
	Data       json.RawMessage
	Error      APIError
	Body       []byte        // all of it
	RetryAfter time.Duration // 0: the server did not say
}

// Refusal is the answer's refusal; nil when it is none.
func (a Answer) Refusal() error {
	if a.Success {
		return nil
	}
	refusal := a.Error
	return &refusal
}

// Do is Call for callers that want to see everything of the answer and to send an idempotency key (""
// sends none). An error means that there was no answer: whether the server did anything is unknown.
func (r REST) Do(ctx context.Context, method, path, key string, in any) (Answer, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return Answer{}, fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(r.BaseURL, "/")+"/api/v1/"+path, body)
	if err != nil {
		return Answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.Token != "" {
		req.Header.Set("Authorization", "Bearer "+r.Token)
	}
	if r.Reason != "" {
		req.Header.Set("X-Reason", r.Reason)
	}
	if key != "" {
		req.Header.Set("X-Idempotency-Key", key)
	}
	h := r.HTTP
	if h == nil {
		h = defaultHTTP
	}
	answer, err := h.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = answer.Body.Close() }()
	return readEnvelope(answer)
}

func readEnvelope(answer *http.Response) (Answer, error) {
	a := Answer{Status: answer.StatusCode}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
		a.RetryAfter = time.Duration(seconds) * time.Second
	}
	var err error
	if a.Body, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer)); err != nil {
		return a, fmt.Errorf("read answer: %w", err)
	}
	var envelope struct {
		Success bool
		Data    json.RawMessage
		Error   APIError
	}
	if err := json.Unmarshal(a.Body, &envelope); err != nil {
		envelope.Success, envelope.Error = false, APIError{Code: "INVALID_RESPONSE", Message: string(a.Body[:min(len(a.Body), 200)])}
	}
	a.Success, a.Data, a.Error = envelope.Success, envelope.Data, envelope.Error
	a.Error.Status, a.Error.RetryAfter = answer.StatusCode, a.RetryAfter
	return a, nil
}

// Tokens are what a login gives.
type Tokens struct {
	AccessToken  string `json:"accessToken"`
	RefreshToken string `json:"refreshToken"`
}

// SendOTP asks for a code to a customer's, transporter's or ops user's phone.
func (r REST) SendOTP(ctx context.Context, phone, role string) error {
	return r.Call(ctx, http.MethodPost, "auth/send-otp", map[string]any{"phone": phone, "role": role}, nil)
}

// VerifyOTP exchanges the code for tokens; userID is who logged in.
func (r REST) VerifyOTP(ctx context.Context, phone, role, code string) (t Tokens, userID string, err error) {
	var data struct {
		User   struct{ ID string }
		Tokens Tokens
	}
	err = r.Call(ctx, http.MethodPost, "auth/verify-otp", map[string]any{"phone": phone, "otp": code, "role": role}, &data)
	return data.Tokens, data.User.ID, err
}

// SendDriverOTP asks for a driver's code, which goes to his transporter's phone.
func (r REST) SendDriverOTP(ctx context.Context, driverPhone string) error {
	return r.Call(ctx, http.MethodPost, "driver-auth/send-otp", map[string]any{"driverPhone": driverPhone}, nil)
}

// VerifyDriverOTP exchanges a driver's code for tokens; driverID is who logged in.
func (r REST) VerifyDriverOTP(ctx context.Context, driverPhone, code string) (t Tokens, driverID string, err error) {
	var data struct {
		Tokens
		Driver struct{ ID string }
	}
	err = r.Call(ctx, http.MethodPost, "driver-auth/verify-otp", map[string]any{"driverPhone": driverPhone, "otp": code}, &data)
	return data.Tokens, data.Driver.ID, err
}

// Refresh exchanges a refresh token for new ones.
func (r REST) Refresh(ctx context.Context, refreshToken string) (t Tokens, err error) {
	err = r.Call(ctx, http.MethodPost, "auth/refresh", map[string]any{"refreshToken": refreshToken}, &t)
	return t, err
}

// Place is an address with its position, as the API spells it.
type Place struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Address   string  `json:"address"`
}

// Assignment is a trip that a transporter starts directly.
type Assignment struct {
	VehicleID     string `json:"vehicleId"`
	DriverID      string `json:"driverId"`
	Pickup        Place  `json:"pickup"`
	Drop          Place  `json:"drop"`
	CustomerPhone string `json:"customerPhone,omitempty"`
}

// Assign starts a trip and gives its id, which is the assignment's id too.
func (r REST) Assign(ctx context.Context, a Assignment) (tripID string, err error) {
	var data struct {
		ID     string `json:"id"`
		TripID string `json:"tripId"`
	}
	err = r.Call(ctx, http.MethodPost, "assignments", a, &data)
	if data.TripID == "" {
		data.TripID = data.ID
	}
	return data.TripID, err
}

// Accept accepts an assignment as its driver.
func (r REST) Accept(ctx context.Context, tripID string) error {
	return r.Call(ctx, http.MethodPatch, "assignments/"+tripID+"/accept", nil, nil)
}

// Decline declines an assignment as its driver.
func (r REST) Decline(ctx context.Context, tripID, reason string) error {
	return r.Call(ctx, http.MethodPatch, "assignments/"+tripID+"/decline", map[string]any{"reason": reason}, nil)
}

// SetStatus moves a trip on as its driver.
func (r REST) SetStatus(ctx context.Context, tripID, status string) error {
	return r.Call(ctx, http.MethodPut, "tracking/trip/"+tripID+"/status", map[string]any{"status": status}, nil)
}
