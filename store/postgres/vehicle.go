package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/fleet"
)

// Vehicles keeps the trucks of transporters.
type Vehicles struct{ db *DB }

var _ fleet.Vehicles = (*Vehicles)(nil)

// NewVehicles makes one.
func NewVehicles(db *DB) *Vehicles { return &Vehicles{db: db} }

const vehicleColumns = `id, transporter_id, number, type, subtype, capacity, model, year, status, created_at, updated_at`

// Vehicle gives one vehicle.
func (s *Vehicles) Vehicle(ctx context.Context, id fleet.VehicleID) (fleet.Vehicle, error) {
	v, err := scanVehicle(s.db.General.QueryRow(ctx, `SELECT `+vehicleColumns+` FROM vehicle WHERE id = $1`, string(id)))
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.Vehicle{}, fleet.ErrNoVehicle
	}
	if err != nil {
		return fleet.Vehicle{}, fmt.Errorf("read vehicle %s: %w", id, err)
	}
	return v, nil
}

// VehiclesOf gives a transporter's vehicles by number.
func (s *Vehicles) VehiclesOf(ctx context.Context, transporter fleet.UserID) ([]fleet.Vehicle, error) {
	rows, err := s.db.General.Query(ctx, `SELECT `+vehicleColumns+` FROM vehicle WHERE transporter_id = $1 ORDER BY number LIMIT $2`,
		string(transporter), fleet.MaxFleet)
	if err != nil {
		return nil, fmt.Errorf("vehicles of %s: %w", transporter, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (fleet.Vehicle, error) { return scanVehicle(row) })
	if err != nil {
		return nil, fmt.Errorf("vehicles of %s: %w", transporter, err)
	}
	return list, nil
}

// Upsert stores a vehicle under its number. The conflict is decided by the unique index, so that two
// transporters who register one plate at once cannot both succeed.
func (s *Vehicles) Upsert(ctx context.Context, v fleet.Vehicle) (fleet.Vehicle, bool, error) {
	var isNew bool
	stored, err := scanVehicle(s.db.General.QueryRow(ctx, `
		INSERT INTO vehicle AS v (`+vehicleColumns+`, vehicle_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce(nullif($9, ''), 'available'), $10, $11, $12)
		ON CONFLICT (number) DO UPDATE
		SET type = excluded.type, subtype = excluded.subtype, vehicle_key = excluded.vehicle_key, capacity = excluded.capacity, model = excluded.model,
		    year = excluded.year, status = coalesce(nullif($9, ''), v.status), updated_at = excluded.updated_at
		WHERE v.transporter_id = excluded.transporter_id
		RETURNING `+vehicleColumns+`, (v.xmax = 0)`,
		string(v.ID), string(v.TransporterID), v.Number, v.Type, v.Subtype, v.Capacity, v.Model, v.Year, v.Status, v.CreatedAt, v.UpdatedAt,
		fleet.Key(v.Type, v.Subtype)), &isNew)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.Vehicle{}, false, fleet.ErrNumberTaken
	}
	if err != nil {
		return fleet.Vehicle{}, false, fmt.Errorf("store vehicle %s: %w", v.Number, err)
	}
	return stored, isNew, nil
}

// Delete removes a vehicle that no live trip holds.
func (s *Vehicles) Delete(ctx context.Context, transporter fleet.UserID, id fleet.VehicleID) error {
	var known, deleted bool
	err := s.db.General.QueryRow(ctx, `
		WITH gone AS (
			DELETE FROM vehicle v WHERE v.id = $1 AND v.transporter_id = $2
			AND NOT EXISTS (SELECT 1 FROM trip t WHERE t.vehicle_id = v.id AND t.live)
			RETURNING 1)
		SELECT EXISTS (SELECT 1 FROM vehicle WHERE id = $1 AND transporter_id = $2), EXISTS (SELECT 1 FROM gone)`,
		string(id), string(transporter)).Scan(&known, &deleted) // the first looks at what was before
	switch {
	case err != nil:
		return fmt.Errorf("delete vehicle %s: %w", id, err)
	case deleted:
		return nil
	case known:
		return fleet.ErrVehicleBusy
	}
	return fleet.ErrNoVehicle
}

// scanVehicle reads vehicleColumns, and any columns after them.
func scanVehicle(row pgx.Row, after ...any) (fleet.Vehicle, error) {
	var v fleet.Vehicle
	var created, updated time.Time
	err := row.Scan(append([]any{&v.ID, &v.TransporterID, &v.Number, &v.Type, &v.Subtype, &v.Capacity, &v.Model, &v.Year,
		&v.Status, &created, &updated}, after...)...)
	v.CreatedAt, v.UpdatedAt = created.UTC(), updated.UTC()
	return v, err
}
