package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/track"
)

// Fixes keeps the fixes of every driver. It writes on the general pool, never on a writer's.
type Fixes struct{ db *DB }

var _ history.Store = (*Fixes)(nil)

// NewFixes makes one.
func NewFixes(db *DB) *Fixes { return &Fixes{db: db} }

// saveFixes inserts new rows and replaces worse ones (track.Better, by the order of the row
// constructor), set-based. A row that was there and stays is not returned. Keys must not repeat.
// xmax is 0 on a row that this statement inserted and set on one it updated.
const saveFixes = `
INSERT INTO fix AS f (driver_id, ts_ms, lat, lng, accuracy, speed, bearing, mock, received_ms)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::float8[], $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::boolean[], $9::bigint[])
ON CONFLICT (driver_id, ts_ms) DO UPDATE
SET lat = excluded.lat, lng = excluded.lng, accuracy = excluded.accuracy, speed = excluded.speed,
    bearing = excluded.bearing, mock = excluded.mock, received_ms = excluded.received_ms
WHERE (CASE WHEN excluded.accuracy <= 0 THEN 1e9 ELSE excluded.accuracy END, excluded.lat, excluded.lng,
       coalesce(excluded.speed, 1e9), coalesce(excluded.bearing, 1e9), excluded.mock)
    < (CASE WHEN f.accuracy <= 0 THEN 1e9 ELSE f.accuracy END, f.lat, f.lng,
       coalesce(f.speed, 1e9), coalesce(f.bearing, 1e9), f.mock)
RETURNING f.driver_id::text, f.ts_ms, (f.xmax = 0) AS is_new`

type fixKey struct {
	driver fleet.UserID
	ts     int64
}

// Save stores the rows in one statement, which is one transaction. Two tasks that save the same keys
// lock them in the same order, because the rows go in sorted.
func (s *Fixes) Save(ctx context.Context, rows []history.Row) ([]bool, error) {
	isNew := make([]bool, len(rows))
	if len(rows) == 0 {
		return isNew, nil
	}
	best, first := distinct(rows)
	n := len(best)
	drivers, ts, received := make([]string, n), make([]int64, n), make([]int64, n)
	lat, lng, accuracy := make([]float64, n), make([]float64, n), make([]float64, n)
	speed, bearing, mock := make([]*float64, n), make([]*float64, n), make([]bool, n)
	for i, r := range best {
		f := r.Fix
		drivers[i], ts[i], received[i] = string(r.Driver), f.TS, f.ReceivedMS
		lat[i], lng[i], accuracy[i], mock[i] = f.Lat, f.Lng, f.Accuracy, f.Mock
		if f.HasSpeed {
			speed[i] = &f.Speed
		}
		if f.HasBearing {
			bearing[i] = &f.Bearing
		}
	}
	found, err := s.db.General.Query(ctx, saveFixes, drivers, ts, lat, lng, accuracy, speed, bearing, mock, received)
	if err != nil {
		return nil, fmt.Errorf("save fixes: %w", err)
	}
	var driver string
	var at int64
	var inserted bool
	_, err = pgx.ForEachRow(found, []any{&driver, &at, &inserted}, func() error {
		isNew[first[fixKey{fleet.UserID(driver), at}]] = inserted
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("save fixes: %w", err)
	}
	return isNew, nil
}

// distinct gives the better row of each key, sorted by key, and the index at which each key first
// appears in rows.
func distinct(rows []history.Row) (best []history.Row, first map[fixKey]int) {
	first = make(map[fixKey]int, len(rows))
	at := make(map[fixKey]int, len(rows))
	for i, r := range rows {
		key := fixKey{r.Driver, r.Fix.TS}
		k, known := at[key]
		switch {
		case !known:
			first[key], at[key] = i, len(best)
			best = append(best, r)
		case track.Better(r.Fix, best[k].Fix):
			best[k] = r
		}
	}
	slices.SortFunc(best, func(a, b history.Row) int {
		return cmp.Or(cmp.Compare(a.Driver, b.Driver), cmp.Compare(a.Fix.TS, b.Fix.TS))
	})
	return best, first
}

const fixColumns = `ts_ms, received_ms, lat, lng, accuracy, speed, bearing, mock`

// Fixes gives a span of one driver's fixes, by time.
func (s *Fixes) Fixes(ctx context.Context, driver fleet.UserID, after, to int64, limit int) ([]track.Fix, error) {
	rows, err := s.db.General.Query(ctx, `SELECT `+fixColumns+` FROM fix
		WHERE driver_id = $1::uuid AND ts_ms > $2 AND ts_ms <= $3 ORDER BY ts_ms LIMIT $4`, string(driver), after, to, limit)
	if err != nil {
		return nil, fmt.Errorf("read fixes: %w", err)
	}
	fixes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (track.Fix, error) { return scanFix(row) })
	if err != nil {
		return nil, fmt.Errorf("read fixes: %w", err)
	}
	return fixes, nil
}

// Newest gives the newest fixes inside each window.
func (s *Fixes) Newest(ctx context.Context, ws []history.Window, each int) ([][]track.Fix, error) {
	newest := make([][]track.Fix, len(ws))
	if len(ws) == 0 {
		return newest, nil
	}
	drivers, from, to := make([]string, len(ws)), make([]int64, len(ws)), make([]int64, len(ws))
	for i, w := range ws {
		drivers[i], from[i], to[i] = string(w.Driver), w.From, w.To
	}
	rows, err := s.db.General.Query(ctx, `
		SELECT w.at, f.* FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS w (driver, from_ms, to_ms, at)
		CROSS JOIN LATERAL (SELECT `+fixColumns+` FROM fix
			WHERE w.driver <> '' AND driver_id = nullif(w.driver, '')::uuid AND ts_ms BETWEEN w.from_ms AND w.to_ms AND NOT mock
			ORDER BY ts_ms DESC LIMIT $4) f`, drivers, from, to, each)
	if err != nil {
		return nil, fmt.Errorf("newest fixes: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var at int64
		f, err := scanFix(rows, &at)
		if err != nil {
			return nil, fmt.Errorf("newest fixes: %w", err)
		}
		newest[at-1] = append(newest[at-1], f)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("newest fixes: %w", err)
	}
	for _, fixes := range newest { // a join keeps no order
		slices.SortFunc(fixes, func(a, b track.Fix) int { return cmp.Compare(a.TS, b.TS) })
	}
	return newest, nil
}

// Forget removes old fixes.
func (s *Fixes) Forget(ctx context.Context, before int64, limit int) (int, error) {
	tag, err := s.db.General.Exec(ctx, `DELETE FROM fix WHERE ctid = ANY (ARRAY(
		SELECT ctid FROM fix WHERE received_ms < $1 LIMIT $2))`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("forget fixes: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// scanFix reads fixColumns, after any columns before them.
func scanFix(row pgx.Row, before ...any) (track.Fix, error) {
	var f track.Fix
	var speed, bearing *float64
	err := row.Scan(append(before, &f.TS, &f.ReceivedMS, &f.Lat, &f.Lng, &f.Accuracy, &speed, &bearing, &f.Mock)...)
	if speed != nil {
		f.Speed, f.HasSpeed = *speed, true
	}
	if bearing != nil {
		f.Bearing, f.HasBearing = *bearing, true
	}
	return f, err
}
