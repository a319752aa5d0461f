package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weelo/internal/auditlog"
	"weelo/internal/config"
	"weelo/internal/notify"
	"weelo/transport/reports"
	"weelo/transport/rest"
)

// ledgerOf keeps what is written down.
type ledgerOf struct {
	auditlog.Store // of which nothing else is asked
	entries        []auditlog.Entry
}

func (l *ledgerOf) Append(_ context.Context, e []auditlog.Entry) error {
	l.entries = append(l.entries, e...)
	return nil
}

// reporting is a house as far as delivery reports need it.
func reporting(t *testing.T, env ...string) (*house, *ledgerOf) {
	t.Helper()
	cfg, err := config.Load(env)
	if err != nil {
		t.Fatal(err)
	}
	log, kept := slog.New(slog.DiscardHandler), &ledgerOf{}
	h := &house{
		p: &process{cfg: cfg, log: log}, sms: providers{meter: notify.NewMeter(prometheus.NewRegistry())},
		api:   rest.New(rest.Config{Version: "test", Log: log, Now: time.Now}),
		trail: auditlog.NewRecorder(auditlog.Config{Store: kept, Keys: auditlog.Keys{Kid: "k", Secret: []byte("pepper")}, Now: time.Now, Log: log}),
	}
	h.deliveryReports()
	return h, kept
}

func (h *house) answers(r *http.Request) int {
	w := httptest.NewRecorder()
	h.api.ServeHTTP(w, r)
	return w.Code
}

// TestDeliveryReportsAreOffUnlessAsked: no address is open that nobody needs.
func TestDeliveryReportsAreOffUnlessAsked(t *testing.T) {
	t.Parallel()
	const hush = "SMS_REPORT_SECRET=hush-hush-hush-hush-hush-hush-hush"
	for _, c := range []struct {
		name          string
		env           []string
		twilio, msg91 bool
	}{
		{"nothing", nil, false, false},
		{"providers alone", []string{"SMS_PROVIDER=msg91", "SMS_FALLBACK_PROVIDER=twilio"}, false, false},
		{"both", []string{"SMS_PROVIDER=msg91", "SMS_FALLBACK_PROVIDER=twilio", hush, "SMS_REPORT_URL=https://api.example.org"}, true, true},
		{"of another provider", []string{"SMS_PROVIDER=aws-sns", hush, "SMS_REPORT_URL=https://api.example.org"}, false, false},
	} {
		h, _ := reporting(t, c.env...)
		for path, open := range map[string]bool{reports.TwilioPath: c.twilio, reports.MSG91Path: c.msg91} {
			want := http.StatusNotFound
			if open {
				want = http.StatusUnauthorized
			}
			if code := h.answers(httptest.NewRequest(http.MethodPost, path, http.NoBody)); code != want {
				t.Errorf("%s: %s answers %d, want %d", c.name, path, code, want)
			}
		}
	}
}

// TestALostCodeIsWrittenDown: what Twilio is told to call is what we take, and the phone is not kept.
func TestALostCodeIsWrittenDown(t *testing.T) {
	t.Parallel()
	h, kept := reporting(t, "SMS_PROVIDER=twilio", "TWILIO_AUTH_TOKEN=secret", "SMS_REPORT_URL=https://api.example.org/")
	address := twilioReports(h.p.cfg.SMS) + "?template=login"
	form := url.Values{"ErrorCode": {"30003"}, "MessageStatus": {"undelivered"}, "To": {"+919876543210"}}
	m := hmac.New(sha1.New, []byte("secret"))
	m.Write([]byte(address + "ErrorCode30003MessageStatusundeliveredTo+919876543210"))
	r := httptest.NewRequest(http.MethodPost, strings.TrimPrefix(address, "https://api.example.org"), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(m.Sum(nil)))
	if code := h.answers(r); code != http.StatusNoContent {
		t.Fatalf("answers %d", code)
	}
	if err := h.trail.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(kept.entries) != 1 {
		t.Fatalf("written: %+v", kept.entries)
	}
	e := kept.entries[0]
	if e.Action != auditlog.CodeLost || e.Reason != "failed" || e.PhoneHMAC == "" || strings.Contains(e.PhoneHMAC, "98765") ||
		e.Details != `{"provider":"twilio","template":"login","why":"undelivered 30003"}` {
		t.Errorf("written: %+v", e)
	}
}

// TestProvidersOfTheEnvironment: each name is a provider, and one that lacks something is not made.
func TestProvidersOfTheEnvironment(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load([]string{
		"SMS_PROVIDER=aws-sns", "SMS_FALLBACK_PROVIDER=msg91", "MSG91_AUTH_KEY=k", "MSG91_TEMPLATE_ID=t", "AWS_SNS_SENDER_ID=WEELOO",
		"DLT_ENTITY_ID=1101234567890123456", "DLT_TEMPLATE_ID=1107000000000000001",
	})
	if err != nil {
		t.Fatal(err)
	}
	routes, err := smsRoutes(t.Context(), cfg.SMS, nil)
	if err != nil || len(routes) != 2 || routes[0].Name != "aws-sns" || routes[1].Name != "msg91" {
		t.Errorf("%v, %v", routes, err)
	}
	cfg.SMS.DLTEntity = ""
	if _, err := smsRoutes(t.Context(), cfg.SMS, nil); err == nil || !strings.Contains(err.Error(), "DLT_ENTITY_ID") {
		t.Errorf("without an entity: %v", err)
	}
}
