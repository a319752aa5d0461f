package simulate

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"weelo/internal/limit"
)

// TestPaceStaysBelowTheLimits: whoever asks as fast as he is let goes on at once at first, is never refused,
// and waits no longer than the limit has him wait.
func TestPaceStaysBelowTheLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, l := newPace(), allowed.Hold
		var server limit.State
		s := shot{method: http.MethodPost, path: "truck-hold/hold", token: "one"}
		begun := time.Now()
		for n := range 200 {
			if !p.wait(t.Context(), s) {
				t.Fatal("interrupted")
			}
			if n == l.Burst/2 && time.Since(begun) > 0 {
				t.Errorf("half of what is allowed at once took %v", time.Since(begun))
			}
			var wait time.Duration
			if server, wait = l.Take(server, time.Now()); wait > 0 {
				t.Fatalf("request %d is refused for %v", n, wait)
			}
		}
		if took := time.Since(begun); took > 200*l.Interval() {
			t.Errorf("200 requests took %v", took)
		}
		other := shot{method: http.MethodPost, path: "truck-hold/hold", token: "two"}
		free := shot{method: http.MethodGet, path: "truck-hold/hold", token: "one"}
		if a, b := p.take(other, time.Now()), p.take(free, time.Now()); a > 0 || b > 0 {
			t.Errorf("another user waits %v, another request %v", a, b)
		}
	})
}
