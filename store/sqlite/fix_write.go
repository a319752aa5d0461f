package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"weelo/internal/fleet"
	"weelo/internal/history"
)

const (
	fixInto   = " INTO fix (driver_key, ts_ms, lat, lng, accuracy, speed, bearing, mock, received_ms) VALUES "
	fixRow    = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
	insertOne = "INSERT" + fixInto + fixRow + " ON CONFLICT DO NOTHING"

	// replaceFix is track.Better, by the order of the row values.
	replaceFix = `
UPDATE fix SET lat = ?3, lng = ?4, accuracy = ?5, speed = ?6, bearing = ?7, mock = ?8, received_ms = ?9
WHERE driver_key = ?1 AND ts_ms = ?2
  AND (CASE WHEN ?5 <= 0 THEN 1e9 ELSE ?5 END, ?3, ?4, coalesce(?6, 1e9), coalesce(?7, 1e9), ?8)
    < (CASE WHEN accuracy <= 0 THEN 1e9 ELSE accuracy END, lat, lng, coalesce(speed, 1e9), coalesce(bearing, 1e9), mock)`

	giveKey = `INSERT INTO fix_driver (driver_id) VALUES (?) ON CONFLICT DO NOTHING`
	findKey = `SELECT driver_key FROM fix_driver WHERE driver_id = ?`

	saveFixes, keepFixes, forgetSavepoint = "SAVEPOINT fixes", "RELEASE fixes", "ROLLBACK TO fixes"
)

// insertMany are the statements of many rows, largest first. A statement that could fail half-way
// would keep a copy of each page it changes; this one cannot, because it ignores what does not fit,
// and tells by its count that it did.
var insertMany = []struct {
	rows int
	text string
}{{100, insertOf(100)}, {10, insertOf(10)}}

func insertOf(rows int) string {
	return "INSERT OR IGNORE" + fixInto + strings.Repeat(fixRow+", ", rows-1) + fixRow
}

// fixWriter is one transaction of fixes.
type fixWriter struct {
	fixes *Fixes
	tx    *sql.Tx
	wary  bool                 // a savepoint around each statement of many rows
	stmts map[string]*sql.Stmt // of the database
	inTx  map[string]*sql.Stmt // those of them that the transaction uses
	args  []any                // of one statement
	// What came of it: numbers that were not remembered, and whether some fixes were there already.
	looked map[fleet.UserID]int64
	known  bool
}

func (w *fixWriter) prepare(ctx context.Context) error {
	w.stmts, w.inTx = make(map[string]*sql.Stmt), make(map[string]*sql.Stmt)
	for _, query := range []string{insertMany[0].text, insertMany[1].text, insertOne, replaceFix, giveKey, findKey, saveFixes, keepFixes, forgetSavepoint} {
		stmt, err := w.fixes.db.writing(ctx, query)
		if err != nil {
			return err
		}
		w.stmts[query] = stmt
	}
	return nil
}

func (w *fixWriter) stmt(ctx context.Context, query string) *sql.Stmt {
	if w.inTx[query] == nil {
		w.inTx[query] = w.tx.StmtContext(ctx, w.stmts[query])
	}
	return w.inTx[query]
}

func (w *fixWriter) exec(ctx context.Context, query string, args ...any) (changed int64, err error) {
	done, err := w.stmt(ctx, query).ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

// key gives a driver's number, a new one if he has none.
func (w *fixWriter) key(ctx context.Context, driver fleet.UserID) (key int64, err error) {
	if key = w.looked[driver]; key != 0 {
		return key, nil
	}
	if key = w.fixes.key(driver); key != 0 {
		return key, nil
	}
	if _, err := w.exec(ctx, giveKey, string(driver)); err != nil {
		return 0, err
	}
	if err := w.stmt(ctx, findKey).QueryRowContext(ctx, string(driver)).Scan(&key); err != nil {
		return 0, err
	}
	if w.looked == nil {
		w.looked = make(map[fleet.UserID]int64)
	}
	w.looked[driver] = key
	return key, nil
}

// write writes rows and tells which were new.
func (w *fixWriter) write(ctx context.Context, rows []history.Row, isNew []bool) error {
	for _, in := range insertMany {
		for len(rows) >= in.rows {
			if err := w.many(ctx, in.text, rows[:in.rows], isNew[:in.rows]); err != nil {
				return err
			}
			rows, isNew = rows[in.rows:], isNew[in.rows:]
		}
	}
	return w.each(ctx, rows, isNew)
}

// many writes rows with one statement. When some are known it goes back and writes row by row, or, if
// it cannot go back, answers errKnown.
func (w *fixWriter) many(ctx context.Context, insert string, rows []history.Row, isNew []bool) error {
	if err := w.bind(ctx, rows); err != nil { // before the savepoint: a number given here must stay
		return err
	}
	if w.wary {
		if _, err := w.exec(ctx, saveFixes); err != nil {
			return err
		}
	}
	changed, err := w.exec(ctx, insert, w.args...)
	if err != nil {
		return err
	}
	if changed == int64(len(rows)) {
		for i := range isNew {
			isNew[i] = true
		}
		if w.wary {
			_, err = w.exec(ctx, keepFixes)
		}
		return err
	}
	if !w.wary {
		return errKnown
	}
	if _, err := w.exec(ctx, forgetSavepoint); err != nil {
		return err
	}
	if _, err := w.exec(ctx, keepFixes); err != nil {
		return err
	}
	return w.each(ctx, rows, isNew)
}

// each writes row by row; of two fixes with one key the better one stays.
func (w *fixWriter) each(ctx context.Context, rows []history.Row, isNew []bool) error {
	for i := range rows {
		if err := w.bind(ctx, rows[i:i+1]); err != nil {
			return err
		}
		changed, err := w.exec(ctx, insertOne, w.args...)
		if err != nil {
			return err
		}
		if isNew[i] = changed == 1; isNew[i] {
			continue
		}
		w.known = true
		if _, err := w.exec(ctx, replaceFix, w.args...); err != nil {
			return err
		}
	}
	return nil
}

// bind makes the arguments of some rows.
func (w *fixWriter) bind(ctx context.Context, rows []history.Row) error {
	w.args = w.args[:0]
	var driver fleet.UserID
	var key any
	for _, r := range rows {
		if r.Driver != driver || key == nil { // his fixes mostly come together
			number, err := w.key(ctx, r.Driver)
			if err != nil {
				return err
			}
			driver, key = r.Driver, number
		}
		w.args = appendFix(w.args, key, r)
	}
	return nil
}

func appendFix(args []any, key any, r history.Row) []any {
	f := r.Fix
	var speed, bearing any
	if f.HasSpeed {
		speed = f.Speed
	}
	if f.HasBearing {
		bearing = f.Bearing
	}
	return append(args, key, f.TS, f.Lat, f.Lng, f.Accuracy, speed, bearing, f.Mock, f.ReceivedMS)
}
