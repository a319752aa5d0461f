package simulate

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"weelo/internal/client"
	"weelo/internal/trace"
	"weelo/internal/track"
	"weelo/transport/wire"
)

// ride is one driver on one trip. Its stream goroutine sends; watchers read what was sent.
type ride struct {
	crew
	tripID string
	route  *trace.Route
	phone  *trace.Phone
	api    *api
	meter  *meter
	speed  float64

	session *client.Session

	stands atomic.Bool  // at the place it was loaded at, whatever the time is
	leftAt atomic.Int64 // Unix ns at which it left, once it stood

	mu       sync.Mutex
	sentAt   map[int64]time.Time // by ts: the first sending of the last fixes
	order    []int64             // of sentAt, oldest first
	expected trace.Sample        // the newest good fix sent so far; zero: none
	steps    []string            // statuses the server acknowledged
}

// remembered is how many sendings are kept for measuring lateness: minutes at the usual rates.
const remembered = 256

// connect opens the driver's socket and waits for it. The session runs until ctx ends.
func (r *ride) connect(ctx context.Context, wait *sync.WaitGroup, token tokenSource) error {
	r.session = client.NewSession(client.Config{BaseURL: r.api.rest.BaseURL, Token: token.of(r.driver), HTTP: r.api.rest.HTTP, Queue: 16})
	return runSession(ctx, wait, r.session, r.meter, "driver", &r.meter.drivers, nil)
}

// acquiring is how many fixes a phone takes in quick succession when a trip begins, as real ones do.
// A driver may have been seen elsewhere before (another run, another trip): these fixes let the server
// believe the new place.
const acquiring = 4

// stream records and sends one fix per interval from the place on the route that the drive has come
// to, until done. Then it sends what the phone still holds.
func (r *ride) stream(ctx context.Context, begin time.Time, done <-chan struct{}, interval time.Duration) {
	for range acquiring {
		r.send(ctx, r.record(begin, time.Now()))
		if !pause(ctx, min(time.Second, interval)) {
			return
		}
	}
	// Drivers do not tick together: each has his own beat.
	if !pause(ctx, time.Duration(uint64(r.number+1)*0x9e3779b97f4a7c15%uint64(interval))) {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		r.send(ctx, r.record(begin, time.Now()))
		select {
		case <-ticker.C:
		case <-done:
			r.send(ctx, r.phone.Flush(time.Now()))
			return
		case <-ctx.Done():
			return
		}
	}
}

func (r *ride) record(begin, now time.Time) []trace.Sending {
	return r.phone.Record(r.at(begin, now), now)
}

// leave ends standing: the drive begins now.
func (r *ride) leave() {
	r.leftAt.Store(time.Now().UnixNano())
	r.stands.Store(false)
}

// at is where the truck is at now when the drive began at begin, played at the ride's speed.
func (r *ride) at(begin, now time.Time) track.Fix {
	switch left := r.leftAt.Load(); {
	case r.stands.Load():
		begin = now
	case left != 0:
		begin = time.Unix(0, left)
	}
	f := r.route.At(time.Duration(float64(now.Sub(begin)) * r.speed))
	f.Speed = min(f.Speed*r.speed, track.MaxSpeedMPS)
	return f
}

func (r *ride) send(ctx context.Context, sendings []trace.Sending) {
	for _, s := range sendings {
		r.note(s)
		if s.Batch {
			r.sendBatch(ctx, s)
			continue
		}
		r.meter.singles.Add(1)
		r.meter.samples.Add(1)
		if !r.session.Fix(ctx, s.Samples[0].Fix, r.tripID) && ctx.Err() == nil {
			r.meter.dropped.Add(1)
			r.forget(s.Samples[0])
		}
	}
}

// note remembers when a fix was sent first, and the newest good one.
func (r *ride) note(s trace.Sending) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sample := range s.Samples {
		ts := sample.Fix.TS
		if _, known := r.sentAt[ts]; !known {
			r.sentAt[ts] = now
			if r.order = append(r.order, ts); len(r.order) > remembered {
				delete(r.sentAt, r.order[0])
				r.order = r.order[1:]
			}
		}
		if sample.Quality == trace.Good && ts > r.expected.Fix.TS {
			r.expected = sample
		}
	}
}

// forget takes back what note expected of a single fix that never left.
func (r *ride) forget(s trace.Sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.expected.Fix.TS == s.Fix.TS {
		r.expected = trace.Sample{}
	}
}

// batchTries is how often a batch is sent when its ack does not come; sending again is harmless.
const batchTries = 5

func (r *ride) sendBatch(ctx context.Context, s trace.Sending) {
	fixes := make([]track.Fix, len(s.Samples))
	for i, sample := range s.Samples {
		fixes[i] = sample.Fix
	}
	r.meter.batches.Add(1)
	r.meter.samples.Add(int64(len(fixes)))
	ack, err := r.deliver(ctx, fixes)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.meter.fail("batch", err)
	case ack.Accepted+ack.Duplicate+ack.Stale+ack.Invalid != len(fixes):
		r.meter.fail("batch", errors.New("the counts of its ack do not sum up to its fixes"))
	default:
		r.meter.accepted.Add(int64(ack.Accepted))
		r.meter.duplicate.Add(int64(ack.Duplicate))
		r.meter.stale.Add(int64(ack.Stale))
		r.meter.invalid.Add(int64(ack.Invalid))
	}
}

func (r *ride) deliver(ctx context.Context, fixes []track.Fix) (ack *wire.Received, err error) {
	for try := range batchTries {
		tryCtx, cancel := context.WithTimeout(ctx, 15*time.Second)
		ack, err = r.session.Fixes(tryCtx, fixes, r.tripID)
		cancel()
		var refused *client.RefusedError
		if err == nil || ctx.Err() != nil || (errors.As(err, &refused) && !refused.Retryable) {
			return ack, err
		}
		if !pause(ctx, time.Duration(try+1)*300*time.Millisecond) {
			return ack, err
		}
	}
	return ack, err
}

// stepTries is how often a driver says where he is when he is told that he is too far away, once a
// second: a bad network may hold his positions back for a while.
const stepTries = 75

// stepThere reports a status from where the truck stands. A driver who is told that he is too far away
// shows his position again; while the stream runs it does so by itself.
func (r *ride) stepThere(ctx context.Context, status string, streaming bool) (err error) {
	for range stepTries {
		if !streaming {
			r.show(ctx)
		}
		err = r.step(ctx, status)
		if !refusedWith(err, "TOO_FAR_FROM_PICKUP", "TOO_FAR_FROM_DROP") || !pause(ctx, time.Second) {
			return err
		}
	}
	return err
}

// show sends the place where the truck is, by a phone without faults.
func (r *ride) show(ctx context.Context) {
	now := time.Now()
	f := r.at(now, now)
	f.TS = now.UnixMilli()
	r.session.Fix(ctx, f, r.tripID)
}

// arrive puts the truck at its drop at once, as if it had been driven there: the stream has ended, and
// the first fixes let the server believe the new place.
func (r *ride) arrive(ctx context.Context, interval time.Duration) {
	r.leftAt.Store(time.Now().Add(-time.Duration(float64(r.route.Duration())/r.speed) - time.Minute).UnixNano())
	r.stands.Store(false)
	for range acquiring {
		r.show(ctx)
		if !pause(ctx, min(time.Second, interval)) {
			return
		}
	}
}

// step reports a status and remembers that the server took it.
func (r *ride) step(ctx context.Context, status string) error {
	if err := r.api.step(ctx, r.crew, r.tripID, status); err != nil {
		return err
	}
	r.reached(status)
	return nil
}

func (r *ride) reached(status string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, status)
}

// lateness is how long ago a fix was sent first; false when that is not known any more.
func (r *ride) lateness(ts int64, now time.Time) (time.Duration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := r.sentAt[ts]
	return now.Sub(at), known
}

// wanted is the fix that must be the last on every watcher's screen, and the statuses that he must
// have heard of.
func (r *ride) wanted() (last track.Fix, steps []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.expected.Fix, append([]string(nil), r.steps...)
}
