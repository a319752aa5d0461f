package share

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"weelo/internal/fault"
)

const (
	guardEvery = time.Second
	guardWait  = 5 * time.Second
	// maxGuarded bounds the links with viewers on one task.
	maxGuarded = 10_000
)

// ErrBusy: too many links are looked at here.
var ErrBusy = fault.New(fault.Unavailable, "UNAVAILABLE", "Please try again in a moment.")

// Guard looks after the links that have viewers on this task: once a second it asks which of them are
// still good, and lets the viewers of the others go. A task without viewers asks nothing.
type Guard struct {
	desk *Desk
	keep time.Duration // after the last sign of a viewer
	gone func(link string)
	log  *slog.Logger

	mu    sync.Mutex
	links map[string]time.Time // when the last token of each runs out
	over  map[string]time.Time // known to be over, until no token of theirs can be presented any more
}

// NewGuard makes one. gone is called, from Run, for each link that is over; keep is how long after its
// end a token may still hold a socket.
func NewGuard(desk *Desk, keep time.Duration, gone func(link string), log *slog.Logger) *Guard {
	return &Guard{desk: desk, keep: keep, gone: gone, log: log.With("component", "share"), links: map[string]time.Time{}, over: map[string]time.Time{}}
}

// Admit takes in a viewer whose token runs out at a moment; ErrNotFound when the link is known to be over.
func (g *Guard) Admit(link string, expires time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, known := g.links[link]
	switch _, over := g.over[link]; {
	case over:
		return ErrNotFound
	case !known && len(g.links) >= maxGuarded:
		return ErrBusy
	}
	if expires.After(until) {
		g.links[link] = expires
	}
	return nil
}

// Over tells, without I/O, whether a link is known to be over.
func (g *Guard) Over(link string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, over := g.over[link]
	return over
}

// Run asks once a second until ctx ends. A store that is away leaves everybody where he is.
func (g *Guard) Run(ctx context.Context) error {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := g.pass(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			g.log.WarnContext(ctx, "share links cannot be read", "error", err)
		}
		failing = err != nil
	}
}

// pass looks at every link once.
func (g *Guard) pass(ctx context.Context) error {
	ids := g.guarded(g.desk.cfg.Now())
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, guardWait)
	defer cancel()
	good, err := g.desk.Good(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, ok := good[id]; !ok {
			g.mu.Lock()
			g.over[id] = g.links[id]
			delete(g.links, id)
			g.mu.Unlock()
			g.gone(id)
		}
	}
	return nil
}

// guarded gives the links to look at, and forgets those that no token can hold any more.
func (g *Guard) guarded(now time.Time) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range []map[string]time.Time{g.links, g.over} {
		for id, expires := range m {
			if now.After(expires.Add(g.keep)) {
				delete(m, id)
			}
		}
	}
	ids := make([]string, 0, len(g.links))
	for id := range g.links {
		ids = append(ids, id)
	}
	return ids
}
