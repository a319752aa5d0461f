package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// MSG91 sends codes by MSG91's v5 otp endpoint: one POST with the template, our own code and the
// mobile number without "+". MSG91 would otherwise make a code of four digits by itself, and its
// verification is never used. Texts that are no codes go by the v5 flow endpoint. Both fill templates
// that stand in MSG91's panel with their DLT ids. The requests' shape follows the provider's public
// documentation; they were not tried against the live service.
type MSG91 struct {
	cfg    MSG91Config
	client *http.Client
	url    string
}

// MSG91Config is what an account is described by.
type MSG91Config struct {
	AuthKey  string // MSG91_AUTH_KEY; sent in the header authkey
	SenderID string // MSG91_SENDER_ID, six characters, e.g. WEELO
	BaseURL  string // MSG91_BASE_URL
	// Templates are MSG91's ids. That of one's own login is needed; a code without its own is sent by
	// that one, a text without its own is not sent.
	Templates TemplateIDs
	Reports   bool // each message carries its template's key (CRQID), which comes back with the report (MSG91Reports)
}

// Validate names every problem at once.
func (c MSG91Config) Validate() error {
	var problems []error
	for name, v := range map[string]string{"MSG91_AUTH_KEY (or SMS_API_KEY)": c.AuthKey, "MSG91_TEMPLATE_ID": c.Templates[TextLogin]} {
		if v == "" {
			problems = append(problems, fmt.Errorf("%s is needed to send by MSG91", name))
		}
	}
	if !httpAddress(c.BaseURL) {
		problems = append(problems, errors.New("MSG91_BASE_URL is not an http(s) URL"))
	}
	return errors.Join(problems...)
}

var _ Sender = (*MSG91)(nil)

// NewMSG91 makes one. The client's own timeout is not needed: each call has a deadline.
func NewMSG91(cfg MSG91Config, client *http.Client) (*MSG91, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &MSG91{cfg: cfg, client: NoRedirects(client), url: strings.TrimRight(cfg.BaseURL, "/")}, nil
}

// Send hands a message over. Everything that is not a clear yes or no is Undecided.
func (m *MSG91) Send(ctx context.Context, s SMS) (Class, error) {
	mobile := strings.TrimPrefix(s.To.E164(), "+")
	template := m.cfg.Templates.Of(s.Template)
	if s.Code == "" {
		return m.text(ctx, s, template, mobile)
	}
	if template == "" {
		template = m.cfg.Templates[TextLogin]
	}
	form := map[string]any{"template_id": template, "mobile": mobile, "otp": s.Code, "sender": m.cfg.SenderID}
	for name, v := range s.Vars {
		form[name] = v
	}
	if m.cfg.Reports {
		form["CRQID"] = s.Template
	}
	return m.post(ctx, "/api/v5/otp", form)
}

// text fills a registered template (the v5 flow endpoint): India lets no free text through.
func (m *MSG91) text(ctx context.Context, s SMS, template, mobile string) (Class, error) {
	if template == "" {
		return Refused, fmt.Errorf("msg91: %q: %w", s.Template, ErrTemplate)
	}
	recipient := map[string]string{"mobiles": mobile}
	for name, v := range s.Vars {
		recipient[name] = v
	}
	if m.cfg.Reports {
		recipient["CRQID"] = s.Template
	}
	return m.post(ctx, "/api/v5/flow", map[string]any{
		"template_id": template, "sender": m.cfg.SenderID, "short_url": "0", "recipients": []map[string]string{recipient},
	})
}

func (m *MSG91) post(ctx context.Context, path string, form map[string]any) (Class, error) {
	body, err := json.Marshal(form)
	if err != nil {
		return Refused, fmt.Errorf("msg91: %w", ErrHopeless)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+path, bytes.NewReader(body))
	if err != nil {
		return Refused, fmt.Errorf("msg91: the request cannot be made: %w", ErrHopeless)
	}
	req.Header.Set("authkey", m.cfg.AuthKey)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	status, answer, class, err := call(m.client, req)
	if err == nil {
		class, err = msg91Verdict(status, answer)
	}
	if err != nil {
		err = fmt.Errorf("msg91: %w", err)
	}
	return class, err
}

// msg91Verdict reads the answer: {"type":"success"} or {"type":"error","message":…}. Its text is kept for
// the log only when it cannot contain what we sent; whether it is about the number is guessed by it.
func msg91Verdict(status int, raw []byte) (Class, error) {
	var answer struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(raw, &answer) // not JSON: decided by the status
	said := strings.ToLower(answer.Message)
	switch {
	case status == http.StatusOK && answer.Type == "success":
		return Accepted, nil
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return Refused, fmt.Errorf("%w: status %d: %s", ErrBusy, status, Harmless(answer.Message))
	case answer.Type == "error" && status < 500, status >= 400 && status < 500:
		kind := ErrAccount
		if strings.Contains(said, "mobile") || strings.Contains(said, "number") {
			kind = ErrNumber
		}
		return Refused, fmt.Errorf("%w: status %d: %s", kind, status, Harmless(answer.Message))
	default:
		return Undecided, fmt.Errorf("%w: status %d", ErrUnclear, status)
	}
}
