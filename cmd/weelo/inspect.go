package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"weelo/internal/audit"
	"weelo/internal/config"
	"weelo/internal/phone"
)

func inspectCommand() command {
	return command{
		name: "inspect", summary: "look at what is stored (read only): trips, timelines, inboxes, timers …",
		help: `
Reads DATABASE_URL, or the SQLite file of a dev folder with --dir. It cannot change anything, and may
be used while the server runs. Phones are masked.

  weelo inspect trips              live trips, newest first
  weelo inspect trip ID            one trip: its row, then every event of its history
  weelo inspect inbox USER_ID      the durable events of one person, by number
  weelo inspect timers             armed timers; what is overdue is marked
  weelo inspect outbox             messages between actors that were not delivered yet
  weelo inspect quarantine         commands that broke their actor
  weelo inspect check              hold every order and trip against docs/invariants.md; --quiet when
                                   nothing is under way: late timers and letters are breaches then too
  weelo inspect audit              follow the chain of the audit log from where it begins to its end
  weelo inspect --dir .weelo --json trips`,
		flags: func(fs *flag.FlagSet) func(context.Context, []string, surroundings) error {
			dir := fs.String("dir", "", "read the SQLite file of this dev `folder` instead of DATABASE_URL")
			asJSON := fs.Bool("json", false, "one JSON object a line")
			limit := fs.Int("limit", 100, "at most `N` lines")
			quiet := fs.Bool("quiet", false, "with check: nothing is under way")
			return func(ctx context.Context, args []string, s surroundings) error {
				if len(args) == 1 && args[0] == "check" {
					return checkStore(ctx, *dir, audit.Options{Now: time.Now(), Quiet: *quiet, Keep: *limit}, *asJSON, s)
				}
				if len(args) == 1 && args[0] == "audit" {
					return checkAuditLog(ctx, *dir, *asJSON, s)
				}
				q, params, err := question(args)
				if err != nil {
					return err
				}
				db, err := openForReading(*dir, s)
				if err != nil {
					return err
				}
				defer db.Close()
				ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
				defer cancel()
				for _, text := range q {
					if err := show(ctx, db, s.out, text, params, *limit, *asJSON); err != nil {
						return err
					}
				}
				return nil
			}
		},
	}
}

func openForReading(dir string, s surroundings) (*sql.DB, error) {
	if dir != "" {
		return sql.Open("sqlite", "file:"+filepath.Join(dir, databaseFile)+"?mode=ro&_pragma=query_only(1)&_pragma=busy_timeout(5000)")
	}
	cfg, err := config.Load(s.environ)
	if err == nil {
		err = cfg.Database()
	}
	if err != nil {
		return nil, err
	}
	url := cfg.Store.DatabaseURL.Reveal()
	sep := "?"
	if strings.Contains(url, "?") {
		sep = "&"
	}
	return sql.Open("pgx", url+sep+"default_transaction_read_only=on")
}

// question is the SQL of one subject; it is the same in both dialects.
func question(args []string) (queries []string, params []any, err error) {
	if len(args) == 0 {
		return nil, nil, usagef("say what: trips, trip ID, inbox USER, timers, outbox, quarantine, check, audit")
	}
	const tripColumns = `id, status, version, owner_epoch AS epoch, owner_node AS node, driver_id, vehicle_id, customer_id, updated_at`
	subjects := map[string]struct {
		needsID bool
		queries []string
	}{
		"trips": {false, []string{`SELECT ` + tripColumns + ` FROM trip WHERE live ORDER BY created_at DESC`}},
		"trip": {true, []string{
			`SELECT ` + tripColumns + `, state FROM trip WHERE id = $1`,
			`SELECT version, ordinal, epoch, at, type, data FROM event WHERE kind = 'trip' AND aggregate_id = $1 ORDER BY version, ordinal`,
		}},
		"inbox": {true, []string{
			`SELECT i.seq, i.at, e.type, e.id, i.kind, i.aggregate_id, e.data FROM inbox i LEFT JOIN event e
			   ON e.kind = i.kind AND e.aggregate_id = i.aggregate_id AND e.version = i.version AND e.ordinal = i.ordinal
			 WHERE i.recipient = $1 ORDER BY i.seq DESC`}},
		"timers":     {false, []string{`SELECT due, kind, aggregate_id, name, number FROM timer ORDER BY due`}},
		"outbox":     {false, []string{`SELECT due, attempts, channel, recipient, type, deadline, id FROM outbox ORDER BY due`}},
		"quarantine": {false, []string{`SELECT id, last_at, strikes, releases, released_at, discarded_at, kind, aggregate_id, command_id, message, reason FROM quarantine ORDER BY last_at DESC`}},
	}
	sub, ok := subjects[args[0]]
	switch {
	case !ok:
		return nil, nil, usagef("%q is none of trips, trip, inbox, timers, outbox, quarantine, check, audit", args[0])
	case sub.needsID && len(args) != 2:
		return nil, nil, usagef("%s needs one id", args[0])
	case !sub.needsID && len(args) != 1:
		return nil, nil, noArgs(args[1:])
	case sub.needsID:
		params = []any{args[1]}
	}
	return sub.queries, params, nil
}

// show prints the rows of a query as a table or as JSON lines.
func show(ctx context.Context, db *sql.DB, w io.Writer, query string, params []any, limit int, asJSON bool) error {
	rows, err := db.QueryContext(ctx, fmt.Sprintf("%s LIMIT %d", query, limit), params...)
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	now, n := time.Now(), 0
	for ; rows.Next(); n++ {
		values := make([]any, len(names))
		targets := make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		if asJSON {
			if err := json.NewEncoder(w).Encode(object(names, values)); err != nil {
				return err
			}
			continue
		}
		if n == 0 {
			fmt.Fprintln(table, strings.ToUpper(strings.Join(names, "\t")))
		}
		cells := make([]string, len(names))
		for i, v := range values {
			cells[i] = cell(names[i], v, now)
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if n == 0 && !asJSON {
		fmt.Fprintln(table, "(none)")
	}
	fmt.Fprint(table, map[bool]string{true: "", false: "\n"}[asJSON])
	return table.Flush()
}

// instants are the columns that hold times: timestamps on Postgres, microseconds on SQLite.
var instants = []string{"at", "due", "deadline", "updated_at", "last_at", "released_at", "discarded_at"}

func plain(name string, v any) any {
	switch x := v.(type) {
	case []byte:
		return phone.Mask(string(x))
	case string:
		return phone.Mask(x)
	case int64:
		if slices.Contains(instants, name) {
			return time.UnixMicro(x).UTC()
		}
	case time.Time:
		return x.UTC()
	}
	return v
}

func cell(name string, v any, now time.Time) string {
	switch x := plain(name, v).(type) {
	case nil:
		return "–"
	case time.Time:
		text := x.Format("2006-01-02T15:04:05.000Z")
		if name == "due" && x.Before(now) {
			text += " OVERDUE"
		}
		return text
	case string:
		return strings.ReplaceAll(x, "\n", " ")
	default:
		return fmt.Sprint(x)
	}
}

func object(names []string, values []any) map[string]any {
	o := make(map[string]any, len(names))
	for i, n := range names {
		v := plain(n, values[i])
		if text, ok := v.(string); ok && (n == "state" || n == "data") && json.Valid([]byte(text)) {
			v = json.RawMessage(text)
		}
		o[n] = v
	}
	return o
}
