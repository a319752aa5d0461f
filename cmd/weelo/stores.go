package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weelo/store/postgres"
	"weelo/store/sqlite"
)

// stores is what differs between serve and dev: the same ports, kept by Postgres and Redis or by
// SQLite and this process.
type stores struct {
	now func(context.Context) (time.Time, error) // the clock that deadlines are compared with
}

// embedded opens the dev folder's database and the in-process TTL stores.
func embedded(ctx context.Context, p *process, file string) (*stores, error) {
	db, err := sqlite.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	p.close("sqlite", func(context.Context) error { return db.Close() })
	if _, err := db.Migrate(ctx); err != nil {
		return nil, err
	}
	p.ready.add("database", true, db.Ping)
	return &stores{now: db.Now}, nil
}

// shared opens Postgres and Redis.
func shared(ctx context.Context, p *process) (*stores, error) {
	db, err := openPostgres(ctx, p)
	if err != nil {
		return nil, err
	}
	p.ready.add("database", true, db.Ping)
	return &stores{now: db.Now}, nil
}

// startPatience is how long a start waits for its database: a task may come up before it.
const startPatience = 30 * time.Second

func openPostgres(ctx context.Context, p *process) (*postgres.DB, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience+60*time.Second)
	defer cancel()
	var db *postgres.DB
	err := patiently(ctx, startPatience, func() (err error) {
		db, err = postgres.Open(ctx, postgres.Config{URL: p.cfg.Store.DatabaseURL.Reveal()})
		if err != nil {
			p.log.Warn("the database does not answer yet", "err", err)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL (%s): %w", p.cfg.Store.DatabaseURL, err)
	}
	p.close("postgres", func(context.Context) error { db.Close(); return nil })
	if p.cfg.Store.Migrate == "off" {
		pending, err := db.Pending(ctx)
		if err != nil {
			return nil, err
		}
		if pending {
			return nil, errors.New("the schema is older than this binary and MIGRATE=off: run weelo migrate up")
		}
		return db, nil
	}
	v, err := db.Migrate(ctx)
	if err != nil {
		return nil, err
	}
	p.log.Info("the schema is up", "schema_version", v)
	return db, nil
}

// patiently tries again each second until it works or the patience is over.
func patiently(ctx context.Context, patience time.Duration, try func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		pause := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			pause.Stop()
			return errors.Join(err, ctx.Err())
		case <-pause.C:
		}
	}
}
