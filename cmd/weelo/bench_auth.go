package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/bench"
	"weelo/internal/config"
	"weelo/store/postgres"
	"weelo/store/redis"
)

// benchAuth is weelo bench auth: codes sent and verified, and guessed.
func benchAuth(ctx context.Context, args []string, s surroundings) error {
	var o bench.AuthOptions
	fs := flag.NewFlagSet("weelo bench auth", flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.IntVar(&o.Runs, "runs", 3, "runs of each side; the median counts")
	fs.IntVar(&o.Logins, "logins", 2000, "logins of each run")
	fs.IntVar(&o.Width, "width", 16, "requests under way at a time")
	fs.IntVar(&o.Guesses, "guesses", 0, "wrong codes for one phone, at one process and at several: the same number must be compared (try 100000)")
	fs.IntVar(&o.Servers, "servers", 3, "processes of the guesses")
	asJSON := fs.Bool("json", false, "print the report as JSON instead of the table")
	if err := fs.Parse(args); err != nil {
		return usagef("%v", err)
	}
	if err := noArgs(fs.Args()); err != nil {
		return err
	}
	cfg, err := config.Load(s.environ)
	if err != nil {
		return err
	}
	o.DatabaseURL, o.RedisURL = cfg.Store.DatabaseURL.Reveal(), cfg.Store.RedisURL.Reveal()
	if o.DatabaseURL == "" || o.RedisURL == "" {
		return usagef("weelo bench auth measures serve: set DATABASE_URL (an empty database, please) and REDIS_URL")
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: o.DatabaseURL})
	if err != nil {
		return fmt.Errorf("DATABASE_URL (%s): %w", cfg.Store.DatabaseURL, err)
	}
	defer db.Close()
	o.Fails = postgres.NewFails(db)
	progress := s.out
	if *asJSON {
		progress = s.err
	}
	report, err := bench.RunAuth(ctx, o, progress)
	if err != nil {
		return err
	}
	if *asJSON {
		return report.WriteJSON(s.out)
	}
	return report.WriteTable(s.out)
}

// benchBareLogin is the handler that logins are compared with, on the Redis of the environment.
func benchBareLogin(ctx context.Context, l net.Listener) error {
	cfg, err := config.Load(os.Environ())
	if err != nil {
		return err
	}
	var client goredis.UniversalClient
	if client, err = redis.Open(ctx, cfg.Store.RedisURL.Reveal()); err != nil {
		return err
	}
	defer client.Close()
	return bench.ServeBareLogin(ctx, l, func(ctx context.Context, key, value string) error {
		return client.Set(ctx, key, value, 5*time.Minute).Err()
	})
}
