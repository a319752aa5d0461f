package outage

import (
	"net/http"
	"testing"
	"time"

	"weelo/internal/limit"
)

// TestLimitsAreSharedOut: without Redis each of two tasks lets through half of what a customer may ask for in all; with it
// one of them lets through everything.
func TestLimitsAreSharedOut(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	first, second := w.serve(t), w.serve(t)
	p, q := w.phone("7040000031", "customer"), w.phone("7041000032", "customer")
	tokens, others := p.login(t, first), q.login(t, first)
	eventually(t, 60*time.Second, "both know of two tasks", func() bool {
		return gauge(t, first, "weelo_tasks") == 2 && gauge(t, second, "weelo_tasks") == 2
	})
	all := limit.DefaultRequests().Customer
	// passes counts what is let through until the first refusal, and gives most of what could have been.
	passes := func(who phone, access string, of limit.Limit) (let, least, most int) {
		t.Helper()
		begun := time.Now()
		for {
			a, err := who.api(first).As(access).Do(t.Context(), http.MethodGet, "vehicles/types", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if a.Status == http.StatusTooManyRequests {
				return let, of.Burst, of.Burst + int(time.Since(begun)/of.Interval()) + 1
			}
			accepted(t, "a request", a)
			let++
		}
	}
	if let, least, most := passes(q, others.AccessToken, all); let < least-20 || let > most { // the login and its like count too
		t.Errorf("%d pass with Redis, want %d to %d", let, least-20, most)
	}
	w.redis.Kill(t)
	if let, least, most := passes(p, tokens.AccessToken, all.Share(2)); let < least || let > most {
		t.Errorf("%d pass without Redis, want %d to %d", let, least, most)
	}
}
