package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"weelo/internal/bench"
	"weelo/internal/config"
	"weelo/store/postgres"
	"weelo/store/sqlite"
)

// benchAccept is weelo bench accept: many transporters for few trucks, again and again.
func benchAccept(ctx context.Context, args []string, s surroundings) error {
	var o bench.AcceptOptions
	fs := flag.NewFlagSet("weelo bench accept", flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.IntVar(&o.Attempts, "attempts", 100_000, "answered attempts on each side and store (a soak makes 1000000)")
	fs.IntVar(&o.Transporters, "transporters", 500, "who race for one order, at most 600")
	fs.IntVar(&o.Slots, "slots", 10, "trucks of one order, at most 50")
	fs.IntVar(&o.Taps, "taps", 20, "attempts of each transporter for one order")
	fs.IntVar(&o.Orders, "orders", 2, "orders raced for at a time")
	fs.Uint64Var(&o.Seed, "seed", 1, "seed of who is first")
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
	dir, err := os.MkdirTemp("", "weelo-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	embedded, closeEmbedded, err := sqliteToRaceOn(ctx, filepath.Join(dir, databaseFile))
	if err != nil {
		return err
	}
	defer closeEmbedded()
	o.Stores = append(o.Stores, embedded)
	if url := cfg.Store.DatabaseURL.Reveal(); url != "" {
		shared, closeShared, err := postgresToRaceOn(ctx, url)
		if err != nil {
			return fmt.Errorf("DATABASE_URL (%s): %w", cfg.Store.DatabaseURL, err)
		}
		defer closeShared()
		o.Stores = append(o.Stores, shared)
	}
	progress := s.out
	if *asJSON {
		progress = s.err
	}
	report, err := bench.RunAccept(ctx, o, progress)
	if err != nil {
		return err
	}
	if *asJSON {
		return report.WriteJSON(s.out)
	}
	return report.WriteTable(s.out)
}

func sqliteToRaceOn(ctx context.Context, file string) (bench.AcceptStore, func(), error) {
	db, err := sqlite.Open(ctx, file)
	if err != nil {
		return bench.AcceptStore{}, nil, err
	}
	if _, err := db.Migrate(ctx); err != nil {
		return bench.AcceptStore{}, nil, errors.Join(err, db.Close())
	}
	// The other side has the product's settings: one connection that writes, synced to disk.
	plain, err := sql.Open("sqlite", "file:"+file+".plain?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return bench.AcceptStore{}, nil, errors.Join(err, db.Close())
	}
	plain.SetMaxOpenConns(1)
	w := sqlite.NewWriter(db, sqlite.Options{})
	return bench.AcceptStore{
			Name: "SQLite", Writer: w, Joint: w, Claimer: sqlite.NewClaimer(db), Outbox: sqlite.NewOutbox(db), Replies: sqlite.NewReplies(db),
			Timers: sqlite.NewTimers(db), Orders: sqlite.NewOrderReads(db), Trips: sqlite.NewTripReads(db), Plain: bench.Database{DB: plain},
		}, func() {
			_ = errors.Join(w.Close(context.WithoutCancel(ctx)), plain.Close(), db.Close())
		}, nil
}

func postgresToRaceOn(ctx context.Context, url string) (bench.AcceptStore, func(), error) {
	db, err := postgres.Open(ctx, postgres.Config{URL: url})
	if err != nil {
		return bench.AcceptStore{}, nil, err
	}
	if _, err := db.Migrate(ctx); err != nil {
		db.Close()
		return bench.AcceptStore{}, nil, err
	}
	plain, err := sql.Open("pgx", url)
	if err != nil {
		db.Close()
		return bench.AcceptStore{}, nil, err
	}
	plain.SetMaxOpenConns(16)
	plain.SetMaxIdleConns(16)
	w := postgres.NewWriter(db, postgres.Options{})
	return bench.AcceptStore{
			Name: "Postgres", Writer: w, Joint: w, Claimer: postgres.NewClaimer(db), Outbox: postgres.NewOutbox(db), Replies: postgres.NewReplies(db),
			Timers: postgres.NewTimers(db), Orders: postgres.NewOrderReads(db), Trips: postgres.NewTripReads(db),
			Plain: bench.Database{DB: plain, ForUpdate: "FOR UPDATE SKIP LOCKED"},
		}, func() {
			_ = errors.Join(w.Close(context.WithoutCancel(ctx)), plain.Close())
			db.Close()
		}, nil
}
