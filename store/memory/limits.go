package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"weelo/internal/otp"
)

// Limits counts events over sliding windows, on the time it is given.
type Limits struct {
	now func() time.Time

	mu        sync.Mutex
	events    map[string]*eventLog
	nextSweep int
}

type eventLog struct {
	events []event // oldest first; at most as many as the largest window allows
	until  time.Time
}

type event struct {
	id string
	at time.Time
}

var _ otp.Limits = (*Limits)(nil)

// NewLimits makes an empty one.
func NewLimits(now func() time.Time) *Limits {
	return &Limits{now: now, events: map[string]*eventLog{}, nextSweep: sweepAbove}
}

// Take counts one event unless a window is full.
func (l *Limits) Take(_ context.Context, key, id string, windows []otp.Window) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if wait := l.waitLocked(key, windows, now); wait > 0 {
		return wait, nil
	}
	l.sweepLocked(now)
	log := l.events[key]
	if log == nil {
		log = &eventLog{}
		l.events[key] = log
	}
	log.events = append(log.events, event{id, now})
	log.until = now.Add(longest(windows))
	return 0, nil
}

// Wait tells when there is room.
func (l *Limits) Wait(_ context.Context, key string, windows []otp.Window) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waitLocked(key, windows, l.now()), nil
}

// Return takes an event back.
func (l *Limits) Return(_ context.Context, key, id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if log := l.events[key]; log != nil {
		log.events = slices.DeleteFunc(log.events, func(e event) bool { return e.id == id })
	}
	return nil
}

func (l *Limits) waitLocked(key string, windows []otp.Window, now time.Time) time.Duration {
	log := l.events[key]
	if log == nil {
		return 0
	}
	horizon := now.Add(-longest(windows))
	log.events = slices.DeleteFunc(log.events, func(e event) bool { return !e.at.After(horizon) })
	var wait time.Duration
	for _, w := range windows {
		first, _ := slices.BinarySearchFunc(log.events, now.Add(-w.Per), func(e event, t time.Time) int {
			if e.at.After(t) {
				return 1
			}
			return -1
		})
		if in := log.events[first:]; len(in) >= w.Max {
			// Room comes when so many have left that one fewer than Max remain.
			wait = max(wait, in[len(in)-w.Max].at.Add(w.Per).Sub(now))
		}
	}
	return wait
}

func longest(windows []otp.Window) time.Duration {
	var d time.Duration
	for _, w := range windows {
		d = max(d, w.Per)
	}
	return d
}

func (l *Limits) sweepLocked(now time.Time) {
	if len(l.events) < l.nextSweep {
		return
	}
	for k, log := range l.events {
		if !now.Before(log.until) {
			delete(l.events, k)
		}
	}
	l.nextSweep = max(sweepAbove, 2*len(l.events))
}

// Len is how many entries are kept, for metrics.
func (l *Limits) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events)
}
