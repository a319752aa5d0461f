package main

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weelo/internal/auditlog"
	"weelo/internal/config"
	"weelo/internal/servertest"
	"weelo/internal/telemetry"
	"weelo/store/postgres"
	"weelo/store/sqlite"
)

// logged are entries that were written so many days ago.
func logged(days, n int) []auditlog.Entry {
	list := make([]auditlog.Entry, n)
	for i := range list {
		list[i] = auditlog.Entry{At: time.Now().Add(-time.Duration(days) * 24 * time.Hour).Truncate(time.Microsecond), Actor: "o1", Action: auditlog.OpsRead, Details: "{}"}
	}
	return list
}

// TestUpkeepPrunesTheAuditLog: what is older than AUDIT_KEEP_DAYS goes, and nothing else.
func TestUpkeepPrunesTheAuditLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		keep string
		want int64 // the last row that goes
	}{{"AUDIT_KEEP_DAYS=500", 4}, {"AUDIT_KEEP_DAYS=", 7}, {"AUDIT_KEEP_DAYS=520", 0}} {
		cfg, err := config.Load([]string{c.keep})
		if err != nil {
			t.Fatal(err)
		}
		p := &process{cfg: cfg, log: slog.New(slog.DiscardHandler), metrics: telemetry.NewMetrics("test"), ready: newReadiness("test")}
		st, err := embedded(t.Context(), p, filepath.Join(t.TempDir(), databaseFile))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.shut(context.Background()) })
		for _, rows := range [][]auditlog.Entry{logged(510, 4), logged(490, 3), logged(399, 2)} {
			if err := st.log.Append(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
		}
		u := &upkeep{p, st}
		u.pass(t.Context(), time.Now())
		u.pass(t.Context(), time.Now()) // what went is gone
		if span, err := auditlog.Check(t.Context(), st.log); err != nil || span.Base.Seq != c.want {
			t.Errorf("%s: the log reaches over %+v: %v", c.keep, span, err)
		}
		told, err := st.log.Rows(t.Context(), auditlog.Query{Action: auditlog.LogPruned, Limit: 10})
		if err != nil || (len(told) == 1) != (c.want > 0) {
			t.Errorf("%s: it is written as %+v: %v", c.keep, told, err)
		}
	}
}

// TestUpkeepFindsTampering: it says so, removes nothing, and goes on with everything else.
func TestUpkeepFindsTampering(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	p := &process{cfg: cfg, log: slog.New(slog.NewTextHandler(&said, nil)), metrics: telemetry.NewMetrics("test"), ready: newReadiness("test")}
	file := filepath.Join(t.TempDir(), databaseFile)
	st, err := embedded(t.Context(), p, file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.shut(context.Background()) })
	if err := st.log.Append(t.Context(), logged(500, 4)); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Write.ExecContext(t.Context(), `DROP TRIGGER audit_log_changes_none; UPDATE audit_log SET actor = 'o2' WHERE seq = 2`); err != nil {
		t.Fatal(err)
	}
	(&upkeep{p, st}).pass(t.Context(), time.Now())
	if !strings.Contains(said.String(), `level=ERROR msg="the audit log was tampered with`) || !strings.Contains(said.String(), "row=2") {
		t.Errorf("it said %s", said.String())
	}
	if rows, err := st.log.Chain(t.Context(), 0, 10); err != nil || len(rows) != 4 {
		t.Errorf("%d rows are left: %v", len(rows), err)
	}
}

// TestInspectFollowsTheAuditLog of both kinds of stores, as it is and as somebody left it who had no business there.
func TestInspectFollowsTheAuditLog(t *testing.T) {
	t.Parallel()
	dir, url := t.TempDir(), servertest.Database(t)
	file, err := sqlite.Open(t.Context(), filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if _, err := file.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	for name, c := range map[string]struct {
		environ, flags []string
		log            auditlog.Store
		harm           func() error
	}{
		"sqlite": {nil, []string{"--dir", dir}, sqlite.NewAuditLog(file), func() error {
			_, err := file.Write.ExecContext(t.Context(), `DROP TRIGGER audit_log_changes_none; UPDATE audit_log SET actor = 'o2' WHERE seq = 6`)
			return err
		}},
		"postgres": {[]string{"DATABASE_URL=" + url}, nil, postgres.NewAuditLog(db), func() error {
			_, err := db.General.Exec(t.Context(), `ALTER TABLE audit_log DISABLE TRIGGER ALL; UPDATE audit_log SET actor = 'o2' WHERE seq = 6`)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, rows := range [][]auditlog.Entry{logged(500, 4), logged(10, 3)} {
				if err := c.log.Append(t.Context(), rows); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := auditlog.Prune(t.Context(), c.log, auditlog.DefaultKeep, time.Now()); err != nil {
				t.Fatal(err)
			}
			says := func(code int, flag, want string) {
				t.Helper()
				args := append([]string{"inspect"}, c.flags...)
				if flag != "" {
					args = append(args, flag)
				}
				got, out, errs := call(t, c.environ, append(args, "audit")...)
				if got != code || !strings.Contains(out, want) || (code != 0) != strings.Contains(errs, "tampered") {
					t.Errorf("code %d, want %d with %q: %s%s", got, code, want, out, errs)
				}
			}
			says(0, "", "rows up to 4 were removed after their time\n4 rows hold together; the last is 8 with hash ")
			says(0, "--json", `{"pruned":4,"last":8,"hash":"`)
			if err := c.harm(); err != nil {
				t.Fatal(err)
			}
			says(1, "", "row 6 does not have the hash of what it says")
			says(1, "--json", `"broken":6`)
		})
	}
}
