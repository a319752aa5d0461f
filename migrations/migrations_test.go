package migrations_test

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	"weelo/internal/servertest"
	"weelo/migrations"
)

func databases(t *testing.T) map[migrations.Dialect]*sql.DB {
	t.Helper()
	open := func(driver, name string) *sql.DB {
		db, err := sql.Open(driver, name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	return map[migrations.Dialect]*sql.DB{
		migrations.Postgres: open("pgx", servertest.Postgres(t).Empty(t)),
		migrations.SQLite:   open("sqlite", "file:"+filepath.Join(t.TempDir(), "m.db")),
	}
}

// schema describes every table and index of ours, so that two schemas can be compared.
func schema(t *testing.T, db *sql.DB, dialect migrations.Dialect) []string {
	t.Helper()
	query := `SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema
		WHERE name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%' ORDER BY 1`
	if dialect == migrations.Postgres {
		query = `
		SELECT 'column ' || table_name || ' ' || ordinal_position || ' ' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(generation_expression, '')
		  FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%'
		UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE 'goose%'
		UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
		  FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE 'goose%' ORDER BY 1`
	}
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestUpDownUp(t *testing.T) {
	t.Parallel()
	for dialect, db := range databases(t) {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			version, err := migrations.Up(t.Context(), db, dialect)
			if err != nil {
				t.Fatal(err)
			}
			first := schema(t, db, dialect)
			if len(first) < 20 {
				t.Fatalf("schema has %d lines only: %q", len(first), first)
			}
			if pending, err := migrations.Pending(t.Context(), db, dialect); err != nil || pending {
				t.Errorf("pending after up: %v, %v", pending, err)
			}
			p, err := migrations.Provider(db, dialect)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.DownTo(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			if left := schema(t, db, dialect); len(left) != 0 {
				t.Errorf("down leaves %q", left)
			}
			if pending, err := migrations.Pending(t.Context(), db, dialect); err != nil || !pending {
				t.Errorf("nothing pending after down: %v, %v", pending, err)
			}
			again, err := migrations.Up(t.Context(), db, dialect)
			if err != nil || again != version {
				t.Fatalf("up again: version %d, want %d: %v", again, version, err)
			}
			if diff := cmp.Diff(first, schema(t, db, dialect)); diff != "" {
				t.Errorf("up after down makes another schema:\n%s", diff)
			}
		})
	}
}

// TestDialectsHaveTheSameFiles: a number means the same on both.
func TestDialectsHaveTheSameFiles(t *testing.T) {
	t.Parallel()
	names := func(d migrations.Dialect) []string {
		files, err := migrations.Files(d)
		if err != nil {
			t.Fatal(err)
		}
		names, err := fs.Glob(files, "*.sql")
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	if diff := cmp.Diff(names(migrations.Postgres), names(migrations.SQLite)); diff != "" {
		t.Errorf("postgres and sqlite differ:\n%s", diff)
	}
	if _, err := migrations.Files("mysql"); err == nil {
		t.Error("an unknown dialect has files")
	}
}

// TestTasksMigrateOneAtATime: tasks of one deployment start together.
func TestTasksMigrateOneAtATime(t *testing.T) {
	t.Parallel()
	url := servertest.Postgres(t).Empty(t)
	var tasks sync.WaitGroup
	for range 3 {
		tasks.Go(func() {
			db, err := sql.Open("pgx", url)
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			if _, err := migrations.Up(t.Context(), db, migrations.Postgres); err != nil {
				t.Errorf("a task that starts beside others: %v", err)
			}
		})
	}
	tasks.Wait()
}
