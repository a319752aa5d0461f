package limit

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// askAgain is how long a shared store that failed is left alone: meanwhile nobody waits for it.
	askAgain = time.Second
	// tellAgain bounds how often it is logged that it failed.
	tellAgain = time.Minute
)

// LocalObserver counts what was counted by this process alone.
type LocalObserver interface{ LimitLocal(name string) }

// FallbackConfig is what a Fallback needs.
type FallbackConfig struct {
	Shared   Limiter
	Local    Limiter // bounded, and never failing: store/memory
	Now      func() time.Time
	Tasks    func() int    // how many tasks there are; nil: this one
	Observer LocalObserver // nil: nobody counts
	Log      *slog.Logger
}

// Fallback counts in a shared store and, while that is away, in this process: each task then allows its share
// (security.md §4). For limits that protect the service and guard no secret. Its Take, Wait and
// Return never fail unless Local does.
type Fallback struct {
	cfg   FallbackConfig
	away  atomic.Bool
	again atomic.Int64 // when the shared store may be asked again, in Unix ns
	told  atomic.Int64 // when it was last logged that it is away
	owed  atomic.Bool  // that it is back is yet to be logged
}

var _ Limiter = (*Fallback)(nil)

// NewFallback makes one that believes the shared store to be there.
func NewFallback(cfg FallbackConfig) *Fallback { return &Fallback{cfg: cfg} }

// Take implements Limiter.
func (f *Fallback) Take(ctx context.Context, l Limit, key string) (wait time.Duration, err error) {
	if f.shared(ctx, l, func() (err error) { wait, err = f.cfg.Shared.Take(ctx, l, key); return err }) {
		return wait, nil
	}
	return f.cfg.Local.Take(ctx, f.share(l), key)
}

// Wait implements Limiter.
func (f *Fallback) Wait(ctx context.Context, l Limit, key string) (wait time.Duration, err error) {
	if f.shared(ctx, l, func() (err error) { wait, err = f.cfg.Shared.Wait(ctx, l, key); return err }) {
		return wait, nil
	}
	return f.cfg.Local.Wait(ctx, f.share(l), key)
}

// Return implements Limiter.
func (f *Fallback) Return(ctx context.Context, l Limit, key string) error {
	if f.shared(ctx, l, func() error { return f.cfg.Shared.Return(ctx, l, key) }) {
		return nil
	}
	return f.cfg.Local.Return(ctx, f.share(l), key)
}

func (f *Fallback) share(l Limit) Limit { return l.Share(f.tasks()) }

func (f *Fallback) tasks() int {
	if f.cfg.Tasks == nil {
		return 1
	}
	return f.cfg.Tasks()
}

// shared tells whether the shared store was asked and answered.
func (f *Fallback) shared(ctx context.Context, l Limit, ask func() error) bool {
	if f.mayAsk() {
		err := ask()
		if err == nil {
			f.back(ctx)
			return true
		}
		if ctx.Err() != nil { // it is the caller who went away
			return false
		}
		f.gone(ctx, err)
	}
	if f.cfg.Observer != nil {
		f.cfg.Observer.LimitLocal(l.Name)
	}
	return false
}

// mayAsk lets one caller a second try a store that is away.
func (f *Fallback) mayAsk() bool {
	if !f.away.Load() {
		return true
	}
	at, now := f.again.Load(), f.cfg.Now()
	return now.UnixNano() >= at && f.again.CompareAndSwap(at, now.Add(askAgain).UnixNano())
}

func (f *Fallback) gone(ctx context.Context, err error) {
	now := f.cfg.Now()
	f.again.Store(now.Add(askAgain).UnixNano())
	f.away.Store(true)
	told := f.told.Load()
	if now.UnixNano()-told >= tellAgain.Nanoseconds() && f.told.CompareAndSwap(told, now.UnixNano()) {
		f.owed.Store(true)
		f.cfg.Log.WarnContext(ctx, "limits are counted by this process alone: the shared store is away", "tasks", f.tasks(), "error", err)
	}
}

func (f *Fallback) back(ctx context.Context) {
	if f.away.Load() && f.away.CompareAndSwap(true, false) && f.owed.CompareAndSwap(true, false) {
		f.cfg.Log.InfoContext(ctx, "limits are counted together again")
	}
}
