package ws

import (
	"time"
)

// Rates of one socket (design §7).
const (
	fixRate     = 30 // fixes a second; what is more is coalesced
	otherRate   = 5  // other messages a second
	otherBurst  = 20
	strikeLimit = 3 // refusals within strikeSpan, then the socket is closed with 4429
	strikeSpan  = time.Minute

	// paceRate bounds the frames of one socket also where the limits are off. A connection whose next
	// frame is always there would never give the processor away; waiting lets the sender feel it.
	paceRate  = 2000
	paceBurst = 400
)

// bucket is a token bucket on the caller's clock.
type bucket struct {
	rate, burst, tokens float64
	last                time.Time
}

func newBucket(rate, burst float64) bucket { return bucket{rate: rate, burst: burst, tokens: burst} }

func (b *bucket) take(now time.Time) bool {
	if !b.last.IsZero() {
		b.tokens = min(b.burst, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// until is how long it takes until take succeeds.
func (b *bucket) until() time.Duration {
	return time.Duration((1 - b.tokens) / b.rate * float64(time.Second))
}

// limits are the rates of one socket.
type limits struct {
	off     bool
	fixes   bucket
	others  bucket
	frames  bucket
	strikes [strikeLimit]time.Time // the latest refusals, oldest first
}

func newLimits(off bool) limits {
	return limits{
		off: off, fixes: newBucket(fixRate, fixRate), others: newBucket(otherRate, otherBurst),
		frames: newBucket(paceRate, paceBurst),
	}
}

// fix tells whether a fix may pass now.
func (l *limits) fix(now time.Time) bool { return l.off || l.fixes.take(now) }

// other tells whether another message may pass now, and if not, whether the patience is over.
func (l *limits) other(now time.Time) (pass, over bool) {
	if l.off || l.others.take(now) {
		return true, false
	}
	copy(l.strikes[:], l.strikes[1:])
	l.strikes[strikeLimit-1] = now
	first := l.strikes[0]
	return false, !first.IsZero() && now.Sub(first) <= strikeSpan
}

// pace makes a connection that is always busy wait, so that the others get their turn.
func (l *limits) pace(now time.Time) {
	if !l.frames.take(now) {
		<-time.After(10 * time.Millisecond)
	}
}
