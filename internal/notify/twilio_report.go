package notify

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio signs by HMAC-SHA1, which collisions of SHA-1 do not break
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// TwilioReports reads the requests that Twilio makes to a StatusCallback. They are signed with the
// account's token over the address that Twilio called and the whole form.
type TwilioReports struct {
	AuthToken string // TWILIO_AUTH_TOKEN
	Origin    string // SMS_REPORT_URL: where Twilio reaches this service, without a path
}

// templateParameter is the query parameter of our own by which a report names its template.
const templateParameter = "template"

// twilioCallback is the address to which Twilio reports on a message of a template.
func twilioCallback(address, key string) string {
	return address + "?" + url.Values{templateParameter: {key}}.Encode()
}

// Read gives the report of a request; none while the message is still Twilio's own. It is ErrForged or
// ErrMalformed otherwise. A repeated request is a repeated report.
func (t TwilioReports) Read(r *http.Request) ([]Report, error) {
	if err := r.ParseForm(); err != nil {
		return nil, fmt.Errorf("twilio: %w: %w", ErrMalformed, err)
	}
	signature, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Twilio-Signature"))
	address := strings.TrimRight(t.Origin, "/") + r.URL.RequestURI()
	if err != nil || !hmac.Equal(signature, twilioSignature(t.AuthToken, address, r.PostForm)) {
		return nil, fmt.Errorf("twilio: %w", ErrForged)
	}
	form := r.PostForm
	if !form.Has("MessageStatus") {
		return nil, fmt.Errorf("twilio: %w", ErrMalformed)
	}
	state := twilioState(form.Get("MessageStatus"), form.Get("ErrorCode"))
	if state == "" {
		return nil, nil
	}
	why := form.Get("MessageStatus")
	if code := form.Get("ErrorCode"); code != "" {
		why += " " + code[:min(len(code), 6)] // codes of Twilio have five digits
	}
	return []Report{{
		Provider: "twilio", Template: knownTemplate(r.URL.Query().Get(templateParameter)), State: state,
		To: number(form.Get("To")), Why: why,
	}}, nil
}

// twilioSignature is the HMAC over the address and each parameter's name and value, in their order.
func twilioSignature(token, address string, form url.Values) []byte {
	m := hmac.New(sha1.New, []byte(token))
	m.Write([]byte(address))
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			m.Write([]byte(name + v))
		}
	}
	return m.Sum(nil)
}

// twilioBlocked are Twilio's codes of messages that somebody dropped: blocked, filtered by the operator.
var twilioBlocked = map[string]bool{"30004": true, "30007": true, "21610": true}

// twilioState is "" for the steps before the message has left Twilio, and for words it may yet invent.
func twilioState(status, code string) State {
	switch status {
	case "sent":
		return Sent
	case "delivered", "read":
		return Delivered
	case "failed", "undelivered":
		if twilioBlocked[code] {
			return Blocked
		}
		return Failed
	default:
		return ""
	}
}
