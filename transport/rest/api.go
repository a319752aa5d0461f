package rest

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/limit"
	"weelo/internal/token"
)

// Verifier reads access tokens: *token.Mint.
type Verifier interface {
	Verify(access string, now time.Time) (token.Identity, error)
}

// Config is what an API needs.
type Config struct {
	Version     string
	Tokens      Verifier
	Revoked     func(session string) bool // whether this task knows the session to be revoked
	Log         *slog.Logger
	Metrics     prometheus.Registerer // nil: counted, not shown
	TrustedHops int                   // proxies that append to X-Forwarded-For; 0 when clients connect directly
	Origins     []string              // web origins that may read answers, exact; none: no CORS headers
	Now         func() time.Time
	Limits      limit.Limiter // of what one user asks for in all; nil: nobody is limited
	Audit       Trail         // what operators look at is written down; nil: nothing is

	// Strangers counts a request of who has not said who he is, and tells how long he has to wait; nil: never.
	Strangers func(context.Context) time.Duration
}

// Trail takes what is written down: *auditlog.Recorder.
type Trail interface {
	Record(e auditlog.Event) error
}

// API is the REST handler. Register every route and mount before it serves.
type API struct {
	huma     huma.API
	mux      *http.ServeMux
	mounted  map[string]bool // patterns that are served without this package's wrapping
	tokens   Verifier
	revoked  func(string) bool
	log      *slog.Logger
	counters counters
	hops     int
	origins  []string
	now      func() time.Time
	limits   limit.Limiter
	audit    Trail

	strangers func(context.Context) time.Duration
}

// New makes an API without routes; /openapi.json is there.
func New(cfg Config) *API {
	humaErrors()
	a := &API{
		mux: http.NewServeMux(), mounted: map[string]bool{}, tokens: cfg.Tokens, revoked: cfg.Revoked,
		log: cfg.Log.With("component", "rest"), counters: newCounters(cfg.Metrics), hops: cfg.TrustedHops,
		origins: slices.Clone(cfg.Origins), now: cfg.Now, limits: cfg.Limits, audit: cfg.Audit, strangers: cfg.Strangers,
	}
	h := huma.DefaultConfig("Weelo Dispatch", cfg.Version)
	h.CreateHooks = nil // they would add a $schema field to the envelope
	h.DocsPath, h.SchemasPath = "", ""
	h.AllowAdditionalPropertiesByDefault = true
	h.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
	}
	a.huma = humago.New(a.mux, h)
	return a
}

// Mount serves a pattern of net/http (sockets, pages, health) beside the routes. Only the request's
// facts and the security headers are added: a mounted handler may hijack the connection.
func (a *API) Mount(pattern string, h http.Handler) {
	a.mounted[pattern] = true
	a.mux.Handle(pattern, h)
}

// Authenticated wraps a mounted handler with the same check that routes have; Caller works in it.
func (a *API) Authenticated(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := a.bearer(r)
		if err != nil {
			a.unauthenticated(w, r, err)
			return
		}
		if err := a.underCeiling(r.Context(), id); err != nil {
			a.refuse(w, r, err)
			return
		}
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey, id)))
	})
}

// ServeHTTP routes a request. It never answers with anything but the envelope, or a mounted handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := facts(r, a.hops)
	ctx := auditlog.WithSource(r.Context(), auditlog.Source{Client: req.Client, Device: req.Device, RequestID: req.ID})
	r = r.WithContext(context.WithValue(ctx, requestKey, req))
	headers(w, req)
	a.cors(w, r)
	h, pattern := a.mux.Handler(r)
	if a.mounted[pattern] {
		a.mux.ServeHTTP(w, r)
		return
	}
	a.observed(w, r, pattern, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !legible(r.URL.Path):
			a.refuse(w, r, errNoRoute) // no id of ours has such characters
		case !legibleQuery(r.URL):
			a.refuse(w, r, fault.Invalid("query", "The address has characters that cannot be read."))
		case pattern != "":
			a.mux.ServeHTTP(w, r)
		case r.Method == http.MethodOptions && w.Header().Get("Access-Control-Allow-Origin") != "":
			w.WriteHeader(http.StatusNoContent)
		default:
			a.unrouted(w, r, h)
		}
	})
}

// legible tells whether a text that came escaped is UTF-8 without U+0000, which Postgres cannot compare with.
func legible(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func legibleQuery(u *url.URL) bool {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return false
	}
	for name, texts := range values {
		if !legible(name) || slices.ContainsFunc(texts, func(s string) bool { return !legible(s) }) {
			return false
		}
	}
	return true
}

// unrouted answers what no pattern matched. The standard mux knows whether only the method was wrong;
// it is asked without letting it write.
func (a *API) unrouted(w http.ResponseWriter, r *http.Request, h http.Handler) {
	if err := a.anybody(r); err != nil {
		a.refuse(w, r, err)
		return
	}
	probe := &probe{header: http.Header{}}
	h.ServeHTTP(probe, r)
	if probe.status != http.StatusMethodNotAllowed {
		a.refuse(w, r, errNoRoute)
		return
	}
	w.Header().Set("Allow", probe.header.Get("Allow"))
	a.counters.refused.WithLabelValues("METHOD_NOT_ALLOWED").Inc()
	a.write(w, http.StatusMethodNotAllowed, &Failure{Problem: Problem{
		Code: "METHOD_NOT_ALLOWED", Message: "This address does not take that method.", RequestID: RequestOf(r.Context()).ID,
	}})
}

// probe is a ResponseWriter that keeps status and headers only.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) WriteHeader(status int)      { p.status = status }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }

// headers that every answer has. Answers are never to be stored: the captain app keeps a cache.
func headers(w http.ResponseWriter, req Request) {
	h := w.Header()
	h.Set("X-Request-Id", req.ID)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "geolocation=()")
	// Of effect behind TLS only: browsers pass it over on plain http, as on a developer's machine.
	h.Set("Strict-Transport-Security", "max-age=31536000")
}

// cors lets listed web origins read answers. No credentials: a token is sent by script or not at all.
func (a *API) cors(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(a.origins, origin) {
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Device-Id, X-Idempotency-Key, X-Request-ID, X-Trace-ID")
	h.Set("Access-Control-Expose-Headers", "Retry-After, X-Request-Id")
}

// MaxHeader bounds the request line and the headers, in bytes. net/http reads 4 KiB more than it is told.
const MaxHeader = 16 << 10

// NewServer wraps a handler with the deadlines and limits of a public edge. IdleTimeout exceeds the
// 60 s of the load balancer in front, which otherwise answers 502 on a connection we have closed.
// WriteTimeout does not apply to sockets: hijacking clears it.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 15 * time.Second,
		IdleTimeout: 75 * time.Second, MaxHeaderBytes: MaxHeader - 4<<10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
