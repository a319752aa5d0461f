package acceptance

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"weelo/internal/servertest"
)

// someTripsLive is a report of simulate --orders with trips under way; the orders booked so far are the
// submatch.
var someTripsLive = regexp.MustCompile(`orders (\d+)/\d+, .* trips \d+, [1-9]\d* live`)

// TestKilledInTheMiddleOfOrders kills the real server with SIGKILL while a market trades on it, with
// holds, searches, acceptances and trips under way, and starts it again on its stores. Everybody tries
// again with his keys, everything ends, nobody has seen a broken promise, and the audit finds nothing.
// KILL_ORDERS is how many orders are booked, SIMULATE_SEED another day.
//
// Invariants: 1, 2, 3, 8, 10, 13, 17, 20, 21, 24.
func TestKilledInTheMiddleOfOrders(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(testing.TB, ...string) *stage{"dev": onDev, "serve": onServe} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := on(t, "TIME_SCALE=30")
			world := filepath.Join(t.TempDir(), "world.json")
			var dir []string
			audited := []string{"--check"}
			if name == "dev" {
				dir = []string{"--dir", s.args[len(s.args)-1]}
				audited = dir
			}
			s.command(t, slices.Concat([]string{"seed", "--demo", "--drivers", "16", "--customers", "6", "--transporters", "4", "--out", world, "--url", s.server.Base}, dir)...)
			orders, err := strconv.Atoi(setting("KILL_ORDERS", "10"))
			if err != nil {
				t.Fatal(err)
			}
			market := servertest.Run(t, s.environ, append([]string{"simulate", "--world", world, "--orders", strconv.Itoa(orders), "--races", "--speed", "30",
				"--seed", setting("SIMULATE_SEED", "1"), "--limit", "5m", "--settle", "60s"}, audited...)...)
			said, err := market.Said.Find(someTripsLive, 2*time.Minute, market.Done)
			if err != nil {
				t.Fatalf("no trips in the market: %v\n%s", err, market.Said)
			}
			s.crash(t)
			t.Logf("killed after %s of %d orders were booked", said[1], orders)
			if code := market.Exit(t, 6*time.Minute); code != 0 {
				t.Errorf("simulate ends with %d:\n%s", code, servertest.Tail(market.Said.String(), 30))
			}
			if !regexp.MustCompile(`[1-9]\d* reconnects`).MatchString(market.Said.String()) {
				t.Errorf("nobody noticed that the server was killed:\n%s", servertest.Tail(market.Said.String(), 30))
			}
			audit := s.command(t, slices.Concat([]string{"inspect", "--quiet"}, dir, []string{"check"})...)
			if !regexp.MustCompile(`(^|\D)0 breaches`).MatchString(audit) {
				t.Errorf("the audit says:\n%s", audit)
			}
			t.Log(servertest.Tail(market.Said.String(), 14) + audit)
		})
	}
}
