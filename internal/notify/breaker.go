package notify

import "time"

// The breaker of security.md §4: it opens when half of the last 20 within 30 s failed.
const (
	breakerSize  = 20
	breakerSpan  = 30 * time.Second
	breakerPause = 10 * time.Second
)

// breaker is a pure core: it is told results and asked whether to try, both with the time.
// The zero value is closed.
type breaker struct {
	results   [breakerSize]result
	next, n   int
	openUntil time.Time
	probing   bool
}

type result struct {
	at     time.Time
	failed bool
}

// open tells whether the provider is left alone, but for probes.
func (b *breaker) open() bool { return !b.openUntil.IsZero() }

// would tells what allow would answer.
func (b *breaker) would(now time.Time) bool {
	return !b.open() || (!now.Before(b.openUntil) && !b.probing)
}

// allow tells whether a message may go to the provider. After the pause one probe at a time goes. What
// was allowed is recorded.
func (b *breaker) allow(now time.Time) bool {
	if !b.would(now) {
		return false
	}
	b.probing = b.open()
	return true
}

// record takes in a result and tells whether the breaker changed to open.
func (b *breaker) record(failed bool, now time.Time) (opened bool) {
	if b.open() {
		b.probing = false
		if failed {
			b.openUntil = now.Add(breakerPause)
			return false
		}
		*b = breaker{}
		return false
	}
	b.results[b.next] = result{now, failed}
	b.next = (b.next + 1) % breakerSize
	b.n = min(b.n+1, breakerSize)
	fails, recent := 0, 0
	for _, r := range b.results[:b.n] {
		if now.Sub(r.at) < breakerSpan {
			recent++
			if r.failed {
				fails++
			}
		}
	}
	if recent == breakerSize && 2*fails >= breakerSize {
		b.openUntil = now.Add(breakerPause)
		return true
	}
	return false
}
