package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"weelo/internal/servertest"
)

// TestSimulate seeds a world by the command, twice, and drives it by the command, on dev and on serve:
// nothing goes wrong, and every watcher's last position is the newest fix that his driver's phone did
// not spoil. SIMULATE_DRIVERS=2000 SIMULATE_DURATION=2m SIMULATE_INTERVAL=5s is the full size.
func TestSimulate(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(testing.TB, ...string) *stage{"dev": onDev, "serve": onServe} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := on(t, "DRIVER_ACCEPT_TIMEOUT_SECONDS=600")
			drivers := setting("SIMULATE_DRIVERS", "40")
			world := filepath.Join(t.TempDir(), "world.json")
			seed := []string{"seed", "--demo", "--drivers", drivers, "--out", world, "--url", s.server.Base}
			if name == "dev" {
				seed = append(seed, "--dir", s.args[len(s.args)-1])
			}
			s.command(t, seed...)
			if again := s.command(t, seed...); !strings.HasPrefix(again, "0 new ") {
				t.Errorf("the second seed says %q", again)
			}
			said := s.command(t, "simulate", "--world", world, "--drivers", drivers, "--settle", "30s",
				"--duration", setting("SIMULATE_DURATION", "8s"), "--interval", setting("SIMULATE_INTERVAL", "500ms"))
			if !strings.Contains(said, fmt.Sprintf("last position right for %s of %s watchers; 0 events missed", drivers, drivers)) {
				t.Errorf("simulate said:\n%s", said)
			}
			t.Log(servertest.Tail(said, 8))
		})
	}
}

// setting is an environment variable of the test, or what it is without.
func setting(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// command runs weelo to its end beside the stage's server and gives what it said.
func (s *stage) command(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), servertest.Program(t), args...)
	cmd.Env = s.environ
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("weelo %v: %v\n%s", args, err, servertest.Tail(string(said), 40))
	}
	return string(said)
}
