package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"weelo/internal/config"
	"weelo/internal/token"
	"weelo/transport/rest"
)

// wire introduces everyone to everyone, by hand, in the order in which they need each other: stores,
// services, actors, transports. It is the only place where concrete meets concrete.
func wire(ctx context.Context, p *process, st *stores, keys config.Secrets) error {
	mint, err := token.New(token.Config{
		Access:  []token.Key{{ID: "1", Secret: keys.JWT.Reveal()}},
		Refresh: []token.Key{{ID: "1", Secret: keys.JWTRefresh.Reveal()}},
		TTL:     scaled(p.cfg.Login.AccessLife.D(), p.cfg.Tests.LoginTimeScale),
	})
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	api := rest.New(rest.Config{
		Version: version, Tokens: mint, Revoked: func(string) bool { return false }, Log: p.log,
		Metrics: p.metrics.Registry, TrustedHops: p.cfg.Server.TrustedHops, Origins: p.cfg.Server.AllowedOrigins, Now: time.Now,
	})
	pages := http.NewServeMux()
	p.ready.routes(pages)
	for _, path := range []string{"GET /health", "GET /health/live", "GET /health/ready"} {
		api.Mount(path, pages)
	}
	p.handler = api
	_, _ = ctx, st
	return nil
}

// scaled divides a wait of the product by a test scale.
func scaled(d time.Duration, scale float64) time.Duration {
	return time.Duration(float64(d) / scale)
}
