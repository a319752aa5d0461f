package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
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
	if missing := cfg.Borrowing(); len(missing) > 0 {
		log.Warn("codes go out in the words of another template: these are not set", "names", missing)
	}
	if cfg.Production() && len(cfg.Server.PublicHosts) == 0 {
		log.Warn("PUBLIC_HOSTS is empty: sockets, pages and share links are served under whatever name a request has")
	}
	keys, err := cfg.Secrets.WithPeppers()
	if err != nil {
		return err
	}
	return launch(ctx, cfg, log, func(ctx context.Context, p *process) error {
		sender, err := smsRoutes(ctx, cfg.SMS, s.out)
		if err != nil {
			return err
		}
		st, err := shared(ctx, p)
		if err != nil {
			return err
		}
		_, err = wire(ctx, p, st, keys, sender)
		return err
	})
}

// launch builds a process and runs it to its end. The port is opened first, so that one that is taken
// is said at once and everybody who is built can know the address.
func launch(ctx context.Context, cfg config.Config, log *slog.Logger, build func(context.Context, *process) error) error {
	stopTracing, err := telemetry.StartTracing(ctx, "weelo", version)
	if err != nil {
		return err
	}
	slog.SetDefault(log)
	p := &process{cfg: cfg, log: log, metrics: telemetry.NewMetrics(version), ready: newReadiness(version)}
	p.close("traces", stopTracing)
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		p.shut(ctx)
	}()
	if err = p.listen(ctx); err == nil {
		err = build(ctx, p)
	}
	if err != nil {
		log.Error("the start failed", "err", err)
		return err
	}
	return p.serve(ctx)
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
