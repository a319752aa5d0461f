package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Admin serves /metrics and /debug/pprof on a listener of its own, which only the machine itself
// reaches. It is never on the public port.
type Admin struct {
	listener net.Listener
	server   *http.Server
}

// ListenAdmin opens addr; port 0 takes a free one (see Addr).
func ListenAdmin(ctx context.Context, addr string, registry *prometheus.Registry) (*Admin, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("ADMIN_ADDR: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &Admin{listener: l, server: &http.Server{Handler: byAddress(mux), ReadHeaderTimeout: 5 * time.Second}}, nil
}

// byAddress serves requests that name this machine by an address or as localhost only: a page of elsewhere whose
// name resolves to this machine, in a browser on it, gets nothing.
func byAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Host
		if h, _, err := net.SplitHostPort(name); err == nil {
			name = h
		}
		if name != "localhost" && net.ParseIP(strings.Trim(name, "[]")) == nil {
			http.Error(w, "ask by address", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Addr is where it really listens.
func (a *Admin) Addr() string { return a.listener.Addr().String() }

// Run serves until ctx ends. Profiles in flight are cut off: nobody waits for them.
func (a *Admin) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = a.server.Close() })
	defer stop()
	if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin server: %w", err)
	}
	return nil
}
