package web

import (
	"errors"
	"net/http"
	"slices"
)

// ShareConfig is what a SharePage needs.
type ShareConfig struct {
	// Hosts are the names under which the page is served, without port; empty: any.
	Hosts []string
	// StyleURL is a MapLibre style for the base map. Empty: names of towns on a plain ground.
	StyleURL string
}

// SharePage serves the page of share links at /t/. The link's token is in the fragment of its address,
// which no browser sends: the page itself is the same for everybody, and has no secret.
type SharePage struct {
	cfg    ShareConfig
	policy string
	assets map[string]asset
	mux    *http.ServeMux
}

// shareAssets are the files that the page may have, below /t/a/.
var shareAssets = []string{
	"share.mjs", "share-feed.mjs", "share-rules.mjs", "share.css", "format.mjs", "icon.svg", "places.json",
	"vendor/maplibre-gl.mjs", "vendor/maplibre-gl-worker.mjs", "vendor/maplibre-gl.css", "vendor/maplibre-gl-LICENSE.txt",
}

// NewSharePage reads the embedded assets and makes a SharePage.
func NewSharePage(cfg ShareConfig) (*SharePage, error) {
	policy, err := contentPolicy(cfg.StyleURL, cfg.Hosts)
	all, missing := readAssets()
	if err := errors.Join(err, missing); err != nil {
		return nil, err
	}
	s := &SharePage{cfg: cfg, policy: policy, assets: all, mux: http.NewServeMux()}
	for pattern, handle := range s.routes() {
		s.mux.HandleFunc(pattern, handle)
	}
	return s, nil
}

func (s *SharePage) routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /t/{$}":         s.page,
		"GET /t/config.json": s.config,
		"GET /t/a/{file...}": s.static,
	}
}

// Patterns lists what the page serves, for whoever mounts it.
func (s *SharePage) Patterns() []string {
	var list []string
	for pattern := range s.routes() {
		list = append(list, pattern)
	}
	slices.Sort(list)
	return list
}

// ServeHTTP answers with the headers of every page; nobody is to index or keep it.
func (s *SharePage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pageHeaders(w, s.policy)
	w.Header().Set("X-Robots-Tag", "noindex, nofollow")
	w.Header().Set("Cache-Control", "no-store")
	if len(s.cfg.Hosts) > 0 && !named(s.cfg.Hosts, r.Host) {
		refuse(w, http.StatusForbidden, "HOST_NOT_ALLOWED", "This host is not served here.")
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *SharePage) page(w http.ResponseWriter, _ *http.Request) {
	a := s.assets["share.html"]
	w.Header().Set("Content-Type", a.kind)
	_, _ = w.Write(a.body) // the client is gone if this fails
}

// config is what the page wants to know before it draws.
func (s *SharePage) config(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"styleUrl": s.cfg.StyleURL})
}

// static serves the page's own files, which have no secret and may be kept.
func (s *SharePage) static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if !slices.Contains(shareAssets, name) {
		refuse(w, http.StatusNotFound, "NOT_FOUND", "There is no such page.")
		return
	}
	s.assets[name].serve(w, r)
}
