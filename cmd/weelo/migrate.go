package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql driver "pgx", for goose
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // database/sql driver "sqlite"

	"weelo/internal/config"
	"weelo/migrations"
)

func migrateCommand() command {
	return command{
		name: "migrate", summary: "bring the database's schema up or down, or show where it is",
		help: `
Works on DATABASE_URL, or on the SQLite file of a dev folder with --dir. The schema is in the
binary; only one process migrates at a time, the others wait for it.

  weelo migrate up            to the newest schema (weelo serve does this by itself)
  weelo migrate status        which migrations are in
  weelo migrate down          one step back
  weelo migrate --new-stream  after a restore from a backup: clients that resume are told to
                              resynchronise instead of trusting numbers from before`,
		flags: func(fs *flag.FlagSet) func(context.Context, []string, surroundings) error {
			dir := fs.String("dir", "", "work on the SQLite file of this dev `folder` instead of DATABASE_URL")
			newStream := fs.Bool("new-stream", false, "give the database a new stream id")
			return func(ctx context.Context, args []string, s surroundings) error {
				what := "up"
				if len(args) > 0 {
					what = args[0]
				}
				if len(args) > 1 {
					return noArgs(args[1:])
				}
				db, dialect, err := openForMigration(*dir, s)
				if err != nil {
					return err
				}
				defer db.Close()
				ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
				defer cancel()
				if *newStream {
					return renewStream(ctx, db, s)
				}
				return migrate(ctx, db, dialect, what, s)
			}
		},
	}
}

func openForMigration(dir string, s surroundings) (*sql.DB, migrations.Dialect, error) {
	if dir != "" {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, databaseFile)+"?_txlock=immediate&_pragma=busy_timeout(5000)")
		return db, migrations.SQLite, err
	}
	cfg, err := config.Load(s.environ)
	if err == nil {
		err = cfg.Database()
	}
	if err != nil {
		return nil, "", err
	}
	db, err := sql.Open("pgx", cfg.Store.DatabaseURL.Reveal())
	return db, migrations.Postgres, err
}

func migrate(ctx context.Context, db *sql.DB, dialect migrations.Dialect, what string, s surroundings) error {
	p, err := migrations.Provider(db, dialect)
	if err != nil {
		return err
	}
	var results []*goose.MigrationResult
	switch what {
	case "up":
		results, err = p.Up(ctx)
	case "down":
		var r *goose.MigrationResult
		if r, err = p.Down(ctx); errors.Is(err, goose.ErrNoNextVersion) {
			fmt.Fprintln(s.out, "nothing to take back")
			return nil
		}
		results = append(results, r)
	case "status":
		states, err := p.Status(ctx)
		if err != nil {
			return err
		}
		for _, st := range states {
			when := "not in"
			if st.State == goose.StateApplied {
				when = "in since " + st.AppliedAt.UTC().Format(time.RFC3339)
			}
			fmt.Fprintf(s.out, "%5d  %-32s %s\n", st.Source.Version, filepath.Base(st.Source.Path), when)
		}
		return nil
	default:
		return usagef("%q is none of up, down, status", what)
	}
	if err != nil {
		return err
	}
	for _, r := range results {
		fmt.Fprintf(s.out, "%s %s (%v)\n", r.Direction, filepath.Base(r.Source.Path), r.Duration.Round(time.Millisecond))
	}
	v, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "the schema is at version %d\n", v)
	return nil
}

// renewStream changes the one random id of the database, so that no client can mistake the numbers
// of a restored database for the ones it has seen.
func renewStream(ctx context.Context, db *sql.DB, s surroundings) error {
	id := uuid.NewString()
	res, err := db.ExecContext(ctx, `UPDATE meta SET value = $1 WHERE name = 'stream'`, id)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("the stream row is not there: is the schema up? (%d rows, %w)", n, err)
	}
	fmt.Fprintf(s.out, "the stream is now %s\n", id)
	return nil
}
