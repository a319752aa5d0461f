package reports_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"weelo/internal/notify"
	"weelo/transport/reports"
)

const secret = "hush-hush-hush-hush-hush-hush-hush"

// desk is a handler of MSG91's reports and all that it touches.
type desk struct {
	handler  http.Handler
	registry *prometheus.Registry
	log      bytes.Buffer
	lost     []notify.Report
}

func newDesk() *desk {
	d := &desk{registry: prometheus.NewRegistry()}
	d.handler = reports.New(reports.Config{
		Provider: "msg91", Reader: notify.MSG91Reports{Secret: []byte(secret)}, Counter: notify.NewMeter(d.registry),
		Lost: func(_ context.Context, r notify.Report) { d.lost = append(d.lost, r) },
		Log:  slog.New(slog.NewTextHandler(&d.log, nil)),
	})
	return d
}

func (d *desk) post(key, body string) int {
	r := httptest.NewRequest(http.MethodPost, reports.MSG91Path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Report-Secret", key)
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w.Code
}

// counted is every series of reports with its value.
func (d *desk) counted(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := d.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetCounter() == nil {
				continue
			}
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			out[f.GetName()+" "+strings.Join(labels, " ")] = m.GetCounter().GetValue()
		}
	}
	return out
}

// TestReportsAreCounted by provider, state and template; a lost code is one line and is told of, a lost
// text is not, and no phone is anywhere.
func TestReportsAreCounted(t *testing.T) {
	t.Parallel()
	d := newDesk()
	for _, body := range []string{
		`{"CRQID":"login","number":"919876543210","status":"1"}`,
		`[{"CRQID":"driver_login","number":"919876543210","status":"16","desc":"REJECTED"},{"CRQID":"driver_accepted","number":"919876543210","status":"2"}]`,
		`{"CRQID":"nobody's","number":"919876543210","status":"Delivered"}`,
		`{"CRQID":"login","status":"queued"}`,
	} {
		if code := d.post(secret, body); code != http.StatusNoContent {
			t.Errorf("%s: %d", body, code)
		}
	}
	want := map[string]float64{
		"weelo_sms_delivery_total msg91 delivered login": 1, "weelo_sms_delivery_total msg91 blocked driver_login": 1,
		"weelo_sms_delivery_total msg91 failed driver_accepted": 1, "weelo_sms_delivery_total msg91 delivered unknown": 1,
	}
	if diff := cmp.Diff(want, d.counted(t)); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	if len(d.lost) != 1 || d.lost[0].Template != notify.TextDriver || d.lost[0].State != notify.Blocked {
		t.Errorf("lost %+v", d.lost)
	}
	log := d.log.String()
	if strings.Count(log, `msg="code not delivered"`) != 1 || !strings.Contains(log, "+91******3210") || !strings.Contains(log, "REJECTED") || strings.Contains(log, "98765432") {
		t.Errorf("log: %s", log)
	}
}

// TestPhonesMakeNoSeries: as many reports as there are phones, of as many templates as somebody invents.
func TestPhonesMakeNoSeries(t *testing.T) {
	t.Parallel()
	d := newDesk()
	for i := range 300 {
		if code := d.post(secret, fmt.Sprintf(`{"CRQID":"t%d","number":"9198765%05d","status":"%d","desc":"reason %d"}`, i, i, i%30, i)); code != http.StatusNoContent {
			t.Fatal(code)
		}
	}
	if n := len(d.counted(t)); n > 4 {
		t.Errorf("%d series", n)
	}
}

// TestWhatIsNoReport has no effect but its count.
func TestWhatIsNoReport(t *testing.T) {
	t.Parallel()
	d := newDesk()
	good := `{"CRQID":"login","number":"919876543210","status":"2"}`
	for _, c := range []struct {
		name, key, body string
		want            int
	}{
		{"a stranger", "", good, http.StatusUnauthorized},
		{"a stranger who guesses", secret[1:], good, http.StatusUnauthorized},
		{"no JSON", secret, `status=2`, http.StatusBadRequest},
		{"too much", secret, `{"desc":"` + strings.Repeat("x", 70_000) + `"}`, http.StatusRequestEntityTooLarge},
	} {
		if code := d.post(c.key, c.body); code != c.want {
			t.Errorf("%s: %d", c.name, code)
		}
	}
	endless := httptest.NewRequest(http.MethodPost, reports.MSG91Path, &zeros{})
	endless.ContentLength = -1
	endless.Header.Set("Content-Type", "application/json")
	endless.Header.Set("X-Report-Secret", secret)
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, endless)
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("without an end: %d", w.Code)
	}
	want := map[string]float64{
		"weelo_sms_reports_refused_total msg91 forged": 2, "weelo_sms_reports_refused_total msg91 malformed": 1, "weelo_sms_reports_refused_total msg91 too_big": 2,
	}
	if diff := cmp.Diff(want, d.counted(t)); diff != "" || len(d.lost) != 0 || d.log.Len() != 0 {
		t.Errorf("lost %v, log %s (-want +got):\n%s", d.lost, d.log.String(), diff)
	}
}

// zeros is a body that never ends; it fails when nobody stops reading.
type zeros struct{ read int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.read += len(p); z.read > 1<<20 {
		return 0, errors.New("a megabyte was read")
	}
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}
