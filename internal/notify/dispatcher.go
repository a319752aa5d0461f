package notify

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Config bounds a Dispatcher. Zero values take the default.
type Config struct {
	Workers int           // 16
	Queue   int           // 256
	Timeout time.Duration // of one call; 5 s
	Now     func() time.Time
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil: counted, not shown
}

// Dispatcher hands messages to a provider from its own goroutines.
type Dispatcher struct {
	sender Sender
	cfg    Config
	log    *slog.Logger
	sent   *prometheus.CounterVec
	queue  chan job

	mu      sync.Mutex
	breaker breaker
	stopped bool
}

type job struct {
	ctx  context.Context // for the trace only: it outlives the request
	sms  SMS
	done func(Class, error)
}

// NewDispatcher makes one; nothing is sent before Run.
func NewDispatcher(sender Sender, cfg Config) *Dispatcher {
	if cfg.Workers == 0 {
		cfg.Workers = 16
	}
	if cfg.Queue == 0 {
		cfg.Queue = 256
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	d := &Dispatcher{
		sender: sender, cfg: cfg, log: cfg.Log.With("component", "sms"), queue: make(chan job, cfg.Queue),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weelo_sms_total", Help: "Messages handed to the SMS provider, by what became of them.",
		}, []string{"class"}),
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(d.sent)
	}
	return d
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
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-d.queue:
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
	j := job{ctx: context.WithoutCancel(ctx), sms: s, done: func(class Class, err error) {
		select {
		case answered <- fate{class, err}:
		case <-ctx.Done():
			if late != nil {
				late(class, err)
			}
		}
	}}
	if err := d.enqueue(j); err != nil {
		d.count(ctx, s, Refused, err)
		return Refused, err
	}
	select {
	case f := <-answered:
		return f.class, f.err
	case <-ctx.Done():
		return Undecided, ctx.Err()
	}
}

func (d *Dispatcher) enqueue(j job) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return ErrStopped
	}
	if !d.breaker.allow(d.cfg.Now()) {
		return ErrBreakerOpen
	}
	select {
	case d.queue <- j:
		return nil
	default:
		d.breaker.probing = false
		return ErrQueueFull
	}
}

func (d *Dispatcher) handOver(j job) {
	ctx, cancel := context.WithTimeout(j.ctx, d.cfg.Timeout)
	defer cancel()
	if trace.SpanFromContext(ctx).IsRecording() {
		var span trace.Span
		ctx, span = otel.Tracer("weelo/internal/notify").Start(ctx, "sms send", trace.WithSpanKind(trace.SpanKindClient))
		defer span.End()
	}
	class, err := d.sender.Send(ctx, j.sms)
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("sms.class", class.String()))
	d.mu.Lock()
	opened := d.breaker.record(class != Accepted, d.cfg.Now())
	d.mu.Unlock()
	if opened {
		d.log.ErrorContext(ctx, "sms provider fails: sending stops", "pause", breakerPause, "error", err)
	}
	d.finish(j, class, err)
}

func (d *Dispatcher) finish(j job, class Class, err error) {
	d.count(j.ctx, j.sms, class, err)
	j.done(class, err)
}

// count keeps the promise that every code not sent is one line.
func (d *Dispatcher) count(ctx context.Context, s SMS, class Class, err error) {
	d.sent.WithLabelValues(class.String()).Inc()
	switch class {
	case Accepted:
	case Refused:
		d.log.WarnContext(ctx, "code not sent", "phone", s.To, "why", err)
	case Undecided:
		d.log.WarnContext(ctx, "code perhaps not sent", "phone", s.To, "why", err)
	}
}
