package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"time"

	_ "modernc.org/sqlite" // the database/sql driver

	"weelo/migrations"
)

// Memory as a path gives a database that lives as long as its *DB, for tests.
const Memory = ":memory:"

// readers is how many connections read beside the writer.
const readers = 4

// DB is the database: one connection that writes and a pool that reads committed rows. On Memory
// both are the same single connection, so rows must be closed before the next statement.
type DB struct {
	Write *sql.DB
	Read  *sql.DB

	writes, reads prepared
}

// Open opens or creates the file. It does not migrate: see Migrate.
func Open(ctx context.Context, path string) (*DB, error) {
	write, err := open(ctx, path, "_txlock=immediate", 1)
	if err != nil {
		return nil, err
	}
	if path == Memory {
		return &DB{Write: write, Read: write}, nil
	}
	read, err := open(ctx, path, "_pragma=query_only(1)", readers)
	if err != nil {
		_ = write.Close()
		return nil, err
	}
	return &DB{Write: write, Read: read}, nil
}

func open(ctx context.Context, path, option string, conns int) (*sql.DB, error) {
	name := path
	if path != Memory {
		name = "file:" + (&url.URL{Path: path}).EscapedPath()
	}
	// The order matters: the wait for locks must be set before the switch to WAL needs one. What a
	// savepoint may have to take back is kept in memory: as a temporary file it was a quarter of a
	// flush. A checkpoint every 2,000 pages (8 MB) writes the pages of a moving fleet half as often as
	// one every 1,000 does.
	name += "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)" +
		"&_pragma=temp_store(MEMORY)&_pragma=cache_size(-16000)&_pragma=wal_autocheckpoint(2000)&" + option
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns) // an idle connection of a memory database is the database
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	return db, nil
}

// Close closes the database. It waits for a write that is under way.
func (db *DB) Close() error {
	if db.Read != db.Write {
		_ = db.Read.Close()
	}
	return db.Write.Close()
}

// Migrate brings the schema up to date.
func (db *DB) Migrate(ctx context.Context) (version int64, err error) {
	return migrations.Up(ctx, db.Write, migrations.SQLite)
}

// Pending tells whether the schema is older than this binary.
func (db *DB) Pending(ctx context.Context) (bool, error) {
	return migrations.Pending(ctx, db.Write, migrations.SQLite)
}

// Now is this process's clock: there is no other on an embedded database.
func (db *DB) Now(context.Context) (time.Time, error) { return time.Now().UTC(), nil }

// Ping tells whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.Write.PingContext(ctx) }

// micros and instant are how times are stored.
func micros(t time.Time) int64 { return t.UnixMicro() }

func instant(us int64) time.Time { return time.UnixMicro(us).UTC() }

// optional stores a zero time as NULL.
func optional(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return micros(t)
}
