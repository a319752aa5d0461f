package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/track"
)

// Fixes keeps the fixes of every driver, on the one writer.
type Fixes struct{ db *DB }

var _ history.Store = (*Fixes)(nil)

// NewFixes makes one.
func NewFixes(db *DB) *Fixes { return &Fixes{db: db} }

const (
	insertHead = "INSERT INTO fix (driver_id, ts_ms, lat, lng, accuracy, speed, bearing, mock, received_ms) VALUES "
	insertTail = " ON CONFLICT (driver_id, ts_ms) DO NOTHING"
	insertRow  = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
	insertFix  = insertHead + insertRow + insertTail
	// insertMany is how many rows go into one statement: half the time of one each is the call.
	insertMany = 32
)

var insertFixes = insertHead + strings.Repeat(insertRow+", ", insertMany-1) + insertRow + insertTail

// replaceFix is track.Better, by the order of the row values.
const replaceFix = `
UPDATE fix SET lat = ?3, lng = ?4, accuracy = ?5, speed = ?6, bearing = ?7, mock = ?8, received_ms = ?9
WHERE driver_id = ?1 AND ts_ms = ?2
  AND (CASE WHEN ?5 <= 0 THEN 1e9 ELSE ?5 END, ?3, ?4, coalesce(?6, 1e9), coalesce(?7, 1e9), ?8)
    < (CASE WHEN accuracy <= 0 THEN 1e9 ELSE accuracy END, lat, lng, coalesce(speed, 1e9), coalesce(bearing, 1e9), mock)`

// Save stores the rows in one transaction.
func (s *Fixes) Save(ctx context.Context, rows []history.Row) (isNew []bool, err error) {
	isNew = make([]bool, len(rows))
	if len(rows) == 0 {
		return isNew, nil
	}
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("save fixes: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	// The driver starts a goroutine for each statement that could be interrupted. The transaction as a
	// whole still ends with ctx, between two statements.
	if err := saveFixes(context.WithoutCancel(ctx), tx, rows, isNew); err != nil {
		return nil, fmt.Errorf("save fixes: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("save fixes: commit: %w", err)
	}
	return isNew, nil
}

// saveFixes writes many rows at a time as long as all of them are new, which they mostly are; a
// group with one that is not is taken back and written row by row.
func saveFixes(ctx context.Context, tx *sql.Tx, rows []history.Row, isNew []bool) error {
	w := fixWriter{tx: tx}
	defer w.close()
	for len(rows) >= insertMany {
		if err := w.group(ctx, rows[:insertMany], isNew[:insertMany]); err != nil {
			return err
		}
		rows, isNew = rows[insertMany:], isNew[insertMany:]
	}
	return w.each(ctx, rows, isNew)
}

// fixWriter prepares the statements that a transaction needs.
type fixWriter struct {
	tx                       *sql.Tx
	insert, inserts, replace *sql.Stmt
}

func (w *fixWriter) close() {
	for _, stmt := range []*sql.Stmt{w.insert, w.inserts, w.replace} {
		if stmt != nil {
			_ = stmt.Close()
		}
	}
}

func (w *fixWriter) exec(ctx context.Context, stmt **sql.Stmt, query string, args []any) (changed int64, err error) {
	if *stmt == nil {
		if *stmt, err = w.tx.PrepareContext(ctx, query); err != nil {
			return 0, err
		}
	}
	done, err := (*stmt).ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

// group writes insertMany rows with one statement, or row by row.
func (w *fixWriter) group(ctx context.Context, rows []history.Row, isNew []bool) error {
	if _, err := w.tx.ExecContext(ctx, "SAVEPOINT fixes"); err != nil {
		return err
	}
	args := make([]any, 0, insertMany*9)
	for _, r := range rows {
		args = appendFix(args, r)
	}
	changed, err := w.exec(ctx, &w.inserts, insertFixes, args)
	if err != nil {
		return err
	}
	if changed == insertMany {
		for i := range isNew {
			isNew[i] = true
		}
		_, err = w.tx.ExecContext(ctx, "RELEASE fixes")
		return err
	}
	if _, err := w.tx.ExecContext(ctx, "ROLLBACK TO fixes"); err != nil {
		return err
	}
	if _, err := w.tx.ExecContext(ctx, "RELEASE fixes"); err != nil {
		return err
	}
	return w.each(ctx, rows, isNew)
}

// each writes row by row.
func (w *fixWriter) each(ctx context.Context, rows []history.Row, isNew []bool) error {
	for i, r := range rows {
		args := appendFix(make([]any, 0, 9), r)
		changed, err := w.exec(ctx, &w.insert, insertFix, args)
		if err != nil {
			return err
		}
		if isNew[i] = changed == 1; isNew[i] {
			continue
		}
		if _, err := w.exec(ctx, &w.replace, replaceFix, args); err != nil {
			return err
		}
	}
	return nil
}

func appendFix(args []any, r history.Row) []any {
	f := r.Fix
	var speed, bearing any
	if f.HasSpeed {
		speed = f.Speed
	}
	if f.HasBearing {
		bearing = f.Bearing
	}
	return append(args, string(r.Driver), f.TS, f.Lat, f.Lng, f.Accuracy, speed, bearing, f.Mock, f.ReceivedMS)
}

const fixColumns = `ts_ms, received_ms, lat, lng, accuracy, speed, bearing, mock`

// Fixes gives a span of one driver's fixes, by time.
func (s *Fixes) Fixes(ctx context.Context, driver fleet.UserID, after, to int64, limit int) ([]track.Fix, error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT `+fixColumns+` FROM fix
		WHERE driver_id = ? AND ts_ms > ? AND ts_ms <= ? ORDER BY ts_ms LIMIT ?`, string(driver), after, to, limit)
	if err != nil {
		return nil, fmt.Errorf("read fixes: %w", err)
	}
	defer rows.Close()
	var fixes []track.Fix
	for rows.Next() {
		f, err := scanFix(rows)
		if err != nil {
			return nil, fmt.Errorf("read fixes: %w", err)
		}
		fixes = append(fixes, f)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read fixes: %w", err)
	}
	return fixes, nil
}

// Newest gives the newest fix inside each window.
func (s *Fixes) Newest(ctx context.Context, ws []history.Window) ([]track.Fix, error) {
	newest := make([]track.Fix, len(ws))
	for i, w := range ws {
		if w.Driver == "" {
			continue
		}
		f, err := scanFix(s.db.Read.QueryRowContext(ctx, `SELECT `+fixColumns+` FROM fix
			WHERE driver_id = ? AND ts_ms BETWEEN ? AND ? AND NOT mock ORDER BY ts_ms DESC LIMIT 1`, string(w.Driver), w.From, w.To))
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("newest fixes: %w", err)
		}
		newest[i] = f
	}
	return newest, nil
}

// forgetFixes steps from driver to driver by the key and looks at the old end of each. A fix that was
// received before ?1 has a ts below it, but for the 30 s that a phone's clock may be ahead.
const forgetFixes = `
WITH RECURSIVE driver (id) AS (
	SELECT min(driver_id) FROM fix
	UNION ALL
	SELECT (SELECT min(driver_id) FROM fix WHERE driver_id > driver.id) FROM driver WHERE driver.id IS NOT NULL
)
DELETE FROM fix WHERE (driver_id, ts_ms) IN (
	SELECT f.driver_id, f.ts_ms FROM driver JOIN fix f ON f.driver_id = driver.id AND f.ts_ms < ?1 + ?3
	WHERE f.received_ms < ?1 LIMIT ?2)`

// Forget removes old fixes.
func (s *Fixes) Forget(ctx context.Context, before int64, limit int) (int, error) {
	done, err := s.db.Write.ExecContext(ctx, forgetFixes, before, limit, track.MaxAhead.Milliseconds())
	if err != nil {
		return 0, fmt.Errorf("forget fixes: %w", err)
	}
	n, err := done.RowsAffected()
	return int(n), err
}

type scanner interface{ Scan(...any) error }

func scanFix(row scanner) (track.Fix, error) {
	var f track.Fix
	var speed, bearing sql.NullFloat64
	err := row.Scan(&f.TS, &f.ReceivedMS, &f.Lat, &f.Lng, &f.Accuracy, &speed, &bearing, &f.Mock)
	f.Speed, f.HasSpeed = speed.Float64, speed.Valid
	f.Bearing, f.HasBearing = bearing.Float64, bearing.Valid
	return f, err
}
