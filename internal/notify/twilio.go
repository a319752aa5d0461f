package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Twilio sends by Twilio's Messages resource: one POST with the whole text. Its Verify is not used: the
// codes are ours. The header and the templates are registered with Twilio beforehand, which knows a
// template by its words: a request has no place for DLT ids. The requests' shape follows the provider's
// public documentation; they were not tried against the live service.
type Twilio struct {
	cfg    TwilioConfig
	client *http.Client
	url    string
}

// TwilioConfig is what an account is described by.
type TwilioConfig struct {
	AccountSID string // TWILIO_ACCOUNT_SID, AC and 32 digits
	AuthToken  string // TWILIO_AUTH_TOKEN
	From       string // TWILIO_PHONE_NUMBER: a number (+…), a registered header, or a messaging service (MG…)
	BaseURL    string // TWILIO_BASE_URL
	Reports    string // the address for delivery reports (TwilioReports); "": none are asked for
}

// The forms of Twilio's names.
var (
	twilioAccount = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	twilioService = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
)

// Validate names every problem at once.
func (c TwilioConfig) Validate() error {
	var problems []error
	if !twilioAccount.MatchString(c.AccountSID) {
		problems = append(problems, errors.New("TWILIO_ACCOUNT_SID is not AC and 32 hexadecimal digits"))
	}
	if c.AuthToken == "" {
		problems = append(problems, errors.New("TWILIO_AUTH_TOKEN is needed to send by Twilio"))
	}
	if c.From == "" {
		problems = append(problems, errors.New("TWILIO_PHONE_NUMBER is needed to send by Twilio"))
	}
	if !httpAddress(c.BaseURL) {
		problems = append(problems, errors.New("TWILIO_BASE_URL is not an http(s) URL"))
	}
	return errors.Join(problems...)
}

var _ Sender = (*Twilio)(nil)

// NewTwilio makes one. The client's own timeout is not needed: each call has a deadline.
func NewTwilio(cfg TwilioConfig, client *http.Client) (*Twilio, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Twilio{
		cfg: cfg, client: NoRedirects(client),
		url: strings.TrimRight(cfg.BaseURL, "/") + "/2010-04-01/Accounts/" + cfg.AccountSID + "/Messages.json",
	}, nil
}

// Send hands a message over. Everything that is not a clear yes or no is Undecided.
func (t *Twilio) Send(ctx context.Context, s SMS) (Class, error) {
	form := url.Values{"To": {s.To.E164()}, "Body": {s.Body}}
	if twilioService.MatchString(t.cfg.From) {
		form.Set("MessagingServiceSid", t.cfg.From)
	} else {
		form.Set("From", t.cfg.From)
	}
	if t.cfg.Reports != "" {
		form.Set("StatusCallback", twilioCallback(t.cfg.Reports, s.Template))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, strings.NewReader(form.Encode()))
	if err != nil {
		return Refused, fmt.Errorf("twilio: the request cannot be made: %w", ErrHopeless)
	}
	req.SetBasicAuth(t.cfg.AccountSID, t.cfg.AuthToken)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	status, answer, class, err := call(t.client, req)
	if err == nil {
		class, err = twilioVerdict(status, answer)
	}
	if err != nil {
		err = fmt.Errorf("twilio: %w", err)
	}
	return class, err
}

// twilioNumber are Twilio's error codes about the receiving number: not a number, unsubscribed, no
// mobile, and on its list of those who must not be written to.
var twilioNumber = map[int]bool{21211: true, 21214: true, 21217: true, 21265: true, 21610: true, 21614: true, 21635: true, 63024: true}

// twilioVerdict reads the answer: 201 with the message's sid and a status, or {"code","message"}. A 429
// and a 503 were never processed; any other failure of theirs may have been.
func twilioVerdict(status int, raw []byte) (Class, error) {
	var answer struct {
		SID    string          `json:"sid"`
		Status json.RawMessage `json:"status"` // a word of a message, a number of an error
		Code   int             `json:"code"`
		Text   string          `json:"message"`
	}
	_ = json.Unmarshal(raw, &answer) // not JSON: decided by the status
	switch {
	case (status == http.StatusCreated || status == http.StatusOK) && answer.SID != "":
		if s := string(answer.Status); s == `"failed"` || s == `"undelivered"` || s == `"canceled"` {
			return Refused, fmt.Errorf("%w: the message is %s", ErrAccount, s)
		}
		return Accepted, nil
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return Refused, fmt.Errorf("%w: status %d code %d", ErrBusy, status, answer.Code)
	case status >= 400 && status < 500:
		kind := ErrAccount
		if twilioNumber[answer.Code] {
			kind = ErrNumber
		}
		return Refused, fmt.Errorf("%w: status %d code %d: %s", kind, status, answer.Code, Harmless(answer.Text))
	default:
		return Undecided, fmt.Errorf("%w: status %d", ErrUnclear, status)
	}
}
