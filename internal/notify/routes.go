package notify

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"weelo/internal/breaker"
)

// Route is a provider under its name, e.g. msg91.
type Route struct {
	Name   string
	Sender Sender
}

// RoutesConfig is what Routes need.
type RoutesConfig struct {
	Traffic string        // what goes over them, for metrics: codes, texts
	Timeout time.Duration // of one call; zero: 5 s
	Now     func() time.Time
	Log     *slog.Logger
	Meter   *Meter // nil: nobody counts
	// Changed hears that a provider is left alone, and that it is asked again. nil: nobody does.
	Changed func(provider string, open bool)
}

// Routes send by the first provider, and by the next one what the first has certainly not taken: because
// its breaker is open, or because it refused for a reason that another may not have. After Undecided
// nobody else is asked: the message would come twice. Each call has a deadline and goes past a breaker
// of its provider; Routes of other traffic have their own breakers.
type Routes struct {
	cfg    RoutesConfig
	log    *slog.Logger
	routes []*route
}

type route struct {
	Route
	mu      sync.Mutex
	breaker breaker.Breaker
}

var _ Sender = (*Routes)(nil)

// NewRoutes makes them, in the order in which they are asked.
func NewRoutes(cfg RoutesConfig, in ...Route) *Routes {
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	r := &Routes{cfg: cfg, log: cfg.Log.With("component", "sms", "traffic", cfg.Traffic)}
	for _, one := range in {
		r.routes = append(r.routes, &route{Route: one})
		r.cfg.Meter.begin(one.Name)
		r.cfg.Meter.breaker(one.Name, cfg.Traffic, false)
	}
	return r
}

// Open tells whether a message would be tried at all: not when every provider fails.
func (r *Routes) Open() bool {
	now := r.cfg.Now()
	for _, one := range r.routes {
		one.mu.Lock()
		open := one.breaker.Would(now)
		one.mu.Unlock()
		if open {
			return true
		}
	}
	return false
}

// Send hands a message over, once.
func (r *Routes) Send(ctx context.Context, s SMS) (class Class, err error) {
	class, err = Refused, ErrBreakerOpen
	for i, one := range r.routes {
		if i > 0 && ctx.Err() != nil {
			break
		}
		if !one.allow(r.cfg.Now()) {
			continue
		}
		class, err = r.ask(ctx, one, s)
		if class != Refused || errors.Is(err, ErrNumber) {
			break
		}
		if i+1 < len(r.routes) {
			r.log.WarnContext(ctx, "sms provider refused", "provider", one.Name, "template", s.Template, "reason", Reason(err), "why", err)
		}
	}
	return class, err
}

// ask is one call of one provider, that its breaker has allowed.
func (r *Routes) ask(ctx context.Context, one *route, s SMS) (Class, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	span := trace.SpanFromContext(ctx)
	if span.IsRecording() {
		ctx, span = otel.Tracer("weelo/internal/notify").Start(ctx, "sms send", trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(attribute.String("sms.provider", one.Name), attribute.String("sms.template", s.Template)))
		defer span.End()
	}
	began := r.cfg.Now()
	class, err := one.Sender.Send(ctx, s)
	now := r.cfg.Now()
	span.SetAttributes(attribute.String("sms.class", class.String()))
	r.cfg.Meter.asked(one.Name, s.Template, class, now.Sub(began))

	// What no provider could send says nothing about this one.
	failed := class != Accepted && !errors.Is(err, ErrHopeless)
	one.mu.Lock()
	wasOpen := one.breaker.Open()
	opened := one.breaker.Record(providerRule, failed, now)
	isOpen := one.breaker.Open()
	one.mu.Unlock()
	r.cfg.Meter.breaker(one.Name, r.cfg.Traffic, isOpen)
	if r.cfg.Changed != nil && wasOpen != isOpen {
		r.cfg.Changed(one.Name, isOpen)
	}
	switch {
	case opened:
		r.log.ErrorContext(ctx, "sms provider fails: sending stops", "provider", one.Name, "pause", providerRule.Pause, "error", err)
	case wasOpen && !isOpen:
		r.log.InfoContext(ctx, "sms provider works again", "provider", one.Name)
	}
	return class, err
}

func (r *route) allow(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.breaker.Allow(now)
}
