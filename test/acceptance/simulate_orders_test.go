package acceptance

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"weelo/internal/servertest"
)

// TestSimulateOrders plays a market of orders with races on purpose by the command, on dev and on serve:
// nothing goes wrong from the outside, and the audit of the store finds nothing. SIMULATE_ORDERS=1000
// SIMULATE_FLEET=400 is the full size; SIMULATE_SEED is another day.
//
// Invariants: 1, 2, 3, 8, 10, 13, 14, 15, 16, 17, 20, 21, 22, 24.
func TestSimulateOrders(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(testing.TB, ...string) *stage{"dev": onDev, "serve": onServe} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := on(t, "TIME_SCALE=30")
			world := filepath.Join(t.TempDir(), "world.json")
			fleet := setting("SIMULATE_FLEET", "48")
			seed := []string{"seed", "--demo", "--drivers", fleet, "--customers", setting("SIMULATE_CUSTOMERS", "12"),
				"--transporters", setting("SIMULATE_TRANSPORTERS", "8"), "--out", world, "--url", s.server.Base}
			simulate := []string{"simulate", "--world", world, "--orders", setting("SIMULATE_ORDERS", "16"), "--races", "--speed", "30",
				"--seed", setting("SIMULATE_SEED", "1"), "--limit", setting("SIMULATE_LIMIT", "10m")}
			if name == "dev" {
				dir := s.args[len(s.args)-1]
				seed, simulate = append(seed, "--dir", dir), append(simulate, "--dir", dir)
			} else {
				simulate = append(simulate, "--check")
			}
			s.command(t, seed...)
			said := s.command(t, simulate...)
			for _, want := range []string{`violations  0`, `0 breaches`, `[1-9]\d* double taps`, `holds .* [1-9]\d* won, [1-9]\d* lost`, `[1-9]\d* scheduled`} {
				if !regexp.MustCompile(want).MatchString(said) {
					t.Errorf("simulate does not say %q:\n%s", want, said)
				}
			}
			t.Log(strings.SplitN(said, "\n", 2)[0] + "\n" + servertest.Tail(said, 14))
		})
	}
}
