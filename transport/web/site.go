package web

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"weelo/internal/ledger"
	"weelo/internal/token"
)

//go:embed static
var embedded embed.FS

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

type asset struct {
	body []byte
	kind string // content type
	etag string
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
	policy, err := contentPolicy(cfg.StyleURL)
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
	h := w.Header()
	h.Set("Content-Security-Policy", s.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "geolocation=(), camera=(), microphone=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if !s.listed(r.Host) {
		refuse(w, http.StatusForbidden, "HOST_NOT_ALLOWED", "This host is not served here.")
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Site) listed(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	return slices.ContainsFunc(s.cfg.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// contentPolicy is the Content-Security-Policy of every answer. MapLibre draws in a worker of this
// server and makes images out of blobs; the base map's host is let in when there is one.
func contentPolicy(styleURL string) (string, error) {
	base := ""
	if styleURL != "" {
		u, err := url.Parse(styleURL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return "", fmt.Errorf("web: MAP_STYLE_URL %q is no http(s) URL", styleURL)
		}
		base = " " + u.Scheme + "://" + u.Host
	}
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'",
		"worker-src 'self'",
		"style-src 'self'",
		"connect-src 'self'" + base,
		"img-src 'self' data: blob:" + base,
		"font-src 'self'",
		"frame-ancestors 'none'",
		"base-uri 'none'",
		"form-action 'self'",
	}, "; "), nil
}

func readAssets() (map[string]asset, error) {
	assets := make(map[string]asset)
	err := fs.WalkDir(embedded, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		assets[strings.TrimPrefix(name, "static/")] = asset{
			body: body, kind: contentType(name), etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("web: read embedded pages: %w", err)
	}
	return assets, nil
}

// contentType does not ask the machine's own table, which differs from one to the next.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".mjs", ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".json":
		return "application/json"
	case ".svg":
		return "image/svg+xml"
	case ".txt", ".md":
		return "text/plain; charset=utf-8"
	}
	return mime.TypeByExtension(path.Ext(name))
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
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("ETag", a.etag)
	w.Header().Set("Cache-Control", "no-cache") // ask, and be told 304
	if r.Header.Get("If-None-Match") == a.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(a.body) // the client is gone if this fails
}

// config is what the page wants to know before it draws.
func (s *Site) config(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"styleUrl": s.cfg.StyleURL, "speed": s.cfg.Speed, "version": s.cfg.Version})
}

// answer writes a JSON body that must not be stored.
func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(body) // the client is gone if this fails
}

// refuse writes the envelope of the API.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"success": false, "error": map[string]any{"code": code, "message": message}})
}
