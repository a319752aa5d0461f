package notify

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Config bounds a Dispatcher. Zero values take the default, of security.md §4.
type Config struct {
	Workers  int           // 64: the most calls at a time
	Queue    int           // 5,000: what waits for a worker
	Patience time.Duration // 30 s: what waited longer is not sent; by then the person may ask again
	Now      func() time.Time
	Log      *slog.Logger
	Meter    *Meter // nil: nobody counts
}

// Dispatcher hands codes to the providers from its own goroutines, as many as it has workers however
// slow a provider is.
type Dispatcher struct {
	routes *Routes
	cfg    Config
	log    *slog.Logger
	queue  chan job

	mu      sync.Mutex
	stopped bool
}

type job struct {
	ctx  context.Context // for the trace only: it outlives the request
	sms  SMS
	at   time.Time
	done func(Class, error)
}

// NewDispatcher makes one; nothing is sent before Run.
func NewDispatcher(routes *Routes, cfg Config) *Dispatcher {
	if cfg.Workers == 0 {
		cfg.Workers = 64
	}
	if cfg.Queue == 0 {
		cfg.Queue = 5000
	}
	if cfg.Patience == 0 {
		cfg.Patience = 30 * time.Second
	}
	return &Dispatcher{routes: routes, cfg: cfg, log: cfg.Log.With("component", "sms"), queue: make(chan job, cfg.Queue)}
}

// Run sends until ctx ends, then finishes what a worker has in hand and refuses what still waits.
func (d *Dispatcher) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range d.cfg.Workers {
		workers.Go(func() { d.work(ctx) })
	}
	<-ctx.Done()
	d.mu.Lock()
	d.stopped = true // from now on Send refuses by itself, so the queue can be emptied for good
	d.mu.Unlock()
	workers.Wait()
	for {
		select {
		case j := <-d.queue:
			d.finish(j, Refused, ErrStopped)
		default:
			return nil
		}
	}
}

func (d *Dispatcher) work(ctx context.Context) {
	for ctx.Err() == nil { // asked first: of two ready cases select takes any
		select {
		case <-ctx.Done():
			return
		case j := <-d.queue:
			d.cfg.Meter.wait(len(d.queue))
			d.handOver(j)
		}
	}
}

// Send queues a message and waits for its fate until ctx ends; then it is Undecided, and goes on
// without the caller. late, if not nil, is told the fate when nobody waited for it any more.
func (d *Dispatcher) Send(ctx context.Context, s SMS, late func(Class, error)) (Class, error) {
	type fate struct {
		class Class
		err   error
	}
	answered := make(chan fate) // unbuffered: either somebody waits or it is late
	j := job{ctx: context.WithoutCancel(ctx), sms: s, at: d.cfg.Now(), done: func(class Class, err error) {
		select {
		case answered <- fate{class, err}:
		case <-ctx.Done():
			if late != nil {
				late(class, err)
			}
		}
	}}
	if err := d.enqueue(j); err != nil {
		d.tell(ctx, s, Refused, err)
		return Refused, err
	}
	select {
	case f := <-answered:
		return f.class, f.err
	case <-ctx.Done():
		return Undecided, ErrNoAnswer
	}
}

func (d *Dispatcher) enqueue(j job) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return ErrStopped
	}
	if !d.routes.Open() {
		return ErrBreakerOpen
	}
	select {
	case d.queue <- j:
		d.cfg.Meter.wait(len(d.queue))
		return nil
	default:
		return ErrQueueFull
	}
}

func (d *Dispatcher) handOver(j job) {
	if d.cfg.Now().Sub(j.at) > d.cfg.Patience {
		d.finish(j, Refused, ErrWaited)
		return
	}
	class, err := d.routes.Send(j.ctx, j.sms)
	d.finish(j, class, err)
}

func (d *Dispatcher) finish(j job, class Class, err error) {
	d.tell(j.ctx, j.sms, class, err)
	j.done(class, err)
}

// tell keeps the promise that every code not sent is one line.
func (d *Dispatcher) tell(ctx context.Context, s SMS, class Class, err error) {
	if class == Accepted {
		return
	}
	d.cfg.Meter.notSent(s.Template, class, err)
	log := d.log.With("phone", s.To, "template", s.Template, "reason", Reason(err), "why", err)
	if class == Undecided {
		log.WarnContext(ctx, "code perhaps not sent")
		return
	}
	log.WarnContext(ctx, "code not sent")
}
