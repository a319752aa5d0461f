package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"weelo/internal/ledger"
	"weelo/internal/token"
)

// Session is what the page needs to open its socket.
type Session struct {
	Token   string
	Expires time.Time
}

// Sessions gives the map a short session with role ops. Dev only.
type Sessions interface {
	MapSession(ctx context.Context) (Session, error)
}

// Tokens verifies the token that the page sends along (token.Mint).
type Tokens interface {
	Verify(access string, now time.Time) (token.Identity, error)
}

// Config is what a Site needs. Sessions, Tokens and History are required.
type Config struct {
	Sessions Sessions
	Tokens   Tokens
	History  ledger.History
	// Hosts are the names under which the page may be opened, without port. Empty: localhost and the
	// loopback addresses.
	Hosts []string
	// StyleURL is a MapLibre style for the base map. Empty: names and lanes on a plain ground.
	StyleURL string
	// Speed is how fast time runs here (TIME_SCALE), for show. 0: 1.
	Speed   float64
	Version string
	Log     *slog.Logger // nil: slog.Default
}

// Site serves the live map. It is immutable once made.
type Site struct {
	cfg    Config
	log    *slog.Logger
	policy string
	assets map[string]asset
	mux    *http.ServeMux
}

// New reads the embedded assets and makes a Site. It names everything that is missing.
func New(cfg Config) (*Site, error) {
	var problems []error
	for _, part := range []struct {
		name    string
		missing bool
	}{{"Sessions", cfg.Sessions == nil}, {"Tokens", cfg.Tokens == nil}, {"History", cfg.History == nil}} {
		if part.missing {
			problems = append(problems, errors.New("web: Config."+part.name+" is required"))
		}
	}
	policy, err := contentPolicy(cfg.StyleURL, nil)
	problems = append(problems, err)
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if len(cfg.Hosts) == 0 {
		cfg.Hosts = []string{"localhost", "127.0.0.1", "::1"}
	}
	if cfg.Speed == 0 {
		cfg.Speed = 1
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Site{cfg: cfg, log: cfg.Log.With("component", "web"), policy: policy}
	if s.assets, err = readAssets(); err != nil {
		return nil, err
	}
	s.mux = http.NewServeMux()
	for pattern, handle := range s.routes() {
		s.mux.HandleFunc(pattern, handle)
	}
	return s, nil
}

func (s *Site) routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /{$}":                     s.page,
		"GET /static/{file...}":        s.static,
		"GET /favicon.ico":             s.favicon,
		"GET /dev/config.json":         s.config,
		"POST /dev/session":            s.session,
		"GET /dev/trips/{id}/timeline": s.timeline,
	}
}

// Patterns lists what the Site serves, for whoever mounts it.
func (s *Site) Patterns() []string {
	var list []string
	for pattern := range s.routes() {
		list = append(list, pattern)
	}
	slices.Sort(list)
	return list
}

// ServeHTTP answers under a listed name only, with the headers of every page.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pageHeaders(w, s.policy)
	if !named(s.cfg.Hosts, r.Host) {
		refuse(w, http.StatusForbidden, "HOST_NOT_ALLOWED", "This host is not served here.")
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Site) page(w http.ResponseWriter, r *http.Request)    { s.serve(w, r, "index.html") }
func (s *Site) favicon(w http.ResponseWriter, r *http.Request) { s.serve(w, r, "icon.svg") }

func (s *Site) static(w http.ResponseWriter, r *http.Request) { s.serve(w, r, r.PathValue("file")) }

func (s *Site) serve(w http.ResponseWriter, r *http.Request, name string) {
	a, ok := s.assets[name]
	if !ok {
		refuse(w, http.StatusNotFound, "NOT_FOUND", "There is no such page.")
		return
	}
	a.serve(w, r)
}

// config is what the page wants to know before it draws.
func (s *Site) config(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"styleUrl": s.cfg.StyleURL, "speed": s.cfg.Speed, "version": s.cfg.Version})
}
