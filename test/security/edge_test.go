package security

import (
	"net/http"
	"strings"
	"testing"
)

// TestEdge: what the public port answers to everybody.
func TestEdge(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{
		{"P30_NothingForTheMachineAlone", nothingForTheMachineAlone},
	})
}

// inside are the addresses that frameworks and we ourselves have for operators and debugging.
var inside = []string{
	"/debug/pprof/", "/debug/pprof", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/pprof/goroutine?debug=2", "/debug/pprof/cmdline",
	"/debug/vars", "/debug/otp", "/debug", "/metrics", "/api/v1/metrics", "/api/v1/debug/otp", "/api/v1/driver-auth/debug-otp", "/api/v1/auth/debug-otp",
	"/expvar", "/actuator", "/.env", "/secrets.json", "/sms.jsonl", "/demo.json", "/weelo.db", "/.git/HEAD",
	"//debug/pprof/", "/static/../debug/pprof/", "/%64ebug/pprof/", "/debug%2fpprof/",
}

func nothingForTheMachineAlone(t *testing.T, h *house) {
	c := h.stranger(t)
	for _, path := range inside {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := c.ask(method, path, nil)
			// A path that is not in its shortest form is sent there, and there is nothing.
			if a.status == http.StatusMovedPermanently || a.status == http.StatusTemporaryRedirect || a.status == http.StatusPermanentRedirect {
				a = c.ask(method, a.header.Get("Location"), nil)
			}
			if a.status != http.StatusNotFound {
				t.Errorf("%s %s: %d %.200s", method, path, a.status, a.body)
			}
		}
	}
	for _, name := range []string{"X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"} {
		if a := c.ask(http.MethodGet, "/nowhere", nil, name, "/metrics"); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	if h.admin == "" || !strings.HasPrefix(h.admin, "http://127.0.0.1:") {
		t.Errorf("the admin pages are at %q", h.admin)
	}
	answersCarryTheirHeaders(t, h)
}

// everywhere is what each answer says to a browser.
var everywhere = map[string]string{
	"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
	"Cross-Origin-Opener-Policy": "same-origin", "Permissions-Policy": "geolocation=()", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	"Strict-Transport-Security": "max-age=31536000",
}

func answersCarryTheirHeaders(t *testing.T, h *house) {
	t.Helper()
	who := h.customer(t)
	for name, a := range map[string]answer{
		"data": who.me(), "a refusal": who.with("").me(), "nothing there": who.get("nowhere"), "health": who.ask(http.MethodGet, "/health", nil),
		"the description": who.ask(http.MethodGet, "/openapi.json", nil), "a wrong body": who.post("auth/send-otp", "x"),
	} {
		for header, want := range everywhere {
			if got := a.header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s may be stored: %q", name, got)
		}
		for _, header := range []string{"Server", "X-Powered-By", "Set-Cookie", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"} {
			if got := a.header.Get(header); got != "" {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
	}
	pages := map[string][]string{"dev": {"/", "/t/"}, "serve": {"/t/"}}
	for _, path := range pages[h.name] {
		pageIsStrict(t, h.stranger(t).ask(http.MethodGet, path, nil))
	}
	// A page of elsewhere may not read answers; the listed one may, without credentials.
	if got := who.get("auth/me", "Origin", "https://evil.example").header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("https://evil.example may read: %q", got)
	}
	if h.name == "serve" {
		a := who.get("auth/me", "Origin", pageOrigin)
		if a.header.Get("Access-Control-Allow-Origin") != pageOrigin || a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", pageOrigin, a.header)
		}
	}
}

// pageIsStrict holds an embedded page to what keeps foreign text in it harmless.
func pageIsStrict(t *testing.T, a answer) {
	t.Helper()
	if a.status != http.StatusOK || !strings.Contains(a.header.Get("Content-Type"), "text/html") {
		t.Fatalf("the page: %d %s", a.status, a.header.Get("Content-Type"))
	}
	policy := map[string]string{}
	for _, directive := range strings.Split(a.header.Get("Content-Security-Policy"), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), " ")
		policy[name] = value
	}
	for _, name := range []string{"default-src", "frame-ancestors", "base-uri", "form-action"} {
		if value := policy[name]; value != "'none'" {
			t.Errorf("%s is %q", name, value)
		}
	}
	for _, name := range []string{"script-src", "style-src"} {
		if policy[name] != "'self'" {
			t.Errorf("%s is %q", name, policy[name])
		}
	}
	for header, want := range everywhere {
		if got := a.header.Get(header); header != "Content-Security-Policy" && !strings.HasPrefix(got, want) {
			t.Errorf("the page's %s is %q, want %q", header, got, want)
		}
	}
	for _, inline := range []string{"<script>", "<style", " style=", "onclick=", "onload=", "javascript:", "<form"} {
		if strings.Contains(strings.ToLower(a.body), inline) {
			t.Errorf("the page has %s inline", inline)
		}
	}
}
