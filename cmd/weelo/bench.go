package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"weelo/internal/bench"
	"weelo/internal/config"
	"weelo/internal/history"
	"weelo/store/postgres"
	"weelo/store/sqlite"
)

func benchCommand() command {
	return command{
		name: "bench", summary: "measure this machine: weelo against a bare WebSocket forwarder",
		help: `
Starts a fresh weelo dev and a bare coder/websocket forwarder, feeds both with the same frames at the
same rate, in turns, and prints CPU per location, fan-out, memory per idle socket, the delay beside a
driver who never stops, and commits per second in groups against one by one (SQLite, and Postgres when
DATABASE_URL is set: an empty database, please; its schema is made). Compare ratios, not figures of
different runs.

  weelo bench                                   everything, about 15 minutes
  weelo bench --only single,fanout --runs 3     a quick look
  weelo bench --json > bench.json               for programs; progress goes to standard error
  weelo bench accept --attempts 1000000         500 transporters for the 10 trucks of an order, again and
                                                again: double wins (none), attempts a second and p99, beside
                                                one transaction for each attempt (weelo bench accept -h)
  weelo bench auth --guesses 100000             codes sent and verified a second and their CPU, beside a bare handler
                                                with one Redis round trip; as many guesses are compared at three
                                                processes as at one (weelo bench auth -h; DATABASE_URL, REDIS_URL)

Experiments: ` + strings.Join(bench.Experiments(), ", ") + `.`,
		flags: func(fs *flag.FlagSet) func(context.Context, []string, surroundings) error {
			var (
				o      bench.Options
				only   string
				asJSON bool
			)
			fs.StringVar(&only, "only", "", "run these `experiments`, by comma")
			fs.IntVar(&o.Runs, "runs", 5, "runs of each side; the median counts")
			fs.DurationVar(&o.Duration, "duration", 0, "length of one measured stretch (default 8s)")
			fs.IntVar(&o.Drivers, "drivers", 200, "drivers of the CPU experiments")
			fs.IntVar(&o.Rate, "rate", 2000, "fixes a second over all drivers")
			fs.IntVar(&o.FanOut, "fanout", 1000, "watchers of one driver")
			fs.IntVar(&o.Idle, "idle", 1000, "idle sockets")
			fs.StringVar(&o.Profiles, "profiles", "", "write CPU profiles of weelo, one per experiment, to this `folder`")
			fs.BoolVar(&asJSON, "json", false, "print the report as JSON instead of the table")
			return func(ctx context.Context, args []string, s surroundings) error {
				if len(args) > 0 && args[0] == "bare" {
					return benchBare(ctx, args[1:])
				}
				if len(args) > 0 && args[0] == "accept" {
					return benchAccept(ctx, args[1:], s)
				}
				if len(args) > 0 && args[0] == "auth" {
					return benchAuth(ctx, args[1:], s)
				}
				if err := noArgs(args); err != nil {
					return err
				}
				if only != "" {
					o.Only = strings.Split(only, ",")
				}
				return benchmark(ctx, o, asJSON, s)
			}
		},
	}
}

// benchBare is the forwarder's process: weelo bench bare ADDRESS [naive|durable|login].
func benchBare(ctx context.Context, args []string) error {
	if len(args) == 0 || len(args) > 2 || len(args) == 2 && args[1] != "naive" && args[1] != "durable" && args[1] != "login" {
		return usagef("weelo bench bare ADDRESS [naive|durable|login] is started by weelo bench")
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", args[0])
	if err != nil {
		return err
	}
	if len(args) == 2 && args[1] == "durable" {
		return benchDurable(ctx, l)
	}
	if len(args) == 2 && args[1] == "login" {
		return benchBareLogin(ctx, l)
	}
	return bench.ServeBare(ctx, l, len(args) == 2)
}

// benchDurable is the forwarder over a history of its own.
func benchDurable(ctx context.Context, l net.Listener) error {
	dir, err := os.MkdirTemp("", "weelo-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, err := sqlite.Open(ctx, filepath.Join(dir, databaseFile))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Migrate(ctx); err != nil {
		return err
	}
	keep, err := history.NewRecorder(sqlite.NewFixes(db), alwaysDriving{}, time.Now, slog.New(slog.DiscardHandler), history.Config{})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return keep.Run(ctx) })
	g.Go(func() error { return bench.ServeDurable(ctx, l, keep) })
	return g.Wait()
}

// alwaysDriving puts every driver on a trip without an end.
type alwaysDriving struct{}

func (alwaysDriving) Windows(_ context.Context, asks []history.Ask) ([]history.Window, error) {
	ws := make([]history.Window, len(asks))
	for i, a := range asks {
		ws[i] = history.Window{TripID: "trip", Driver: a.Driver, To: math.MaxInt64}
	}
	return ws, nil
}

func benchmark(ctx context.Context, o bench.Options, asJSON bool, s surroundings) error {
	cfg, err := config.Load(s.environ)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "weelo-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	embedded, closeEmbedded, err := sqliteUnderTest(ctx, filepath.Join(dir, databaseFile))
	if err != nil {
		return err
	}
	defer closeEmbedded()
	o.Ledgers = append(o.Ledgers, embedded)
	if url := cfg.Store.DatabaseURL.Reveal(); url != "" {
		shared, closeShared, err := postgresUnderTest(ctx, url)
		if err != nil {
			return fmt.Errorf("DATABASE_URL (%s): %w", cfg.Store.DatabaseURL, err)
		}
		defer closeShared()
		o.Ledgers = append(o.Ledgers, shared)
	}
	progress, table := s.out, s.out
	if asJSON {
		progress, table = s.err, s.err
	}
	report, err := bench.Run(ctx, o, progress)
	if len(report.Rows) > 0 {
		err = errors.Join(err, report.WriteTable(table))
		if asJSON {
			err = errors.Join(err, report.WriteJSON(s.out))
		}
	}
	return err
}

func sqliteUnderTest(ctx context.Context, file string) (bench.LedgerUnderTest, func(), error) {
	db, err := sqlite.Open(ctx, file)
	if err != nil {
		return bench.LedgerUnderTest{}, nil, err
	}
	if _, err := db.Migrate(ctx); err != nil {
		return bench.LedgerUnderTest{}, nil, errors.Join(err, db.Close())
	}
	grouped, single := sqlite.NewWriter(db, sqlite.Options{}), sqlite.NewWriter(db, sqlite.Options{MaxBatch: 1})
	return bench.LedgerUnderTest{Name: "SQLite", Grouped: grouped, Single: single, Claimer: sqlite.NewClaimer(db)}, func() {
		_ = errors.Join(grouped.Close(context.WithoutCancel(ctx)), single.Close(context.WithoutCancel(ctx)), db.Close())
	}, nil
}

func postgresUnderTest(ctx context.Context, url string) (bench.LedgerUnderTest, func(), error) {
	db, err := postgres.Open(ctx, postgres.Config{URL: url})
	if err != nil {
		return bench.LedgerUnderTest{}, nil, err
	}
	if _, err := db.Migrate(ctx); err != nil {
		db.Close()
		return bench.LedgerUnderTest{}, nil, err
	}
	grouped, single := postgres.NewWriter(db, postgres.Options{}), postgres.NewWriter(db, postgres.Options{MaxBatch: 1})
	return bench.LedgerUnderTest{Name: "Postgres", Grouped: grouped, Single: single, Claimer: postgres.NewClaimer(db)}, func() {
		_ = errors.Join(grouped.Close(context.WithoutCancel(ctx)), single.Close(context.WithoutCancel(ctx)))
		db.Close()
	}, nil
}
