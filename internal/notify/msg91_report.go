package notify

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// MSG91Reports reads the requests of MSG91's webhook. MSG91 signs nothing: whoever knows the secret, in
// the header X-Report-Secret or as the parameter key of the address, is MSG91.
type MSG91Reports struct {
	Secret []byte // SMS_REPORT_SECRET
}

// msg91Reports bounds the reports of one request.
const msg91Reports = 500

// msg91Report is what is read of a report. MSG91 lets its customers choose the fields; these are the
// names of its documentation, of which one for each thing is enough.
type msg91Report struct {
	CRQID  string `json:"CRQID"` // our own: the template's key
	Status any    `json:"status"`
	Desc   string `json:"desc"`
	Reason string `json:"failureReason"`
	Number string `json:"number"`
	TelNum string `json:"telNum"`
}

// Read gives the reports of a request: one JSON object, or a list of at most 500. It is ErrForged or
// ErrMalformed otherwise. A repeated request is a repeated report.
func (m MSG91Reports) Read(r *http.Request) ([]Report, error) {
	if !m.knows(r) {
		return nil, fmt.Errorf("msg91: %w", ErrForged)
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, fmt.Errorf("msg91: %w: not JSON", ErrMalformed)
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("msg91: %w: %w", ErrMalformed, err)
	}
	var said []msg91Report
	if raw = bytes.TrimSpace(raw); bytes.HasPrefix(raw, []byte("[")) {
		err = json.Unmarshal(raw, &said)
	} else {
		said = make([]msg91Report, 1)
		err = json.Unmarshal(raw, &said[0])
	}
	if err != nil || len(said) > msg91Reports {
		return nil, fmt.Errorf("msg91: %w", ErrMalformed)
	}
	var reports []Report
	for _, s := range said {
		if state := s.state(); state != "" {
			reports = append(reports, Report{
				Provider: "msg91", Template: knownTemplate(s.CRQID), State: state, To: number(s.Number + s.TelNum), Why: saidWhy(s.words()),
			})
		}
	}
	return reports, nil
}

// knows compares in constant time, whatever the length.
func (m MSG91Reports) knows(r *http.Request) bool {
	said := r.Header.Get("X-Report-Secret")
	if said == "" {
		said = r.URL.Query().Get("key")
	}
	is, want := sha256.Sum256([]byte(said)), sha256.Sum256(m.Secret)
	return len(m.Secret) > 0 && subtle.ConstantTimeCompare(is[:], want[:]) == 1
}

// status is MSG91's number or word; it sends either as either.
func (s msg91Report) status() string {
	switch v := s.Status.(type) {
	case string:
		return strings.ToLower(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return ""
	}
}

// words are MSG91's, of why.
func (s msg91Report) words() string {
	return strings.TrimSpace(s.status() + " " + s.Desc + " " + s.Reason)
}

// state is "" while the message is still MSG91's own. A failure that
// speaks of templates is the operators' register.
func (s msg91Report) state() State {
	state := State("")
	switch s.status() {
	case "1", "delivered":
		return Delivered
	case "sent", "submitted":
		return Sent
	case "9", "16", "17", "25", "rejected", "blocked", "ndnc":
		state = Blocked
	case "2", "failed", "undelivered", "expired":
		state = Failed
	}
	said := strings.ToLower(s.Desc + " " + s.Reason)
	if state == Failed && (strings.Contains(said, "dlt") || strings.Contains(said, "template")) {
		state = Blocked
	}
	return state
}
