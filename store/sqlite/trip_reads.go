package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"weelo/internal/access"
	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/trip"
)

// TripReads reads committed trips for people and for the recorder of fixes. It never writes: trips
// are written through the ledger only.
type TripReads struct{ db *DB }

var (
	_ access.Trips    = (*TripReads)(nil)
	_ history.Windows = (*TripReads)(nil)
)

// NewTripReads makes one.
func NewTripReads(db *DB) *TripReads { return &TripReads{db: db} }

// Trip gives one trip.
func (r *TripReads) Trip(ctx context.Context, id string) (access.Row, error) {
	row, err := scanTrip(r.db.Read.QueryRowContext(ctx, `SELECT version, state FROM trip WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return access.Row{}, access.ErrNoTrip
	}
	if err != nil {
		return access.Row{}, fmt.Errorf("read trip %s: %w", id, err)
	}
	return row, nil
}

// ByID gives those of the trips that there are.
func (r *TripReads) ByID(ctx context.Context, ids []string) ([]access.Row, error) {
	list, err := json.Marshal(append([]string{}, ids...))
	if err != nil {
		return nil, fmt.Errorf("trips by id: %w", err)
	}
	return r.collect(ctx, `SELECT version, state FROM trip WHERE id IN (SELECT value FROM json_each(?))`, string(list))
}

// Live gives live trips, newest first.
func (r *TripReads) Live(ctx context.Context, by access.By, limit int) ([]access.Row, error) {
	var where string
	var key any
	switch {
	case by.Driver != "":
		where, key = `driver_id = ?`, string(by.Driver)
	case by.Transporter != "":
		where, key = `transporter_id = ?`, string(by.Transporter)
	case by.Customer != "":
		where, key = `customer_id = ?`, string(by.Customer)
	case by.Order != "":
		where, key = `order_id = ?`, by.Order
	case by.Everybody:
		where, key = `?`, true
	default:
		return nil, nil
	}
	return r.collect(ctx, `SELECT version, state FROM trip WHERE live AND `+where+` ORDER BY created_at DESC, id LIMIT ?`, key, limit)
}

// OfDriver gives a page of the trips that a driver has driven for a fleet, newest first.
func (r *TripReads) OfDriver(ctx context.Context, driver fleet.Member, statuses []trip.Status, offset, limit int) ([]access.Row, int, error) {
	names, err := json.Marshal(append([]trip.Status{}, statuses...))
	if err != nil {
		return nil, 0, fmt.Errorf("trips of driver: %w", err)
	}
	const where = ` FROM trip WHERE driver_id = ?1 AND transporter_id = ?3 AND (json_array_length(?2) = 0 OR status IN (SELECT value FROM json_each(?2)))`
	var total int
	if err := r.db.Read.QueryRowContext(ctx, `SELECT count(*)`+where, string(driver.Driver), string(names), string(driver.Fleet)).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count trips of driver: %w", err)
	}
	page, err := r.collect(ctx, `SELECT version, state`+where+` ORDER BY created_at DESC, id LIMIT ?5 OFFSET ?4`,
		string(driver.Driver), string(names), string(driver.Fleet), offset, limit)
	return page, total, err
}

// askedWindows is one statement for all: each of its own would take and give back the read lock.
const askedWindows = `
WITH ask AS (SELECT key AS at, value ->> 0 AS driver, value ->> 1 AS fleet, value ->> 2 AS trip FROM json_each(?))
SELECT ask.at, t.id, t.state ->> 'acceptedAt', coalesce(t.state ->> 'endedAt', 0)
FROM ask JOIN trip t ON t.id = (
	SELECT id FROM trip
	WHERE driver_id = ask.driver AND transporter_id = ask.fleet AND (ask.trip = '' OR id = ask.trip) AND state ->> 'acceptedAt' IS NOT NULL
	ORDER BY created_at DESC LIMIT 1)`

// Windows gives the span of each asked trip. A driver's newest accepted trip is his live one if he
// has one: while one lives he is given no other.
func (r *TripReads) Windows(ctx context.Context, asks []history.Ask) ([]history.Window, error) {
	ws := make([]history.Window, len(asks))
	if len(asks) == 0 {
		return ws, nil
	}
	named := make([][3]string, len(asks))
	for i, a := range asks {
		named[i] = [3]string{string(a.Driver), string(a.Fleet), a.TripID}
	}
	list, err := json.Marshal(named)
	if err != nil {
		return nil, fmt.Errorf("trip windows: %w", err)
	}
	stmt, err := r.db.reading(ctx, askedWindows)
	if err != nil {
		return nil, fmt.Errorf("trip windows: %w", err)
	}
	rows, err := stmt.QueryContext(ctx, string(list))
	if err != nil {
		return nil, fmt.Errorf("trip windows: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var at int
		var ended int64
		w := history.Window{To: math.MaxInt64}
		if err := rows.Scan(&at, &w.TripID, &w.From, &ended); err != nil {
			return nil, fmt.Errorf("trip windows: %w", err)
		}
		w.Driver = asks[at].Driver
		w.From -= trip.FixSkew.Milliseconds()
		if ended != 0 {
			w.To = ended + trip.FixGrace.Milliseconds()
		}
		ws[at] = w
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("trip windows: %w", err)
	}
	return ws, nil
}

func (r *TripReads) collect(ctx context.Context, query string, args ...any) ([]access.Row, error) {
	rows, err := r.db.Read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read trips: %w", err)
	}
	defer rows.Close()
	var trips []access.Row
	for rows.Next() {
		row, err := scanTrip(rows)
		if err != nil {
			return nil, fmt.Errorf("read trips: %w", err)
		}
		trips = append(trips, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read trips: %w", err)
	}
	return trips, nil
}

func scanTrip(row scanner) (access.Row, error) {
	var r access.Row
	var state []byte
	if err := row.Scan(&r.Version, &state); err != nil {
		return access.Row{}, err
	}
	var err error
	r.Trip, err = trip.Load(state)
	return r, err
}
