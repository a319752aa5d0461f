package security

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
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
	h.base, h.admin, h.said = w.Base, w.Admin, w.Said
}

// heap is how many bytes the server holds on to, counted just after a garbage collection.
func (h *house) heap(t testing.TB) (bytes int64) {
	t.Helper()
	res, err := web.Get(h.admin + "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if n, _ := fmt.Sscanf(lines.Text(), "# HeapAlloc = %d", &bytes); n == 1 {
			return bytes
		}
	}
	t.Fatalf("the admin pages do not tell the size of the heap: %s", res.Status)
	return 0
}

// repeat sends the same request many times over one connection and expects a status of each.
func (h *house) repeat(t testing.TB, times int, request []byte, status int) {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(h.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	answers := bufio.NewReader(conn)
	for range times {
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != status {
			t.Fatalf("%s, not %d", res.Status, status)
		}
	}
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
