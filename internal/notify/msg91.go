package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// MSG91 sends codes by MSG91's v5 otp endpoint: one POST with the template, our own code and the
// mobile number without "+". MSG91 would otherwise make a code of four digits by itself, and its
// verification is never used. Texts that are no codes fill templates of their own. The requests' shape
// follows the provider's public documentation; they were not tried against the live service.
type MSG91 struct {
	cfg    MSG91Config
	client *http.Client
	url    string
}

// MSG91Config is what an account is described by.
type MSG91Config struct {
	AuthKey    string // MSG91_AUTH_KEY; sent in the header authkey
	TemplateID string // MSG91_TEMPLATE_ID, as registered with DLT
	SenderID   string // MSG91_SENDER_ID, six characters, e.g. WEELO
	BaseURL    string // MSG91_BASE_URL
	// Texts are the ids of the templates of texts that are no codes, by nudge's names. One that is not
	// there is never sent.
	Texts map[string]string
}

// Validate names every problem at once.
func (c MSG91Config) Validate() error {
	var problems []error
	for name, v := range map[string]string{"MSG91_AUTH_KEY (or SMS_API_KEY)": c.AuthKey, "MSG91_TEMPLATE_ID": c.TemplateID} {
		if v == "" {
			problems = append(problems, fmt.Errorf("%s is needed to send by MSG91", name))
		}
	}
	if u, err := url.Parse(c.BaseURL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
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
	return &MSG91{cfg: cfg, client: client, url: strings.TrimRight(cfg.BaseURL, "/")}, nil
}

const maxProviderAnswer = 64 << 10

// Send hands a message over. Everything that is not a clear yes or no is Undecided.
func (m *MSG91) Send(ctx context.Context, s SMS) (Class, error) {
	mobile := strings.TrimPrefix(s.To.E164(), "+")
	if s.Code == "" {
		return m.text(ctx, s, mobile)
	}
	return m.post(ctx, "/api/v5/otp", map[string]any{
		"template_id": m.cfg.TemplateID, "mobile": mobile, "otp": s.Code, "sender": m.cfg.SenderID,
	})
}

// text fills a registered template (the v5 flow endpoint): India lets no free text through.
func (m *MSG91) text(ctx context.Context, s SMS, mobile string) (Class, error) {
	template := m.cfg.Texts[s.Template]
	if template == "" {
		return Refused, fmt.Errorf("msg91: no template for %q: %w", s.Template, ErrHopeless)
	}
	recipient := map[string]string{"mobiles": mobile}
	for name, v := range s.Vars {
		recipient[name] = v
	}
	return m.post(ctx, "/api/v5/flow", map[string]any{
		"template_id": template, "sender": m.cfg.SenderID, "short_url": "0", "recipients": []map[string]string{recipient},
	})
}

func (m *MSG91) post(ctx context.Context, path string, form map[string]any) (Class, error) {
	body, err := json.Marshal(form)
	if err != nil {
		return Refused, fmt.Errorf("msg91: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+path, bytes.NewReader(body))
	if err != nil {
		return Refused, errors.New("msg91: the request cannot be made")
	}
	req.Header.Set("authkey", m.cfg.AuthKey)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := m.client.Do(req)
	if err != nil {
		return unreached(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxProviderAnswer))
	if err != nil {
		return Undecided, fmt.Errorf("msg91: status %d, the answer broke off", res.StatusCode)
	}
	return verdict(res.StatusCode, raw)
}

// unreached tells a request that never left from one whose fate is unknown.
func unreached(err error) (Class, error) {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.As(err, &dns):
		return Refused, errors.New("msg91: cannot connect")
	case errors.Is(err, context.DeadlineExceeded):
		return Undecided, errors.New("msg91: no answer in time")
	default:
		return Undecided, errors.New("msg91: the connection failed")
	}
}

// verdict reads the provider's answer: {"type":"success"} or {"type":"error","message":…}. Its text is
// kept for the log only when it cannot contain what we sent.
func verdict(status int, raw []byte) (Class, error) {
	var answer struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(raw, &answer) // not JSON: decided by the status
	switch {
	case status == http.StatusOK && answer.Type == "success":
		return Accepted, nil
	case answer.Type == "error", status >= 400 && status < 500:
		return Refused, fmt.Errorf("msg91: status %d: %s", status, harmless(answer.Message))
	default:
		return Undecided, fmt.Errorf("msg91: status %d", status)
	}
}

// harmless keeps a provider's sentence if it has no run of digits that could be a code or a phone.
func harmless(text string) string {
	run := 0
	for _, r := range text {
		if r >= '0' && r <= '9' {
			run++
		} else {
			run = 0
		}
		if run >= 4 {
			return "(text withheld)"
		}
	}
	if len(text) > 200 {
		text = text[:200]
	}
	return text
}
