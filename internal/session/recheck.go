package session

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"weelo/internal/fleet"
)

const (
	recheckEvery = 10 * time.Second // a session that is over loses its sockets within 15 s (design §8)
	recheckRetry = 2 * time.Second  // while the store is away
	recheckWait  = 3 * time.Second  // of one page
	recheckPage  = 1000
)

// RecheckConfig is what a Recheck needs. All of it is required.
type RecheckConfig struct {
	Store  Store
	Policy Policy
	// Held gives the sessions that hold sockets on this task, with their users. The map is the Recheck's.
	Held func() map[string]fleet.UserID
	// Over is told of each session that is over: Watch.Learn.
	Over func(Revocation)
	Now  func() time.Time
	Log  *slog.Logger
}

// Recheck asks the store about every session that holds a socket here, again and again. Watch is quicker but
// knows only what it is told or finds by its time: a task whose clock is wrong, a commit that took too long
// or a family that ran out of its life escapes it. Neither needs the other.
type Recheck struct {
	cfg RecheckConfig
	log *slog.Logger
}

// NewRecheck makes one.
func NewRecheck(cfg RecheckConfig) *Recheck {
	return &Recheck{cfg: cfg, log: cfg.Log.With("component", "session")}
}

// Run asks until ctx ends. A store that is away leaves every socket where it is.
func (r *Recheck) Run(ctx context.Context) error {
	next := time.NewTimer(recheckEvery)
	defer next.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		err := r.pass(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			r.log.WarnContext(ctx, "sessions of open sockets cannot be read", "error", err)
		}
		failing = err != nil
		if failing {
			next.Reset(recheckRetry)
		} else {
			next.Reset(recheckEvery)
		}
	}
}

// pass asks about everybody once, a page at a time.
func (r *Recheck) pass(ctx context.Context) error {
	held := r.cfg.Held()
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(held)), recheckPage) {
		if err := r.page(ctx, ids, held); err != nil {
			return err
		}
	}
	return nil
}

func (r *Recheck) page(ctx context.Context, ids []string, held map[string]fleet.UserID) error {
	ctx, cancel := context.WithTimeout(ctx, recheckWait)
	defer cancel()
	families, err := r.cfg.Store.Families(ctx, ids)
	if err != nil {
		return err
	}
	known := make(map[string]Family, len(families))
	for _, f := range families {
		known[f.ID] = f
	}
	now := r.cfg.Now()
	for _, id := range ids {
		f, is := known[id]
		if is && f.User == held[id] && r.cfg.Policy.Lives(f, now) {
			continue
		}
		why := f.RevokedWhy
		if why == "" {
			why = Ended
		}
		r.log.InfoContext(ctx, "a session that is over held a socket", "session_id", id, "user_id", held[id], "why", why)
		r.cfg.Over(Revocation{Family: id, User: held[id], At: now, Why: why})
	}
	return nil
}
