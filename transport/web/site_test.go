package web

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestThePageCarriesItsHeaders(t *testing.T) {
	t.Parallel()
	w := newTown(t, nil)
	resp, body := w.ask("GET", "/")
	if resp.StatusCode != 200 || !strings.Contains(body, "<title>Weelo") {
		t.Fatalf("%d %.80s", resp.StatusCode, body)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; connect-src 'self'; " +
			"img-src 'self' data: blob:; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if strings.Contains(body, "<script>") || strings.Contains(body, "style=") || strings.Contains(body, " on") && regexp.MustCompile(`\son\w+=`).MatchString(body) {
		t.Error("the page has inline script or style, which its own policy forbids")
	}
	again, _ := w.ask("GET", "/", "If-None-Match", resp.Header.Get("ETag"))
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("the same page again: %d", again.StatusCode)
	}
}

// TestEverythingThePageNeedsIsEmbedded follows every path that the page and its modules name.
func TestEverythingThePageNeedsIsEmbedded(t *testing.T) {
	t.Parallel()
	w := newTown(t, nil)
	named := regexp.MustCompile(`"(/static/[^"]+)"`)
	seen := map[string]bool{}
	var follow func(from string)
	follow = func(from string) {
		if seen[from] {
			return
		}
		seen[from] = true
		resp, body := w.ask("GET", from)
		if resp.StatusCode != 200 {
			t.Errorf("%s: %d", from, resp.StatusCode)
		}
		if len(body) > 1_200_000 {
			t.Errorf("%s has %d bytes", from, len(body))
		}
		if strings.Contains(from, "vendor") || path.Ext(from) == ".json" {
			return
		}
		for _, m := range named.FindAllStringSubmatch(body, -1) {
			follow(m[1])
		}
	}
	follow("/")
	follow("/favicon.ico")
	if len(seen) < 12 {
		t.Errorf("only %d files were found", len(seen))
	}
	if resp, _ := w.ask("GET", "/static/vendor/maplibre-gl.mjs"); resp.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Error("a module has a wrong content type")
	}
}

func TestTheBaseMapsHostIsLetIn(t *testing.T) {
	t.Parallel()
	w := newTown(t, func(c *Config) { c.StyleURL = "https://tiles.example/style.json?key=1"; c.Speed = 4 })
	resp, body := w.ask("GET", "/dev/config.json")
	if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "connect-src 'self' https://tiles.example;") ||
		!strings.Contains(policy, "img-src 'self' data: blob: https://tiles.example;") {
		t.Error(policy)
	}
	if !strings.Contains(body, `"styleUrl":"https://tiles.example/style.json?key=1"`) || !strings.Contains(body, `"speed":4`) {
		t.Error(body)
	}
	for _, bad := range []string{"tiles.example", "ftp://x/y", "javascript:alert(1)", "https://"} {
		if _, err := New(Config{Sessions: w, Tokens: w, History: w, StyleURL: bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestBadInputIsRefused(t *testing.T) {
	t.Parallel()
	w := newTown(t, nil)
	w.addTrucks(1)
	id := w.views[0].TripID
	tests := []struct {
		name, method, path string
		headers            []string
		status             int
		code               string
	}{
		{"another name for this machine", "GET", "/", []string{"Host", "evil.example"}, 403, "HOST_NOT_ALLOWED"},
		{"no such file", "GET", "/static/nothing.js", nil, 404, "NOT_FOUND"},
		{"out of the folder", "GET", "/static/..%2f..%2fgo.mod", nil, 404, "NOT_FOUND"},
		{"session without origin", "POST", "/dev/session", nil, 403, "ORIGIN_NOT_ALLOWED"},
		{"session for another page", "POST", "/dev/session", []string{"Origin", "https://evil.example"}, 403, "ORIGIN_NOT_ALLOWED"},
		{"session for another site", "POST", "/dev/session", []string{"Origin", w.url, "Sec-Fetch-Site", "cross-site"}, 403, "ORIGIN_NOT_ALLOWED"},
		{"timeline without token", "GET", "/dev/trips/" + id + "/timeline", nil, 401, "UNAUTHORIZED"},
		{"timeline of a customer", "GET", "/dev/trips/" + id + "/timeline", []string{"Authorization", "Bearer customer-token"}, 401, "UNAUTHORIZED"},
		{"timeline of nothing", "GET", "/dev/trips/nonsense/timeline", []string{"Authorization", "Bearer " + opsToken}, 404, "NOT_FOUND"},
		{"timeline of an unknown trip", "GET", "/dev/trips/70000000-0000-4000-8000-0000000000ff/timeline", []string{"Authorization", "Bearer " + opsToken}, 404, "NOT_FOUND"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			resp, body := w.ask(test.method, test.path, test.headers...)
			if resp.StatusCode != test.status || !strings.Contains(body, `"code":"`+test.code+`"`) {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, body, test.status, test.code)
			}
		})
	}
	if w.sessions != 0 {
		t.Errorf("%d sessions were given away", w.sessions)
	}
}

// Another machine writes Host and Origin as it likes, but comes from another address.
func TestTheSessionStaysOnThisMachine(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]bool{
		"127.0.0.1:5000": true, "[::1]:5000": true, "[::ffff:127.0.0.1]:5000": true, "127.9.9.9:1": true,
		"192.0.2.2:5000": false, "10.0.0.1:5000": false, "[2001:db8::1]:5000": false, "[::ffff:192.0.2.2]:1": false, "": false, "localhost:1": false,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost:3000/dev/session", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", "127.0.0.1")
		if got := fromThisMachine(r); got != want {
			t.Errorf("%s: %v", remote, got)
		}
	}
	w := newTown(t, nil)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/dev/session", nil)
	r.Header.Set("Origin", w.url)
	answer := httptest.NewRecorder()
	w.site.session(answer, r) // httptest's requests come from 192.0.2.1
	if answer.Code != http.StatusForbidden || !strings.Contains(answer.Body.String(), "NOT_THIS_MACHINE") || w.sessions != 0 {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

func TestSessionAndTimeline(t *testing.T) {
	t.Parallel()
	w := newTown(t, nil)
	w.addTrucks(1)
	resp, body := w.ask("POST", "/dev/session", "Origin", w.url, "Sec-Fetch-Site", "same-origin")
	if resp.StatusCode != 200 || !strings.Contains(body, `"token":"`+opsToken+`"`) || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	resp, body = w.ask("GET", "/dev/trips/"+w.views[0].TripID+"/timeline", "Authorization", "Bearer "+opsToken)
	var timeline struct {
		TripID string          `json:"tripId"`
		Events []timelineEvent `json:"events"`
	}
	if err := json.Unmarshal([]byte(body), &timeline); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if len(timeline.Events) != 7 || timeline.Events[0].Type != "trip_assigned" || timeline.Events[6].Version != 7 || timeline.TripID != w.views[0].TripID {
		t.Errorf("%+v", timeline)
	}
	w.failing = true
	for _, r := range [][]string{{"POST", "/dev/session", "Origin", w.url}, {"GET", "/dev/trips/" + w.views[0].TripID + "/timeline", "Authorization", "Bearer " + opsToken}} {
		if resp, _ := w.ask(r[0], r[1], r[2:]...); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s during an outage: %d", r[1], resp.StatusCode)
		}
	}
}

func TestConfigNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := New(Config{})
	for _, name := range []string{"Sessions", "Tokens", "History"} {
		if err == nil || !strings.Contains(err.Error(), "Config."+name+" ") {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}
