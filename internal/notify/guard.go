package notify

import (
	"sync"
	"time"

	"weelo/internal/breaker"
)

// providerRule is security.md §4's for providers.
var providerRule = breaker.Rule{Span: 30 * time.Second, Pause: 10 * time.Second}

// Guard keeps a failing provider from being asked again and again: of the last 20 calls within 30 s
// half failed, then nothing for 10 s, then one probe at a time. The zero value lets through. Every call
// that was allowed is recorded.
type Guard struct {
	mu      sync.Mutex
	breaker breaker.Breaker
}

// Allow tells whether the provider may be asked.
func (g *Guard) Allow(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.breaker.Allow(now)
}

// Record takes in whether a call failed, and tells whether the provider is left alone from now on.
func (g *Guard) Record(failed bool, now time.Time) (opened bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.breaker.Record(providerRule, failed, now)
}
