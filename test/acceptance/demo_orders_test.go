package acceptance

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite" // reads the dev folder's database

	"weelo/internal/servertest"
)

// TestTheDemoTrades starts dev as make run does and waits for its market: within two minutes an order was
// searched for in more than one circle, held, confirmed, driven and completed, and the next one is on its
// way. The store breaks no invariant meanwhile.
func TestTheDemoTrades(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	servertest.Program(t) // built before the clock runs
	s := &stage{name: "dev", environ: environment()}
	s.server = servertest.Serve(t, s.environ, "dev", "--speed", "30", "--dir", dir)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "weelo.db")+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	count := func(query string) (n int) {
		if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
			t.Logf("%s: %v", query, err)
		}
		return n
	}
	begun := time.Now()
	for _, step := range []struct{ what, query string }{
		{"an order that searches", `SELECT count(*) FROM customer_order`},
		{"a wider circle", `SELECT count(*) FROM event WHERE type = 'order_wave' AND data ->> 'wave' >= 2`},
		{"a hold", `SELECT count(*) FROM event WHERE type = 'order_held'`},
		{"a confirmation", `SELECT count(*) FROM event WHERE type = 'order_confirmed'`},
		{"a truck that drives", `SELECT count(*) FROM trip WHERE order_id IS NOT NULL AND status = 'in_transit'`},
		{"a completed order", `SELECT count(*) FROM customer_order WHERE status = 'completed'`},
		{"three orders", `SELECT count(*) > 2 FROM customer_order`},
	} {
		eventually(t, 4*time.Minute, step.what, func() bool { return count(step.query) > 0 })
		t.Logf("%v: %s", time.Since(begun).Round(time.Second), step.what)
	}
	s.command(t, "inspect", "--dir", dir, "check")
}
