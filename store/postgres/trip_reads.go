package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

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
	row, err := scanTrip(r.db.General.QueryRow(ctx, `SELECT version, state FROM trip WHERE id = $1`, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return access.Row{}, access.ErrNoTrip
	}
	if err != nil {
		return access.Row{}, fmt.Errorf("read trip %s: %w", id, err)
	}
	return row, nil
}

// ByID gives those of the trips that there are.
func (r *TripReads) ByID(ctx context.Context, ids []string) ([]access.Row, error) {
	rows, err := r.db.General.Query(ctx, `SELECT version, state FROM trip WHERE id = ANY ($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("trips by id: %w", err)
	}
	return collectTrips(rows)
}

// Live gives live trips, newest first.
func (r *TripReads) Live(ctx context.Context, by access.By, limit int) ([]access.Row, error) {
	var where string
	var key any
	switch {
	case by.Driver != "":
		where, key = `driver_id = $1`, string(by.Driver)
	case by.Transporter != "":
		where, key = `transporter_id = $1`, string(by.Transporter)
	case by.Customer != "":
		where, key = `customer_id = $1`, string(by.Customer)
	case by.Order != "":
		where, key = `order_id = $1`, by.Order
	case by.Everybody:
		where, key = `$1::boolean`, true
	default:
		return nil, nil
	}
	rows, err := r.db.General.Query(ctx,
		`SELECT version, state FROM trip WHERE live AND `+where+` ORDER BY created_at DESC, id LIMIT $2`, key, limit)
	if err != nil {
		return nil, fmt.Errorf("live trips: %w", err)
	}
	return collectTrips(rows)
}

// OfDriver gives a page of the trips that a driver has driven for a fleet, newest first.
func (r *TripReads) OfDriver(ctx context.Context, driver fleet.Member, statuses []trip.Status, offset, limit int) ([]access.Row, int, error) {
	names := make([]string, len(statuses))
	for i, s := range statuses {
		names[i] = string(s)
	}
	const where = ` FROM trip WHERE driver_id = $1 AND transporter_id = $3 AND (cardinality($2::text[]) = 0 OR status = ANY ($2))`
	var total int
	if err := r.db.General.QueryRow(ctx, `SELECT count(*)`+where, string(driver.Driver), names, string(driver.Fleet)).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count trips of driver: %w", err)
	}
	rows, err := r.db.General.Query(ctx, `SELECT version, state`+where+` ORDER BY created_at DESC, id OFFSET $4 LIMIT $5`,
		string(driver.Driver), names, string(driver.Fleet), offset, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("trips of driver: %w", err)
	}
	page, err := collectTrips(rows)
	return page, total, err
}

// Windows gives the span of each asked trip. A driver's newest accepted trip is his live one if he
// has one: while one lives he is given no other.
func (r *TripReads) Windows(ctx context.Context, asks []history.Ask) ([]history.Window, error) {
	ws := make([]history.Window, len(asks))
	if len(asks) == 0 {
		return ws, nil
	}
	drivers, fleets, trips := make([]string, len(asks)), make([]string, len(asks)), make([]string, len(asks))
	for i, a := range asks {
		drivers[i], fleets[i], trips[i] = string(a.Driver), string(a.Fleet), a.TripID
	}
	rows, err := r.db.General.Query(ctx, `
		SELECT a.at, t.* FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS a (driver, fleet, trip, at)
		CROSS JOIN LATERAL (
			SELECT id, (state ->> 'acceptedAt')::bigint AS accepted, coalesce((state ->> 'endedAt')::bigint, 0) AS ended
			FROM trip
			WHERE driver_id = a.driver AND transporter_id = a.fleet AND (a.trip = '' OR id = a.trip) AND state ? 'acceptedAt'
			ORDER BY created_at DESC LIMIT 1) t`, drivers, fleets, trips)
	if err != nil {
		return nil, fmt.Errorf("trip windows: %w", err)
	}
	var at, accepted, ended int64
	var id string
	_, err = pgx.ForEachRow(rows, []any{&at, &id, &accepted, &ended}, func() error {
		w := history.Window{TripID: id, Driver: asks[at-1].Driver, From: accepted - trip.FixSkew.Milliseconds(), To: math.MaxInt64}
		if ended != 0 {
			w.To = ended + trip.FixGrace.Milliseconds()
		}
		ws[at-1] = w
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("trip windows: %w", err)
	}
	return ws, nil
}

func collectTrips(rows pgx.Rows) ([]access.Row, error) {
	trips, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (access.Row, error) { return scanTrip(row) })
	if err != nil {
		return nil, fmt.Errorf("read trips: %w", err)
	}
	return trips, nil
}

func scanTrip(row pgx.Row) (access.Row, error) {
	var r access.Row
	var state []byte
	if err := row.Scan(&r.Version, &state); err != nil {
		return access.Row{}, err
	}
	var err error
	r.Trip, err = trip.Load(state)
	return r, err
}
