package memory

import (
	"context"
	"sync"
	"time"

	"weelo/internal/limit"
)

// maxRates bounds the keys that are kept. Beyond it those are forgotten first that would be as good as
// new soonest, of a few that are looked at.
const maxRates = 100_000

// Rates counts rate limits and tallies on the time it is given.
type Rates struct {
	now func() time.Time

	mu      sync.Mutex
	states  map[string]limit.State
	tallies map[string]tallied
	most    int
	swept   time.Time
}

type tallied struct {
	limit.Tally
	until time.Time
}

var (
	_ limit.Limiter = (*Rates)(nil)
	_ limit.Tallies = (*Rates)(nil)
)

// NewRates makes an empty one.
func NewRates(now func() time.Time) *Rates {
	return &Rates{now: now, states: map[string]limit.State{}, tallies: map[string]tallied{}, most: maxRates}
}

// Take implements limit.Limiter.
func (r *Rates) Take(_ context.Context, l limit.Limit, key string) (time.Duration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, name := r.now(), l.Name+":"+key
	s, had := r.states[name]
	if !had {
		r.roomLocked(now)
	}
	s, wait := l.Take(s, now)
	r.states[name] = s
	return wait, nil
}

// Wait implements limit.Limiter.
func (r *Rates) Wait(_ context.Context, l limit.Limit, key string) (time.Duration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return l.Wait(r.states[l.Name+":"+key], r.now()), nil
}

// Return implements limit.Limiter.
func (r *Rates) Return(_ context.Context, l limit.Limit, key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := l.Name + ":" + key
	if s, had := r.states[name]; had {
		r.states[name] = l.Return(s, r.now())
	}
	return nil
}

// Add implements limit.Tallies.
func (r *Rates) Add(_ context.Context, key string, span time.Duration, all, some int) (limit.Tally, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	t, had := r.tallies[key]
	if !had || !now.Before(t.until) {
		if all <= 0 && some <= 0 {
			return limit.Tally{}, nil
		}
		r.roomLocked(now)
		t = tallied{until: now.Add(span)}
	}
	t.All, t.Some = max(0, t.All+all), max(0, t.Some+some)
	r.tallies[key] = t
	return t.Tally, nil
}

// Begin implements limit.Tallies.
func (r *Rates) Begin(_ context.Context, key string, span time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if _, had := r.tallies[key]; !had {
		r.roomLocked(now)
	}
	r.tallies[key] = tallied{Tally: limit.Tally{All: 1}, until: now.Add(span)}
	return nil
}

// Read implements limit.Tallies.
func (r *Rates) Read(_ context.Context, key string) (limit.Tally, time.Duration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, now := r.tallies[key], r.now()
	if !now.Before(t.until) {
		return limit.Tally{}, 0, nil
	}
	return t.Tally, t.until.Sub(now), nil
}

// roomLocked makes room for one more key: what is over goes once a minute, something goes when all is full.
func (r *Rates) roomLocked(now time.Time) {
	if n := len(r.states) + len(r.tallies); n >= r.most || (n >= sweepAbove && now.Sub(r.swept) >= time.Minute) {
		r.swept = now
		for k, s := range r.states {
			if s.Fresh(now) {
				delete(r.states, k)
			}
		}
		for k, t := range r.tallies {
			if !now.Before(t.until) {
				delete(r.tallies, k)
			}
		}
	}
	for len(r.states)+len(r.tallies) >= r.most {
		r.forgetLocked()
	}
}

// forgetLocked drops an eighth of what may be kept, so that a full table is not walked for every key.
func (r *Rates) forgetLocked() {
	const look = 8
	for range max(1, r.most/8) {
		victim, due, seen := "", time.Time{}, 0
		for k, s := range r.states { // in no order
			if victim == "" || s.Due.Before(due) {
				victim, due = k, s.Due
			}
			if seen++; seen == look {
				break
			}
		}
		if victim == "" {
			break
		}
		delete(r.states, victim)
	}
	if len(r.states) > 0 {
		return
	}
	for k := range r.tallies {
		delete(r.tallies, k)
		return
	}
}

// Len is how many keys are kept, for metrics.
func (r *Rates) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.states) + len(r.tallies)
}
