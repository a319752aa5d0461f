package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// RoundTrip is one question to a store: what a handler that remembers a phone can do least.
type RoundTrip func(ctx context.Context, key, value string) error

// ServeBareLogin is the handler to compare logins with, until ctx ends: it reads a small JSON body, asks the
// store once, and answers JSON. It checks nothing and decides nothing.
func ServeBareLogin(ctx context.Context, l net.Listener, ask RoundTrip) error {
	web := &http.Server{ReadHeaderTimeout: connectWait, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet { // whoever started this asks whether it is ready
			return
		}
		var body struct {
			Phone string `json:"phone"`
			Role  string `json:"role"`
		}
		if err := json.NewDecoder(io.LimitReader(r.Body, 4096)).Decode(&body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if err := ask(ctx, "bare:"+body.Phone, body.Role); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"success": true, "data": map[string]any{"expiresIn": 300}})
	})}
	stop := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer stop()
	if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("bare login: %w", err)
	}
	return nil
}
