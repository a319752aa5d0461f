package notify_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/notify"
)

const (
	reportOrigin = "https://api.example.org"
	reportPath   = "/sms-reports/twilio?template=driver_login"
)

// signed is a request of Twilio's to one of our addresses.
func signed(token, address string, form url.Values) *http.Request {
	path := strings.TrimPrefix(address, reportOrigin)
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	m := hmac.New(sha1.New, []byte(token))
	m.Write([]byte(address))
	var names []string
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		m.Write([]byte(name + form.Get(name)))
	}
	r.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(m.Sum(nil)))
	return r
}

func twilioForm(status, code string) url.Values {
	f := url.Values{"MessageSid": {"SM1"}, "AccountSid": {account}, "To": {"+919876543210"}, "From": {"WEELOO"}, "MessageStatus": {status}}
	if code != "" {
		f.Set("ErrorCode", code)
	}
	return f
}

// TestTwilioSignature by the example of Twilio's documentation.
func TestTwilioSignature(t *testing.T) {
	t.Parallel()
	form := url.Values{"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+12349013030"}, "Digits": {"1234"}, "From": {"+12349013030"}, "To": {"+18005551212"}}
	r := httptest.NewRequest(http.MethodPost, "/myapp.php?foo=1&bar=2", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Twilio-Signature", "0/KCTR6DLpKmkAf8muzZqo1nDgQ=")
	// It is signed, but no report.
	if _, err := (notify.TwilioReports{AuthToken: "12345", Origin: "https://mycompany.com"}).Read(r); !errors.Is(err, notify.ErrMalformed) {
		t.Errorf("%v", err)
	}
}

// TestTwilioReports: what each status means.
func TestTwilioReports(t *testing.T) {
	t.Parallel()
	reader := notify.TwilioReports{AuthToken: "secret", Origin: reportOrigin + "/"}
	for _, c := range []struct {
		status, code string
		want         notify.State // "": no report
		why          string
	}{
		{"queued", "", "", ""},
		{"sending", "", "", ""},
		{"a word of next year", "", "", ""},
		{"sent", "", notify.Sent, "sent"},
		{"delivered", "", notify.Delivered, "delivered"},
		{"undelivered", "30003", notify.Failed, "undelivered 30003"},
		{"undelivered", "30007", notify.Blocked, "undelivered 30007"},
		{"failed", "21610", notify.Blocked, "failed 21610"},
		{"failed", "+919876543210", notify.Failed, "failed +91987"},
	} {
		var want []notify.Report
		if c.want != "" {
			want = []notify.Report{{Provider: "twilio", Template: notify.TextDriver, State: c.want, To: "+919876543210", Why: c.why}}
		}
		got, err := reader.Read(signed("secret", reportOrigin+reportPath, twilioForm(c.status, c.code)))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s %s: %v (-want +got):\n%s", c.status, c.code, err, diff)
		}
	}
	got, err := reader.Read(signed("secret", reportOrigin+"/sms-reports/twilio?template=evil", twilioForm("sent", "")))
	if err != nil || got[0].Template != notify.UnknownTemplate {
		t.Errorf("a template that is none: %v, %v", got, err)
	}
}

// TestTwilioForgeries: whatever is not signed by the account, for this address and form, is nothing.
func TestTwilioForgeries(t *testing.T) {
	t.Parallel()
	reader := notify.TwilioReports{AuthToken: "secret", Origin: reportOrigin}
	good := func() *http.Request { return signed("secret", reportOrigin+reportPath, twilioForm("sent", "")) }
	for name, r := range map[string]*http.Request{
		"another account":  signed("other", reportOrigin+reportPath, twilioForm("sent", "")),
		"another address":  signed("secret", "https://evil.example.org"+reportPath, twilioForm("sent", "")),
		"not signed":       func() *http.Request { r := good(); r.Header.Del("X-Twilio-Signature"); return r }(),
		"no signature":     func() *http.Request { r := good(); r.Header.Set("X-Twilio-Signature", "%%"); return r }(),
		"half a signature": func() *http.Request { r := good(); r.Header.Set("X-Twilio-Signature", "c2hvcnQ="); return r }(),
		"another template": func() *http.Request { r := good(); r.URL.RawQuery = "template=login"; return r }(),
		"not a form":       func() *http.Request { r := good(); r.Header.Set("Content-Type", "application/json"); return r }(),
		"another form": func() *http.Request {
			r := good()
			other := signed("secret", reportOrigin+reportPath, twilioForm("delivered", ""))
			r.Body = other.Body
			return r
		}(),
	} {
		if got, err := reader.Read(r); !errors.Is(err, notify.ErrForged) || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func msg91Request(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/sms-reports/msg91?key=hush", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	return r
}

// TestMSG91Reports: what each status means, in the spellings of MSG91's documentation.
func TestMSG91Reports(t *testing.T) {
	t.Parallel()
	reader := notify.MSG91Reports{Secret: []byte("hush")}
	one := func(state notify.State, template, why string) []notify.Report {
		return []notify.Report{{Provider: "msg91", Template: template, State: state, To: "+919876543210", Why: why}}
	}
	for body, want := range map[string][]notify.Report{
		`{"CRQID":"login","number":"919876543210","status":"1","desc":"DELIVERED"}`:                  one(notify.Delivered, "login", "1 DELIVERED"),
		`{"CRQID":"login","number":"919876543210","status":1}`:                                       one(notify.Delivered, "login", "1"),
		`{"CRQID":"onboard","telNum":"919876543210","status":"Delivered","failureReason":""}`:        one(notify.Delivered, "onboard", "delivered"),
		`{"CRQID":"0","number":"919876543210","status":"2","desc":"FAILED"}`:                         one(notify.Failed, "unknown", "2 FAILED"),
		`{"number":"919876543210","status":"Failed","failureReason":"SMS not matched with DLT"}`:     one(notify.Blocked, "unknown", "failed  SMS not matched with DLT"),
		`{"CRQID":"login","number":"919876543210","status":"16"}`:                                    one(notify.Blocked, "login", "16"),
		`{"CRQID":"login","number":"919876543210","status":17}`:                                      one(notify.Blocked, "login", "17"),
		`{"CRQID":"login","number":"919876543210","status":"Failed","desc":"to 919876543210"}`:       one(notify.Failed, "login", "(text withheld)"),
		`[{"CRQID":"login","number":"919876543210","status":"9"},{"status":"queued"},{"status":{}}]`: one(notify.Blocked, "login", "9"),
		`{"CRQID":"login","number":"12","status":"1"}`:                                               {{Provider: "msg91", Template: "login", State: notify.Delivered, Why: "1"}},
		`{}`: nil,
		`[]`: nil,
	} {
		got, err := reader.Read(msg91Request(body))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", body, err, diff)
		}
	}
	for _, body := range []string{``, `nope`, `{"status":"1"} {}`, `"1"`, `{"CRQID":1}`, `[` + strings.Repeat(`{},`, 500) + `{}]`} {
		if got, err := reader.Read(msg91Request(body)); !errors.Is(err, notify.ErrMalformed) || got != nil {
			t.Errorf("%.40s: %v, %v", body, got, err)
		}
	}
	form := msg91Request(`{}`)
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, err := reader.Read(form); !errors.Is(err, notify.ErrMalformed) {
		t.Errorf("a form: %v", err)
	}
}

// TestMSG91Forgeries: who does not know the secret is nobody.
func TestMSG91Forgeries(t *testing.T) {
	t.Parallel()
	body := `{"CRQID":"login","number":"919876543210","status":"1"}`
	request := func(path, header string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if header != "" {
			r.Header.Set("X-Report-Secret", header)
		}
		return r
	}
	reader := notify.MSG91Reports{Secret: []byte("hush")}
	if got, err := reader.Read(request("/x", "hush")); err != nil || len(got) != 1 {
		t.Errorf("by the header: %v, %v", got, err)
	}
	for _, r := range []*http.Request{request("/x", ""), request("/x?key=", ""), request("/x?key=hushh", ""), request("/x?key=hush", "other"), request("/x", "hus")} {
		if got, err := reader.Read(r); !errors.Is(err, notify.ErrForged) || got != nil {
			t.Errorf("%s: %v, %v", r.URL, got, err)
		}
	}
	if _, err := (notify.MSG91Reports{}).Read(request("/x", "")); !errors.Is(err, notify.ErrForged) {
		t.Errorf("without a secret: %v", err)
	}
}

// FuzzMSG91Reports: whatever comes, a report has labels and words of ours only.
func FuzzMSG91Reports(f *testing.F) {
	f.Add([]byte(`{"CRQID":"login","number":"919876543210","status":"1","desc":"DELIVERED"}`))
	f.Add([]byte(`[{"status":2,"failureReason":"DLT"},{"status":"sent","telNum":"9876543210"}]`))
	templates := map[string]bool{notify.UnknownTemplate: true}
	for _, t := range notify.Templates(notify.Hashes{}) {
		templates[t.Key] = true
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := notify.MSG91Reports{Secret: []byte("hush")}.Read(msg91Request(string(body)))
		if err != nil && (got != nil || !errors.Is(err, notify.ErrMalformed)) {
			t.Fatalf("%v, %v", got, err)
		}
		for _, r := range got {
			known := r.State == notify.Sent || r.State == notify.Delivered || r.State == notify.Failed || r.State == notify.Blocked
			if !known || !templates[r.Template] || r.Provider != "msg91" || len(r.Why) > 80 || r.To != "" && len(r.To) != 13 {
				t.Fatalf("%+v", r)
			}
		}
	})
}

// TestReportsAreAskedFor with each message, so that they name its template.
func TestReportsAreAskedFor(t *testing.T) {
	t.Parallel()
	var callback string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		callback = r.PostFormValue("StatusCallback")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"sid":"SM1","status":"queued"}`))
	}))
	defer s.Close()
	p, err := notify.NewTwilio(notify.TwilioConfig{AccountSID: account, AuthToken: "secret", From: "WEELOO", BaseURL: s.URL, Reports: reportOrigin + "/sms-reports/twilio"}, s.Client())
	if err != nil {
		t.Fatal(err)
	}
	m := notify.Hashes{}.DriverCode("+919876543210", "123456", "Ravi", "6789", 5)
	if class, err := p.Send(t.Context(), m); class != notify.Accepted || callback != reportOrigin+reportPath {
		t.Errorf("%v, %v, reports to %q", class, err, callback)
	}
	got, err := notify.TwilioReports{AuthToken: "secret", Origin: reportOrigin}.Read(signed("secret", callback, twilioForm("delivered", "")))
	if err != nil || len(got) != 1 || got[0].Template != notify.TextDriver || !got[0].Code() {
		t.Errorf("%v, %v", got, err)
	}
}
