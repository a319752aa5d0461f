package rest

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"weelo/internal/fault"
)

type counters struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	refused  *prometheus.CounterVec
}

func newCounters(reg prometheus.Registerer) counters {
	c := counters{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weelo_http_requests_total", Help: "REST requests answered, by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weelo_http_request_seconds", Help: "Time to answer a REST request, by route.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 3, 10},
		}, []string{"route"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weelo_http_refused_total", Help: "REST requests refused, by the code of the refusal.",
		}, []string{"code"}),
	}
	if reg != nil {
		reg.MustRegister(c.requests, c.seconds, c.refused)
	}
	return c
}

// tracer is looked up at each use, because the provider is installed after packages are initialised.
func tracer() trace.Tracer { return otel.Tracer("weelo/transport/rest") }

// observed runs a request inside a span, counts it, and turns a panic into a 500.
func (a *API) observed(w http.ResponseWriter, r *http.Request, pattern string, serve func(http.ResponseWriter, *http.Request)) {
	route := pattern
	if _, path, ok := strings.Cut(pattern, " "); ok {
		route = path
	}
	if route == "" {
		route = "unrouted"
	}
	ctx := otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	method := countedMethod(r.Method)
	ctx, span := tracer().Start(ctx, method+" "+route, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route)))
	defer span.End()
	r = r.WithContext(ctx)
	sw := &statusWriter{ResponseWriter: w}
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint,err113 // net/http compares it so
				panic(p)
			}
			a.log.ErrorContext(ctx, "handler panicked", "request_id", RequestOf(ctx).ID, "route", route, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if sw.status == 0 {
				a.refuse(sw, r, fault.From(fmt.Errorf("panic: %v", p)))
			}
		}
		status := sw.status
		if status == 0 {
			status = http.StatusOK
		}
		a.counters.requests.WithLabelValues(method+" "+route, strconv.Itoa(status)).Inc()
		a.counters.seconds.WithLabelValues(method + " " + route).Observe(time.Since(began).Seconds())
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
	}()
	serve(sw, r)
}

// countedMethod is the method as metrics and spans name it. Any token is a method to net/http, so that
// a caller who invents one after the other would otherwise add time series without end.
func countedMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "_OTHER"
	}
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
