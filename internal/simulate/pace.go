package simulate

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"weelo/internal/limit"
)

// pace keeps everybody below what the server lets one user do: over some of its limits it shuts him out
// for minutes, and a person who waits is no worse a player than one who is shut out. It only ever delays.
type pace struct {
	mu  sync.Mutex
	due map[string]time.Time // by limit and user: when what was allowed is used up
}

// maxPaced is from how many entries on those that are as good as new are forgotten.
const maxPaced = 4096

func newPace() *pace { return &pace{due: map[string]time.Time{}} }

// allowed is what one user may ask for.
var allowed = limit.DefaultRequests()

// bounded are the requests that have a limit of their own, by the end of their path.
var bounded = []struct {
	method, suffix string
	limit          limit.Limit
}{
	{http.MethodPost, "bookings/orders", allowed.Order},
	{http.MethodPost, "truck-hold/hold", allowed.Hold},
	{http.MethodPost, "truck-hold/confirm-with-assignments", allowed.Confirm},
	{http.MethodPatch, "/accept", allowed.Answer},
	{http.MethodPatch, "/decline", allowed.Answer},
}

// wait lets time pass until the user may make the request; false when ctx ended first.
func (p *pace) wait(ctx context.Context, s shot) bool {
	delay := p.take(s, time.Now())
	return delay <= 0 || pause(ctx, delay)
}

// take counts a request and gives how long it has to wait from now on.
func (p *pace) take(s shot, now time.Time) time.Duration {
	for _, b := range bounded {
		if s.method != b.method || !strings.HasSuffix(s.path, b.suffix) {
			continue
		}
		interval := b.limit.Interval()
		// What is sent apart may arrive together, so that one in five stays in hand.
		burst := time.Duration(b.limit.Burst-b.limit.Burst/5-1) * interval
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.due) >= maxPaced { // tokens are renewed
			maps.DeleteFunc(p.due, func(_ string, due time.Time) bool { return due.Before(now) })
		}
		key := b.limit.Name + " " + s.token
		due := p.due[key]
		if due.Before(now) {
			due = now
		}
		p.due[key] = due.Add(interval)
		return due.Add(-burst).Sub(now)
	}
	return 0
}
