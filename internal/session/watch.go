package session

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"weelo/internal/fleet"
)

const (
	watchEvery = time.Second
	watchSlack = 15 * time.Second // for clocks of tasks that differ and commits that are slow
	watchPage  = 1000
	// maxRemembered bounds the memory of revocations. Beyond it some are forgotten, loudly: a
	// revoked access token then works until it expires.
	maxRemembered = 200_000
)

// Watch knows which sessions were revoked lately, on whatever task, and tells whoever holds sockets.
type Watch struct {
	store  Store
	life   time.Duration // of access tokens: how long a revocation matters
	now    func() time.Time
	notify func(user fleet.UserID, family, why string)
	log    *slog.Logger

	mu    sync.RWMutex
	known map[string]time.Time // family → revoked at
	since time.Time
}

// NewWatch makes one. life is that of access tokens plus their leeway. notify is called once per
// revocation, from the goroutine that learnt of it; nil: nobody.
func NewWatch(store Store, life time.Duration, now func() time.Time, notify func(user fleet.UserID, family, why string), log *slog.Logger) *Watch {
	if notify == nil {
		notify = func(fleet.UserID, string, string) {}
	}
	return &Watch{store: store, life: life, now: now, notify: notify, log: log.With("component", "session"), known: map[string]time.Time{}}
}

// Revoked tells whether this task knows the session to be revoked. It never blocks on I/O.
func (w *Watch) Revoked(family string) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	_, ok := w.known[family]
	return ok
}

// Learn takes in one revocation; a second time does nothing.
func (w *Watch) Learn(r Revocation) {
	w.mu.Lock()
	_, had := w.known[r.Family]
	if !had {
		w.known[r.Family] = r.At
	}
	w.mu.Unlock()
	if !had {
		w.notify(r.User, r.Family, r.Why)
	}
}

// Load reads what was revoked within the life of an access token. Call it before serving.
func (w *Watch) Load(ctx context.Context) error {
	w.since = w.now().Add(-w.life - watchSlack)
	return w.poll(ctx)
}

// Run follows the store until ctx ends. While the store is away, what is known stays known.
func (w *Watch) Run(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := w.poll(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			w.log.WarnContext(ctx, "revocations cannot be read", "error", err)
		}
		failing = err != nil
	}
}

// poll reads page after page from where it stopped, minus the slack.
func (w *Watch) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if w.since.IsZero() {
		w.since = w.now().Add(-w.life - watchSlack)
	}
	from, size := w.since, watchPage
	for size <= maxRemembered {
		page, err := w.store.RevokedSince(ctx, from, size)
		if err != nil {
			return err
		}
		for _, r := range page {
			w.Learn(r)
		}
		if len(page) < size {
			break
		}
		if last := page[len(page)-1].At; last.After(from) {
			from, size = last, watchPage
		} else { // more than a page in one instant
			size *= 2
		}
	}
	w.since = w.now().Add(-watchSlack)
	w.forget()
	return nil
}

// forget drops what no access token can still claim, and what exceeds the bound.
func (w *Watch) forget() {
	horizon := w.now().Add(-w.life - watchSlack)
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, at := range w.known {
		if at.Before(horizon) {
			delete(w.known, id)
		}
	}
	if over := len(w.known) - maxRemembered; over > 0 {
		w.log.Error("more revocations than are remembered", "forgotten", over)
		for id := range w.known {
			if over == 0 {
				break
			}
			delete(w.known, id)
			over--
		}
	}
}
