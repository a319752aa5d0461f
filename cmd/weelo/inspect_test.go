package main

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weelo/internal/servertest"
)

// seedRows puts one trip with its history, a timer, a message and a strike into a database. Times are
// given as the dialect stores them.
func seedRows(t *testing.T, db *sql.DB, at, overdue any) {
	t.Helper()
	for _, s := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO trip (id, version, state, created_at, updated_at) VALUES ('t1', 2, $1, $2, $2)`,
			[]any{`{"id":"t1", "status":"in_transit","live":true,"driverId":"d1","names":{"driverPhone":"9876543210"}}`, at}},
		{`INSERT INTO event (kind, aggregate_id, version, ordinal, epoch, id, type, payload_version, at, data) VALUES ('trip', 't1', 2, 0, 1, 'e1', 'trip_status', 1, $1, $2)`,
			[]any{at, `{"status":"in_transit"}`}},
		{`INSERT INTO inbox (recipient, seq, kind, aggregate_id, version, ordinal, at) VALUES ('c1', 7, 'trip', 't1', 2, 0, $1)`, []any{at}},
		{`INSERT INTO timer (kind, aggregate_id, name, due, number) VALUES ('trip', 't1', 'silence', $1, 3)`, []any{overdue}},
		{`INSERT INTO outbox (id, channel, recipient, type, body, due, kind, aggregate_id, version) VALUES ('m1', 'actor', 'order/o1', 'DriverAccepted', '{}', $1, 'trip', 't1', 2)`, []any{at}},
		{`INSERT INTO quarantine (kind, aggregate_id, command_id, strikes, reason, first_at, last_at) VALUES ('trip', 't1', 'k1', 3, 'panic', $1, $1)`, []any{at}},
	} {
		if _, err := db.ExecContext(t.Context(), s.sql, s.args...); err != nil {
			t.Fatalf("%s: %v", s.sql, err)
		}
	}
}

func TestInspectShowsWhatIsStored(t *testing.T) {
	t.Parallel()
	now := time.Now()
	at, overdue := now.Add(time.Hour), now.Add(-time.Hour)

	dir := t.TempDir()
	if code, _, errs := call(t, nil, "migrate", "--dir", dir); code != 0 {
		t.Fatal(errs)
	}
	file, err := sql.Open("sqlite", filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	seedRows(t, file, at.UnixMicro(), overdue.UnixMicro())

	url := servertest.Database(t)
	pg, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Close() })
	seedRows(t, pg, at, overdue)

	for name, from := range map[string]struct{ environ, flags []string }{
		"sqlite":   {nil, []string{"--dir", dir}},
		"postgres": {[]string{"DATABASE_URL=" + url}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, tt := range []struct {
				args []string
				want []string
			}{
				{[]string{"trips"}, []string{"STATUS", "t1", "in_transit", "d1"}},
				{[]string{"trip", "t1"}, []string{"+91******3210", "trip_status", "EPOCH"}},
				{[]string{"trip", "other"}, []string{"(none)"}},
				{[]string{"inbox", "c1"}, []string{"7", "trip_status"}},
				{[]string{"timers"}, []string{"silence", "OVERDUE"}},
				{[]string{"outbox"}, []string{"order/o1", "DriverAccepted"}},
				{[]string{"quarantine"}, []string{"k1", "panic"}},
			} {
				code, out, errs := call(t, from.environ, append(append([]string{"inspect"}, from.flags...), tt.args...)...)
				for _, w := range tt.want {
					if code != 0 || !strings.Contains(out, w) {
						t.Errorf("inspect %v has no %q: %d\n%s%s", tt.args, w, code, out, errs)
					}
				}
				if strings.Contains(out, "9876543210") {
					t.Errorf("inspect %v shows a phone", tt.args)
				}
			}
			code, out, errs := call(t, from.environ, append(append([]string{"inspect", "--json"}, from.flags...), "trip", "t1")...)
			if code != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(out, `"status":"in_transit"`) {
				t.Errorf("as JSON: %d %s%s", code, out, errs)
			}
			for _, args := range [][]string{{"inspect"}, {"inspect", "trip"}, {"inspect", "trips", "x"}, {"inspect", "weather"}} {
				if code, _, _ := call(t, from.environ, args...); code != 2 {
					t.Errorf("weelo %v: %d", args, code)
				}
			}
		})
	}
}
