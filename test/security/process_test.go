package security

import (
	"flag"
	"os"
	"testing"
	"time"

	"weelo/internal/servertest"
)

// atOnce is how many cases run at a time: nearly all of them wait for something to run out.
const atOnce = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	parallelAsked := false
	flag.Visit(func(f *flag.Flag) { parallelAsked = parallelAsked || f.Name == "test.parallel" })
	if !parallelAsked {
		_ = flag.Set("test.parallel", atOnce)
	}
	os.Exit(m.Run())
}

// begin starts the house's weelo and fills in base and admin.
func (h *house) begin(t testing.TB) {
	t.Helper()
	w := servertest.Serve(t, h.environ, h.args...)
	h.base, h.admin = w.Base, w.Admin
}

func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	servertest.Eventually(t, limit, what, ok)
}

// pass lets time go by that the product measures and that nobody outside of it can shorten.
func pass(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}
