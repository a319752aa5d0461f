package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"time"

	"weelo/internal/config"
	"weelo/internal/telemetry"
)

func serveCommand() command {
	return command{
		name: "serve", summary: "run on Postgres and Redis (production)",
		help: `
Serves REST, sockets and pages on PORT, keeps state in DATABASE_URL and REDIS_URL, and migrates the
schema at the start (MIGRATE=off refuses an old one instead). Everything is set by the environment;
docs/configuration.md lists it. What is wrong with it is said at once, and nothing starts.

SIGTERM ends it in order: readiness fails, sockets are told to reconnect elsewhere, everything
decided is committed, exit 0.

  DATABASE_URL=postgres://… REDIS_URL=redis://… JWT_SECRET=… JWT_REFRESH_SECRET=… \
  SMS_PROVIDER=console weelo serve`,
		flags: func(*flag.FlagSet) func(context.Context, []string, surroundings) error {
			return func(ctx context.Context, args []string, s surroundings) error {
				if err := noArgs(args); err != nil {
					return err
				}
				return serve(ctx, s)
			}
		},
	}
}

func serve(ctx context.Context, s surroundings) error {
	cfg, err := config.Load(s.environ)
	log := telemetry.NewLogger(s.out, cfg.Level())
	if err == nil {
		err = cfg.Serve()
	}
	if err != nil {
		return refuseStart(log, err)
	}
	if unused := config.UnusedIn(s.environ); len(unused) > 0 {
		log.Info("variables that nothing reads", "names", unused)
	}
	keys := cfg.Secrets
	if keys.Pepper == "" {
		if keys.Pepper, err = config.DerivePepper(keys.JWTRefresh); err != nil {
			return err
		}
	}
	return launch(ctx, cfg, log, func(ctx context.Context, p *process) error {
		st, err := shared(ctx, p)
		if err != nil {
			return err
		}
		return wire(ctx, p, st, keys)
	}, func(net.Addr) {})
}

// launch builds a process and runs it to its end.
func launch(ctx context.Context, cfg config.Config, log *slog.Logger, build func(context.Context, *process) error, opened func(net.Addr)) error {
	stopTracing, err := telemetry.StartTracing(ctx, "weelo", version)
	if err != nil {
		return err
	}
	p := &process{cfg: cfg, log: log, metrics: telemetry.NewMetrics(version), ready: newReadiness(version)}
	slog.SetDefault(log)
	p.close("traces", stopTracing)
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		p.shut(ctx)
	}()
	if err := build(ctx, p); err != nil {
		log.Error("the start failed", "err", err)
		return err
	}
	l, err := p.listen(ctx)
	if err != nil {
		log.Error("the start failed", "err", err)
		return err
	}
	return p.serve(ctx, l, opened)
}

// refuseStart says everything that is wrong in one log line, which is where operators look first.
func refuseStart(log *slog.Logger, err error) error {
	var problems config.Problems
	if errors.As(err, &problems) {
		list := make([]string, len(problems))
		for i, p := range problems {
			list[i] = p.Variable + ": " + p.What
		}
		log.Error("the configuration is wrong; nothing was started", "problems", list)
	}
	return err
}
