package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"go.opentelemetry.io/otel/trace"

	"weelo/migrations"
)

// Config says where the database is and how many connections each kind of work may hold. A zero
// number takes the default.
type Config struct {
	URL string // DATABASE_URL

	CommitConns    int // group commit flushes in flight; default 2: more only help a slow disk
	ContendedConns int // one-transaction-each steps; default 4
	ClaimConns     int // claims, timers, outbox; default 2
	GeneralConns   int // everything else: people, sessions, fixes, reads; default 8

	ConnectTimeout time.Duration // default 5 s

	// Tracer records statements below a span that is being recorded, and nothing else. nil: the
	// global provider's.
	Tracer trace.TracerProvider
}

// Validate names every problem at once.
func (c Config) Validate() error {
	var problems []error
	if c.URL == "" {
		problems = append(problems, errors.New("postgres: URL is empty"))
	} else if _, err := pgxpool.ParseConfig(c.URL); err != nil {
		// pgx masks the password in its errors.
		problems = append(problems, fmt.Errorf("postgres: URL: %w", err))
	}
	for name, n := range map[string]int{"CommitConns": c.CommitConns, "ContendedConns": c.ContendedConns,
		"ClaimConns": c.ClaimConns, "GeneralConns": c.GeneralConns} {
		if n < 0 || n > 100 {
			problems = append(problems, fmt.Errorf("postgres: %s is %d, want 0 to 100", name, n))
		}
	}
	return errors.Join(problems...)
}

// DB is the database, as pools by kind of work. It is safe for concurrent use.
type DB struct {
	Commits   *pgxpool.Pool // the group commit
	Contended *pgxpool.Pool // transactions that may hit a unique index or span aggregates
	Claims    *pgxpool.Pool // claims, timers, outbox
	General   *pgxpool.Pool // everything else
}

// Open connects and pings. It does not migrate: see Migrate.
func Open(ctx context.Context, c Config) (*DB, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	db := &DB{}
	for _, p := range []struct {
		pool  **pgxpool.Pool
		name  string
		conns int
	}{
		{&db.Commits, "commit", orDefault(c.CommitConns, 2)},
		{&db.Contended, "contended", orDefault(c.ContendedConns, 4)},
		{&db.Claims, "claim", orDefault(c.ClaimConns, 2)},
		{&db.General, "general", orDefault(c.GeneralConns, 8)},
	} {
		pool, err := openPool(ctx, c, p.name, p.conns)
		if err != nil {
			db.Close()
			return nil, fmt.Errorf("postgres: %w", err)
		}
		*p.pool = pool
	}
	timeout := c.ConnectTimeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := db.General.Ping(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return db, nil
}

func openPool(ctx context.Context, c Config, name string, conns int) (*pgxpool.Pool, error) {
	pc, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, err
	}
	pc.MaxConns = int32(conns) //nolint:gosec // at most 100: Config.Validate
	pc.MaxConnIdleTime = 5 * time.Minute
	pc.MaxConnLifetime = time.Hour
	pc.MaxConnLifetimeJitter = 10 * time.Minute
	pc.ConnConfig.ConnectTimeout = orDefault(c.ConnectTimeout, 5*time.Second)
	params := pc.ConnConfig.RuntimeParams
	for key, value := range map[string]string{
		"application_name": "weelo-" + name,
		// A client that vanished in the middle of a transaction must not hold its locks for long.
		"idle_in_transaction_session_timeout": "10s",
		"statement_timeout":                   "30s",
	} {
		if _, set := params[key]; !set {
			params[key] = value
		}
	}
	var options []otelpgx.Option
	if c.Tracer != nil {
		options = append(options, otelpgx.WithTracerProvider(c.Tracer))
	}
	pc.ConnConfig.Tracer = recordingOnly{otelpgx.NewTracer(options...)}
	return pgxpool.NewWithConfig(ctx, pc)
}

func orDefault[N int | time.Duration](n, otherwise N) N {
	if n == 0 {
		return otherwise
	}
	return n
}

// Close closes every pool and waits for connections in use.
func (db *DB) Close() {
	for _, p := range []*pgxpool.Pool{db.Commits, db.Contended, db.Claims, db.General} {
		if p != nil {
			p.Close()
		}
	}
}

// Migrate brings the schema up to date, under a session lock that several tasks respect.
func (db *DB) Migrate(ctx context.Context) (version int64, err error) {
	std := stdlib.OpenDBFromPool(db.General)
	defer std.Close()
	return migrations.Up(ctx, std, migrations.Postgres)
}

// Pending tells whether the schema is older than this binary.
func (db *DB) Pending(ctx context.Context) (bool, error) {
	std := stdlib.OpenDBFromPool(db.General)
	defer std.Close()
	return migrations.Pending(ctx, std, migrations.Postgres)
}

// Now is the database's clock, the one that deadlines are compared with.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	var now time.Time
	if err := db.Claims.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now); err != nil {
		return time.Time{}, fmt.Errorf("postgres: now: %w", err)
	}
	return now.UTC(), nil
}

// Ping tells whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.General.Ping(ctx) }
