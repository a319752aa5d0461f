package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/track"
)

const fixColumns = `ts_ms, received_ms, lat, lng, accuracy, speed, bearing, mock`

const ofDriver = `driver_key = (SELECT driver_key FROM fix_driver WHERE driver_id = ?)`

const (
	fixesBetween = `SELECT ` + fixColumns + ` FROM fix WHERE ` + ofDriver + ` AND ts_ms > ? AND ts_ms <= ? ORDER BY ts_ms LIMIT ?`
	newestFixes  = `SELECT ` + fixColumns + ` FROM fix WHERE ` + ofDriver + ` AND ts_ms BETWEEN ? AND ? AND NOT mock ORDER BY ts_ms DESC LIMIT ?`

	// forgetFixes goes from driver to driver and looks at the old end of each. A fix that was received
	// before ?1 has a ts below it, but for the 30 s that a phone's clock may be ahead.
	forgetFixes = `
DELETE FROM fix WHERE (driver_key, ts_ms) IN (
	SELECT f.driver_key, f.ts_ms FROM fix_driver d JOIN fix f ON f.driver_key = d.driver_key AND f.ts_ms < ?1 + ?3
	WHERE f.received_ms < ?1 LIMIT ?2)`
)

// Fixes gives a span of one driver's fixes, by time.
func (s *Fixes) Fixes(ctx context.Context, driver fleet.UserID, after, to int64, limit int) ([]track.Fix, error) {
	stmt, err := s.db.reading(ctx, fixesBetween)
	if err != nil {
		return nil, fmt.Errorf("read fixes: %w", err)
	}
	fixes, err := collectFixes(stmt.QueryContext(ctx, string(driver), after, to, limit))
	if err != nil {
		return nil, fmt.Errorf("read fixes: %w", err)
	}
	return fixes, nil
}

// Newest gives the newest fixes inside each window.
func (s *Fixes) Newest(ctx context.Context, ws []history.Window, each int) ([][]track.Fix, error) {
	newest := make([][]track.Fix, len(ws))
	stmt, err := s.db.reading(ctx, newestFixes)
	if err != nil {
		return nil, fmt.Errorf("newest fixes: %w", err)
	}
	for i, w := range ws {
		if w.Driver == "" {
			continue
		}
		fixes, err := collectFixes(stmt.QueryContext(ctx, string(w.Driver), w.From, w.To, each))
		if err != nil {
			return nil, fmt.Errorf("newest fixes: %w", err)
		}
		slices.Reverse(fixes)
		newest[i] = fixes
	}
	return newest, nil
}

// Forget removes old fixes.
func (s *Fixes) Forget(ctx context.Context, before int64, limit int) (int, error) {
	done, err := s.db.Write.ExecContext(ctx, forgetFixes, before, limit, track.MaxAhead.Milliseconds())
	if err != nil {
		return 0, fmt.Errorf("forget fixes: %w", err)
	}
	n, err := done.RowsAffected()
	return int(n), err
}

// collectFixes takes what a query answered.
func collectFixes(rows *sql.Rows, err error) ([]track.Fix, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var fixes []track.Fix
	for rows.Next() {
		f, err := scanFix(rows)
		if err != nil {
			return nil, err
		}
		fixes = append(fixes, f)
	}
	return fixes, rows.Err()
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
