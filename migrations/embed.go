// Package migrations holds the schema of both durable stores, embedded in the binary, one numbered
// file per owner and dialect. The same number means the same thing in both dialects.
//
// Invariant: every file goes up, down and up again (migrations_test.go). On Postgres only one task
// at a time migrates: the others wait on a session lock and then find nothing to do.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed postgres/*.sql
var postgresFiles embed.FS

//go:embed sqlite/*.sql
var sqliteFiles embed.FS

// Dialect chooses the files and how their progress is kept.
type Dialect = goose.Dialect

// The two durable stores.
const (
	Postgres Dialect = goose.DialectPostgres
	SQLite   Dialect = goose.DialectSQLite3
)

// Files gives the SQL files of a dialect, without a folder in their names.
func Files(dialect Dialect) (fs.FS, error) {
	switch dialect {
	case Postgres:
		return fs.Sub(postgresFiles, "postgres")
	case SQLite:
		return fs.Sub(sqliteFiles, "sqlite")
	default:
		return nil, fmt.Errorf("migrations: no files for dialect %q", dialect)
	}
}

// Provider is goose over the embedded files of a dialect. db stays the caller's to close.
func Provider(db *sql.DB, dialect Dialect) (*goose.Provider, error) {
	files, err := Files(dialect)
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if dialect == Postgres {
		// A task that starts while another migrates polls each second for at most 60 s.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
		if err != nil {
			return nil, fmt.Errorf("migrations: session lock: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(dialect, db, files, options...)
}

// Up brings db to the newest schema and tells its version. Nothing to do is no error.
func Up(ctx context.Context, db *sql.DB, dialect Dialect) (version int64, err error) {
	p, err := Provider(db, dialect)
	if err != nil {
		return 0, err
	}
	if _, err := p.Up(ctx); err != nil {
		return 0, fmt.Errorf("migrate up: %w", err)
	}
	return p.GetDBVersion(ctx)
}

// Pending tells whether db is older than the embedded files: a binary told not to migrate refuses
// to start on such a schema.
func Pending(ctx context.Context, db *sql.DB, dialect Dialect) (bool, error) {
	p, err := Provider(db, dialect)
	if err != nil {
		return false, err
	}
	return p.HasPending(ctx)
}
