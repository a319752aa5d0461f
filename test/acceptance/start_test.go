package acceptance

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"weelo/internal/servertest"
)

// TestWrongConfigurationSaysEverything: one line has all of it, and nothing was started.
func TestWrongConfigurationSaysEverything(t *testing.T) {
	t.Parallel()
	s := servertest.Run(t, environment("APP_ENV=production", "JWT_SECRET=short", "JWT_REFRESH_SECRET=short", "SMS_PROVIDER=file:/tmp/x", "TIME_SCALE=5", "LIMITS=off"), "serve")
	if code := s.Exit(t, 20*time.Second); code != 1 {
		t.Errorf("exit code %d", code)
	}
	var line struct {
		Level    string
		Problems []string
	}
	first, _, _ := strings.Cut(s.Said.String(), "\n")
	if err := json.Unmarshal([]byte(first), &line); err != nil {
		t.Fatalf("%v: %s", err, first)
	}
	all := strings.Join(line.Problems, "\n")
	for _, want := range []string{"DATABASE_URL", "REDIS_URL", "JWT_SECRET", "JWT_REFRESH_SECRET", "SMS_PROVIDER", "TIME_SCALE", "LIMITS"} {
		if !strings.Contains(all, want+": ") {
			t.Errorf("%s is not named in %s", want, first)
		}
	}
}

// TestOneDevPerFolder: the second says who has it; after the first has ended, even by kill -9, it starts.
func TestOneDevPerFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := servertest.Serve(t, environment(), "dev", "--no-simulation", "--dir", dir)
	second := servertest.Run(t, environment(), "dev", "--no-simulation", "--dir", dir)
	if code := second.Exit(t, 20*time.Second); code != 1 || !strings.Contains(second.Said.String(), "another weelo dev") {
		t.Errorf("the second: code %d\n%s", code, second.Said)
	}
	first.Kill()
	servertest.Serve(t, environment(), "dev", "--no-simulation", "--dir", dir)
}

// TestSIGTERMEndsInOrder: health says draining or nothing at all, never an error, and the code is 0.
func TestSIGTERMEndsInOrder(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*servertest.Weelo{
		"dev":   servertest.Serve(t, environment(), "dev", "--no-simulation", "--dir", t.TempDir()),
		"serve": servertest.Serve(t, serveEnvironment(t, newStores(t)), "serve"),
	} {
		t.Run(name, func(t *testing.T) {
			res, err := http.Get(s.Base + "/health")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var health struct{ Status string }
			if err := json.NewDecoder(res.Body).Decode(&health); err != nil || res.StatusCode != http.StatusOK || health.Status != "healthy" {
				t.Errorf("health: %d %+v %v", res.StatusCode, health, err)
			}
			if code := s.Stop(t, 30*time.Second); code != 0 {
				t.Errorf("exit code %d after SIGTERM", code)
			}
			if !strings.Contains(s.Said.String(), "stopped") {
				t.Errorf("no orderly end:\n%s", s.Said)
			}
		})
	}
}
