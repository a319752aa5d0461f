package security

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weelo/internal/servertest"
	"weelo/internal/telemetry/otlptest"
)

// TestNothingLeaks lives a day with a server that says all it can, then reads everything that people read
// who look for a fault: both outputs at level debug, every span as a collector gets it, the metrics page,
// and the audit log. No phone, code, token or key is in any of them.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB, ...string) *talkative{"dev": talkativeDev, "serve": talkativeServe} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collector := otlptest.Start(t)
			h := open(t, append(collector.Env(), "LOG_LEVEL=debug")...)
			d := &day{talkative: h, t: t}
			ops := d.people()
			d.order()
			d.sockets()
			d.strangeInput()
			d.trouble()
			audit := d.administration(ops)

			metrics := h.stranger(t).page(h.admin + "/metrics")
			if code := h.server.Stop(t, 30*time.Second); code != 0 { // what waits to be exported is exported
				t.Errorf("the server ends with %d", code)
			}
			d.readsNothing(map[string]string{"the logs": h.logs(), "the spans": text(collector.Spans()), "the metrics": withoutValues(metrics), "the audit log": audit})
		})
	}
}

// talkative is a house that is heard.
type talkative struct {
	*house
	server *servertest.Weelo
	owned  []secret // its keys
}

func (h *talkative) open(t testing.TB) *talkative {
	t.Helper()
	h.server = servertest.Serve(t, h.environ, h.args...)
	h.base, h.admin = h.server.Base, h.server.Admin
	return h
}

func talkativeDev(t testing.TB, more ...string) *talkative {
	t.Helper()
	dir := t.TempDir()
	h := &talkative{house: &house{name: "dev", args: []string{"dev", "--no-simulation", "--dir", dir}, opsUser: newPhone(), sms: newSink(filepath.Join(dir, "sms.jsonl"))}}
	h.environ = environment(append(more, "OPS_PHONES="+h.opsUser)...)
	h.open(t)
	file, err := os.ReadFile(filepath.Join(dir, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{}
	if err := json.Unmarshal(file, &keys); err != nil || len(keys) != 3 {
		t.Fatalf("keys %v: %v", keys, err)
	}
	for name, key := range keys {
		raw, err := base64.StdEncoding.DecodeString(key)
		if err != nil {
			t.Fatal(err)
		}
		h.owned = append(h.owned, secret{what: "the key " + name, forms: []string{key, string(raw), fmt.Sprintf("%x", raw)}})
	}
	return h
}

func talkativeServe(t testing.TB, more ...string) *talkative {
	t.Helper()
	sms := filepath.Join(t.TempDir(), "sms.jsonl")
	h := &talkative{house: &house{name: "serve", args: []string{"serve"}, opsUser: newPhone(), sms: newSink(sms)}}
	keys := map[string]string{
		"JWT_SECRET": "kJ8vQm2ZrT5xW9bN4cL7pD1fG6hS3yUa0eRi", "JWT_REFRESH_SECRET": "Zp4Xc7Vb1Nm8Lk5Jh2Gf9Ds6Aq3We0Rt7YuI",
		"OTP_PEPPER": "Qw8Er3Ty6Ui1Op5As9Df2Gh7Jk4Lz0Xc6VbN",
	}
	h.environ = environment(append(more, "DATABASE_URL="+servertest.Database(t), "REDIS_URL="+servertest.Redis(t),
		"SMS_PROVIDER=file:"+sms, "OPS_PHONES="+h.opsUser, "PUBLIC_HOSTS=127.0.0.1,localhost")...)
	for name, key := range keys {
		h.environ = append(h.environ, name+"="+key)
		h.owned = append(h.owned, secret{what: name, forms: []string{key, base64.StdEncoding.EncodeToString([]byte(key)), fmt.Sprintf("%x", key)}})
	}
	return h.open(t)
}

// logs is what the server said, without the lines by which dev's console is an SMS provider.
func (h *talkative) logs() string {
	var kept strings.Builder
	for line := range strings.Lines(h.server.Said.String()) {
		if h.name != "dev" || !strings.HasPrefix(line, "SMS to +91") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func text(spans []otlptest.Span) string {
	var all strings.Builder
	for _, s := range spans {
		all.WriteString(s.Text + "\n")
	}
	return all.String()
}

// withoutValues keeps the names and labels of a metrics page: its numbers are counted, and one of them
// would some day be somebody's code.
func withoutValues(page string) string {
	var kept strings.Builder
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "#") {
			line = line[:strings.LastIndexByte(line, ' ')+1] + "\n"
		}
		kept.WriteString(line)
	}
	return kept.String()
}

// readsNothing searches the texts for everything secret of the day. That there is something to search, and
// that the search finds what is there, is checked first.
func (d *day) readsNothing(texts map[string]string) {
	secrets := append(d.secrets, d.owned...)
	for _, phone := range append(d.phones, d.crew.driverPhone) {
		secrets = append(secrets, aPhone(phone))
	}
	messages, err := os.ReadFile(d.sms.path)
	if err != nil {
		d.t.Fatal(err)
	}
	sent := 0
	for line := range strings.Lines(string(messages)) {
		var m sms
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			d.t.Fatal(err)
		}
		secrets = append(secrets, aCode(m.Code), aPhone(strings.TrimPrefix(m.To, "+91")))
		if len(found(line, secrets[len(secrets)-2:])) == 2 {
			sent++
		}
	}
	if sent < 9 {
		d.t.Errorf("only in %d of the messages both phone and code are found:\n%s", sent, messages)
	}
	for where, marks := range map[string][]string{
		"the logs":      {"code not sent", "request refused", "logged in", "session revoked", "driver joined", "serving", "+91******"},
		"the spans":     {"POST /api/v1/auth/verify-otp", "otp SubmitCode", "sms send", "PATCH /api/v1/assignments/{id}/accept", "ws watch", "unrouted"},
		"the metrics":   {"weelo_otp_total", "weelo_http_requests_total", "weelo_http_refused_total", "weelo_sockets"},
		"the audit log": {`"login"`, `"code_not_sent"`, `"user_suspended"`, `"driver_joined"`, "he called from +91******"},
	} {
		for _, mark := range marks {
			if !strings.Contains(texts[where], mark) {
				d.t.Errorf("%s have nothing of %q: is this all?", where, mark)
			}
		}
	}
	for where, all := range texts {
		for _, leak := range found(all, secrets) {
			d.t.Errorf("%s have the %s", where, leak)
		}
		if planted := found(all+"\nplanted "+d.customer.token, secrets); len(planted) == 0 {
			d.t.Errorf("a token that was put into %s is not found", where)
		}
	}
}

// page reads a page of any address.
func (c *caller) page(address string) string {
	c.t.Helper()
	elsewhere := *c.house
	elsewhere.base = ""
	c.house = &elsewhere
	a := c.ask(http.MethodGet, address, nil)
	if a.status != http.StatusOK {
		c.t.Fatalf("%s: %d", address, a.status)
	}
	return a.body
}
