package simulate

import (
	"context"
	"fmt"
	"time"
)

// verdicts is what the watchers' screens say at the end.
type verdicts struct {
	checked, right int
	missed         int64
}

// judgePositions waits until every watcher shows what he must, at most Settle, and counts who does not.
func (r *run) judgePositions(ctx context.Context) verdicts {
	var v verdicts
	r.settle(ctx, func(w *watcher) bool { got := w.judge(); return !got.judged || got.right })
	r.eachWatcher(func(w *watcher) {
		got := w.judge()
		if !got.judged {
			return
		}
		v.checked++
		if got.right {
			v.right++
			return
		}
		r.meter.fail("last position", fmt.Errorf("trip %s: %s", w.ride.tripID, got.why))
	})
	return v
}

// judgeEvents waits until every watcher has heard of every acknowledged step, at most Settle.
func (r *run) judgeEvents(ctx context.Context, v *verdicts) {
	r.settle(ctx, func(w *watcher) bool { return w.judge().missed == 0 })
	r.eachWatcher(func(w *watcher) {
		if missed := w.judge().missed; missed > 0 {
			v.missed += int64(missed)
			r.meter.fail("events missed", nil)
		}
	})
}

// settle waits until all watchers are done.
func (r *run) settle(ctx context.Context, done func(*watcher) bool) {
	deadline := time.Now().Add(r.Settle)
	for time.Now().Before(deadline) {
		waiting := false
		r.eachWatcher(func(w *watcher) { waiting = waiting || !done(w) })
		if !waiting || !pause(ctx, 50*time.Millisecond) {
			return
		}
	}
}

func (r *run) eachWatcher(do func(*watcher)) {
	for _, of := range r.watchers {
		for _, w := range of {
			do(w)
		}
	}
}
