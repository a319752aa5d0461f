package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// readiness answers /health, /health/live and /health/ready.
//
// live says that the process runs. ready says that new work may come: not while it starts, not while
// it drains, not without its durable store. /health is for people and for the load balancer: it is
// ready with the names of the parts. A part that may be rebuilt (Redis) makes it "degraded", which is
// still 200: taking every task out because Redis is away would turn a slow minute into an outage.
type readiness struct {
	state   atomic.Value // string: starting, serving, draining
	started time.Time
	version string

	mu     sync.Mutex
	checks []check
}

// check is one part that may fail.
type check struct {
	name     string
	vital    bool // without it nothing may be acknowledged
	ask      func(context.Context) error
	lastMu   sync.Mutex
	lastErr  error
	lastTime time.Time
}

// The states of a process.
const (
	starting = "starting"
	serving  = "serving"
	draining = "draining"
)

// checkLimit bounds one question to one part; checkAge is how long an answer is good enough, so that
// a storm of health checks is not one of database queries.
const (
	checkLimit = time.Second
	checkAge   = 500 * time.Millisecond
)

func newReadiness(version string) *readiness {
	r := &readiness{started: time.Now(), version: version}
	r.state.Store(starting)
	return r
}

func (r *readiness) add(name string, vital bool, ask func(context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks = append(r.checks, check{name: name, vital: vital, ask: ask})
}

func (r *readiness) is(state string) bool { return r.state.Load() == state }

func (c *check) result(ctx context.Context) error {
	c.lastMu.Lock()
	defer c.lastMu.Unlock()
	if !c.lastTime.IsZero() && time.Since(c.lastTime) < checkAge {
		return c.lastErr
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkLimit)
	defer cancel()
	c.lastErr, c.lastTime = c.ask(ctx), time.Now()
	return c.lastErr
}

// healthAnswer is the body of /health.
type healthAnswer struct {
	Status        string            `json:"status"` // healthy, degraded, unhealthy, starting, draining
	Version       string            `json:"version"`
	UptimeSeconds int64             `json:"uptimeSeconds"`
	Checks        map[string]string `json:"checks"` // part → healthy | unhealthy
	Failing       []string          `json:"failing"`
	Timestamp     string            `json:"timestamp"`
}

func (r *readiness) look(ctx context.Context) (healthAnswer, int) {
	r.mu.Lock()
	checks := make([]*check, len(r.checks))
	for i := range r.checks {
		checks[i] = &r.checks[i]
	}
	r.mu.Unlock()
	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { errs[i] = c.result(ctx) })
	}
	wg.Wait()

	now := time.Now()
	a := healthAnswer{
		Status: "healthy", Version: r.version, UptimeSeconds: int64(now.Sub(r.started).Seconds()),
		Checks: map[string]string{}, Failing: []string{}, Timestamp: now.UTC().Format("2006-01-02T15:04:05.000Z"),
	}
	status := http.StatusOK
	for i, c := range checks {
		a.Checks[c.name] = "healthy"
		if errs[i] == nil {
			continue
		}
		a.Checks[c.name] = "unhealthy"
		a.Failing = append(a.Failing, c.name)
		if c.vital {
			a.Status, status = "unhealthy", http.StatusServiceUnavailable
		} else if a.Status == "healthy" {
			a.Status = "degraded"
		}
	}
	if !r.is(serving) {
		a.Status, status = r.state.Load().(string), http.StatusServiceUnavailable
	}
	return a, status
}

// routes adds the three pages to a mux. They need no login: they name parts, never addresses.
func (r *readiness) routes(mux *http.ServeMux) {
	answer := func(w http.ResponseWriter, status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	mux.HandleFunc("GET /health/live", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	full := func(w http.ResponseWriter, req *http.Request) {
		a, status := r.look(req.Context())
		answer(w, status, a)
	}
	mux.HandleFunc("GET /health/ready", full)
	mux.HandleFunc("GET /health", full)
}
