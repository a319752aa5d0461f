// Package breaker decides when something that fails is left alone, so that nobody waits for each of its
// time-outs: the breaker of security.md §4, in front of SMS providers, push and Redis.
//
// Invariants: it opens when half of the last Size results failed, all of them within a Rule's Span; after the
// Pause one probe at a time goes through, and the first that succeeds closes it. It is a pure core: it is
// told results and asked whether to try, both with the time.
package breaker

import "time"

// Size is how many results are looked at.
const Size = 20

// Rule is what kind of thing is guarded.
type Rule struct {
	Span  time.Duration // results that are older do not count
	Pause time.Duration // how long nothing is tried
}

// Breaker is one of them. The zero value is closed. It is not safe for concurrent use.
type Breaker struct {
	results   [Size]result
	next, n   int
	openUntil time.Time
	probing   bool
}

type result struct {
	at     time.Time
	failed bool
}

// Open tells whether it is left alone, but for probes.
func (b *Breaker) Open() bool { return !b.openUntil.IsZero() }

// Would tells what Allow would answer.
func (b *Breaker) Would(now time.Time) bool {
	return !b.Open() || (!now.Before(b.openUntil) && !b.probing)
}

// Allow tells whether it may be tried. How that ended is told to Record, or to Unknown.
func (b *Breaker) Allow(now time.Time) bool {
	if !b.Would(now) {
		return false
	}
	b.probing = b.Open()
	return true
}

// Record takes in a result, and tells whether the breaker opened by it. While it is open only the probe's
// counts: the others began before.
func (b *Breaker) Record(r Rule, failed bool, now time.Time) (opened bool) {
	if b.Open() {
		switch {
		case !b.probing:
		case failed:
			b.probing, b.openUntil = false, now.Add(r.Pause)
		default:
			*b = Breaker{}
		}
		return false
	}
	b.results[b.next] = result{now, failed}
	b.next = (b.next + 1) % Size
	b.n = min(b.n+1, Size)
	recent, fails := 0, 0
	for _, one := range b.results[:b.n] {
		if now.Sub(one.at) < r.Span {
			recent++
			if one.failed {
				fails++
			}
		}
	}
	if recent < Size || 2*fails < Size {
		return false
	}
	b.openUntil = now.Add(r.Pause)
	return true
}

// Unknown ends a try of which nothing is known, because whoever made it left. Another probe may go.
func (b *Breaker) Unknown() { b.probing = false }
