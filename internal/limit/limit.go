// Package limit bounds how often something may happen: so many in a time on average, and so many of
// them at once (the generic cell rate algorithm, ITU-T I.371). All that is kept of a key is one
// instant, so counting is one atomic step on one key, on any number of tasks.
//
// Invariants: what was refused is not counted; what was given back can be had again, and never more
// than that; a key that nobody uses is forgotten once it would be as good as new.
//
// Over a span of Per a limit lets through at most Burst plus Events. Where a promise is "so many within
// any hour", exactly, an otp.Window is counted instead.
package limit

import (
	"context"
	"time"
)

// Limit allows Events per Per on average and Burst at once. Events, Per and Burst are above 0.
type Limit struct {
	Name   string // of the metric, and the first part of its keys
	Events int
	Per    time.Duration
	Burst  int
	// Block is how long a key is shut once it went over the limit, from then on; afterwards it is as
	// good as new. 0: only until there is room again.
	Block time.Duration
}

// Interval is the time in which one event comes back, in whole microseconds, at least one.
func (l Limit) Interval() time.Duration {
	return max(time.Microsecond, (l.Per / time.Duration(l.Events)).Truncate(time.Microsecond))
}

// reach is how far ahead of now the due time of a key may lie.
func (l Limit) reach() time.Duration { return l.Interval() * time.Duration(l.Burst) }

// Scaled divides every time by n, for tests.
func (l Limit) Scaled(n float64) Limit {
	if n <= 0 || n == 1 {
		return l
	}
	by := func(d time.Duration) time.Duration { return time.Duration(float64(d) / n) }
	l.Per = max(time.Microsecond*time.Duration(l.Events), by(l.Per))
	l.Block = by(l.Block)
	return l
}

// Halved allows half as many, at least one.
func (l Limit) Halved() Limit {
	l.Events, l.Burst = max(1, l.Events/2), max(1, l.Burst/2)
	return l
}

// Times allows n times as many: of a wider group of the same clients.
func (l Limit) Times(n int, name string) Limit {
	l.Name, l.Events, l.Burst = name, l.Events*n, l.Burst*n
	return l
}

// Share is the part of one of n tasks that each count alone: the n-th of the rate, and of what is allowed at once, but
// at least one.
func (l Limit) Share(n int) Limit {
	if n > 1 {
		l.Per, l.Burst = l.Per*time.Duration(n), max(1, l.Burst/n)
	}
	return l
}

// State is what is kept of a key. The zero State is a key that was never used.
type State struct {
	// Due is when the key will be as good as new.
	Due time.Time
	// Blocked says that nothing is allowed before Due.
	Blocked bool
}

// Fresh tells whether the key may be forgotten.
func (s State) Fresh(now time.Time) bool { return !s.Due.After(now) }

// Wait tells how long until one event is allowed; 0: now.
func (l Limit) Wait(s State, now time.Time) time.Duration {
	if s.Fresh(now) {
		return 0
	}
	if s.Blocked {
		return s.Due.Sub(now)
	}
	return max(0, s.Due.Add(l.Interval()).Sub(now)-l.reach())
}

// Take counts one event, or tells how long to wait. A refusal changes nothing, unless the limit blocks.
func (l Limit) Take(s State, now time.Time) (State, time.Duration) {
	wait := l.Wait(s, now)
	switch {
	case wait > 0 && l.Block > 0 && !s.Blocked:
		return State{Due: now.Add(l.Block), Blocked: true}, l.Block
	case wait > 0:
		return s, wait
	case s.Fresh(now):
		return State{Due: now.Add(l.Interval())}, 0
	default:
		return State{Due: s.Due.Add(l.Interval())}, 0
	}
}

// Return takes one event back. A block stays.
func (l Limit) Return(s State, now time.Time) State {
	if s.Blocked || s.Fresh(now) {
		return s
	}
	return State{Due: s.Due.Add(-l.Interval())}
}

// Limiter counts events of keys, by its own clock. Keys of different limits do not touch each other.
type Limiter interface {
	// Take counts one event of key unless the limit is full; then wait tells when there is room.
	Take(ctx context.Context, l Limit, key string) (wait time.Duration, err error)
	// Wait is Take without counting.
	Wait(ctx context.Context, l Limit, key string) (wait time.Duration, err error)
	// Return takes one event of key back.
	Return(ctx context.Context, l Limit, key string) error
}

// Tally is how many events there were in a span, and how many of them were of the kind that is watched.
type Tally struct{ All, Some int }

// Tallies count in spans of fixed length, each of which begins with its first event or where Begin says so.
type Tallies interface {
	// Add changes a tally and gives what it is then. Neither number falls below 0, and a span never
	// begins with an Add that adds nothing.
	Add(ctx context.Context, key string, span time.Duration, all, some int) (Tally, error)
	// Begin makes a tally of one event whose span begins now, whatever there was.
	Begin(ctx context.Context, key string, span time.Duration) error
	// Read gives a tally and what is left of its span.
	Read(ctx context.Context, key string) (t Tally, left time.Duration, err error)
}

// Observer counts refusals.
type Observer interface{ LimitRefused(name string) }
