package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// call runs a command in this process and answers its exit code, output and errors.
func call(t *testing.T, environ []string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, surroundings{environ: environ, out: &o, err: &e})
	return code, o.String(), e.String()
}

func TestEveryCommandTeaches(t *testing.T) {
	t.Parallel()
	_, list, _ := call(t, nil, "--help")
	for _, c := range commands() {
		if !strings.Contains(list, "weelo "+c.name) || !strings.Contains(list, c.summary) {
			t.Errorf("the list does not name %s", c.name)
		}
		for _, args := range [][]string{{c.name, "--help"}, {"help", c.name}} {
			code, out, errs := call(t, nil, args...)
			if code != 0 || errs != "" || !strings.HasPrefix(out, "weelo "+c.name+": "+c.summary) || len(c.help) < 60 {
				t.Errorf("weelo %v: code %d, %q %q", args, code, out, errs)
			}
		}
		if code, _, errs := call(t, nil, c.name, "--no-such-flag"); code != 2 || !strings.Contains(errs, "weelo "+c.name+" --help") {
			t.Errorf("weelo %s --no-such-flag: code %d, %q", c.name, code, errs)
		}
	}
}

func TestWrongCallsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		environ []string
		args    []string
		code    int
		want    string
	}{
		{"nothing", nil, nil, 2, "weelo dev"},
		{"unknown command", nil, []string{"fly"}, 2, `there is no "fly"`},
		{"unknown argument", nil, []string{"serve", "now"}, 2, `"now" is not understood`},
		{"serve with nothing", nil, []string{"serve"}, 1, "REDIS_URL: needed"},
		{"serve unreadable", []string{"PORT=x"}, []string{"serve"}, 1, "PORT: cannot be read"},
		{"dev in production", []string{"NODE_ENV=production"}, []string{"dev"}, 1, "APP_ENV: is production"},
		{"migrate with nothing", nil, []string{"migrate"}, 1, "DATABASE_URL: needed"},
		{"migrate sideways", nil, []string{"migrate", "sideways", "--dir", "x"}, 2, "--dir"},
		{"health of nobody", []string{"PORT=1"}, []string{"health"}, 1, "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, _, errs := call(t, tt.environ, tt.args...)
			if code != tt.code || !strings.Contains(errs, tt.want) {
				t.Errorf("code %d, %q; want %d, %q", code, errs, tt.code, tt.want)
			}
		})
	}
}

func TestVersionAndHealth(t *testing.T) {
	t.Parallel()
	if code, out, _ := call(t, nil, "version"); code != 0 || !strings.HasPrefix(out, "weelo ") {
		t.Errorf("version: %d %q", code, out)
	}
	r := newReadiness("v1")
	mux := http.NewServeMux()
	r.routes(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	if code, out, _ := call(t, nil, "health", "--url", server.URL); code != 1 || !strings.Contains(out, "starting") {
		t.Errorf("health of one that starts: %d %q", code, out)
	}
	r.state.Store(serving)
	if code, out, _ := call(t, nil, "health", "--url", server.URL+"/"); code != 0 || !strings.Contains(out, `"status":"healthy"`) {
		t.Errorf("health: %d %q", code, out)
	}
}

func TestHealthNamesWhatFails(t *testing.T) {
	t.Parallel()
	down := errors.New("postgres://user:password@host is down")
	for _, tt := range []struct {
		name            string
		database, redis error
		state           string
		status          int
		want            string
	}{
		{"all well", nil, nil, serving, 200, `"status":"healthy"`},
		{"redis away", nil, down, serving, 200, `"status":"degraded"`},
		{"database away", down, nil, serving, 503, `"failing":["database"]`},
		{"draining", nil, nil, draining, 503, `"status":"draining"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newReadiness("v1")
			r.add("database", true, func(context.Context) error { return tt.database })
			r.add("redis", false, func(context.Context) error { return tt.redis })
			r.state.Store(tt.state)
			mux := http.NewServeMux()
			r.routes(mux)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/health", nil))
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || strings.Contains(w.Body.String(), "password") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			w = httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/health/live", nil))
			if w.Code != 200 {
				t.Errorf("live: %d", w.Code)
			}
		})
	}
}

func TestFolderIsForOneAndKeepsItsKeys(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "w")
	f, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openFolder(dir); err == nil || !strings.Contains(err.Error(), "another weelo dev") {
		t.Errorf("a second holder: %v", err)
	}
	first, err := f.secrets()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(f.path(secretsFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secrets.json: %v %v", info.Mode(), err)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	again, err := openFolder(dir)
	if err != nil {
		t.Fatalf("after the first one ended: %v", err)
	}
	t.Cleanup(func() { _ = again.close() })
	second, err := again.secrets()
	if err != nil || string(second.JWT) != string(first.JWT) || string(first.JWT) == string(first.Refresh) {
		t.Errorf("the keys changed or are equal: %v", err)
	}
	if err := os.WriteFile(again.path(secretsFile), []byte(`{"jwt":"AA=="}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := again.secrets(); err == nil || !strings.Contains(err.Error(), "incomplete") {
		t.Errorf("broken keys: %v", err)
	}
}

func TestMigrateADevFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"migrate", "--dir", dir, "status"}, "not in"},
		{[]string{"migrate", "--dir", dir}, "the schema is at version"},
		{[]string{"migrate", "--dir", dir, "--new-stream"}, "the stream is now"},
		{[]string{"migrate", "--dir", dir, "down"}, "down 0"},
		{[]string{"migrate", "--dir", dir, "up"}, "up 0"},
		{[]string{"migrate", "--dir", dir, "status"}, "in since"},
	} {
		code, out, errs := call(t, nil, step.args...)
		if code != 0 || !strings.Contains(out, step.want) {
			t.Errorf("weelo %v: %d %q %q", step.args, code, out, errs)
		}
	}
}
