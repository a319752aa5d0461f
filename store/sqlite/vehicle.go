package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

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
	v, err := scanVehicle(s.db.Read.QueryRowContext(ctx, `SELECT `+vehicleColumns+` FROM vehicle WHERE id = ?`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.Vehicle{}, fleet.ErrNoVehicle
	}
	if err != nil {
		return fleet.Vehicle{}, fmt.Errorf("read vehicle %s: %w", id, err)
	}
	return v, nil
}

// VehiclesOf gives a transporter's vehicles by number.
func (s *Vehicles) VehiclesOf(ctx context.Context, transporter fleet.UserID) ([]fleet.Vehicle, error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT `+vehicleColumns+` FROM vehicle WHERE transporter_id = ? ORDER BY number LIMIT ?`,
		string(transporter), fleet.MaxFleet)
	if err != nil {
		return nil, fmt.Errorf("vehicles of %s: %w", transporter, err)
	}
	defer rows.Close()
	var list []fleet.Vehicle
	for rows.Next() {
		v, err := scanVehicle(rows)
		if err != nil {
			return nil, fmt.Errorf("vehicles of %s: %w", transporter, err)
		}
		list = append(list, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("vehicles of %s: %w", transporter, err)
	}
	return list, nil
}

// Upsert stores a vehicle under its number.
func (s *Vehicles) Upsert(ctx context.Context, v fleet.Vehicle) (fleet.Vehicle, bool, error) {
	// A new row has the id and birth that were given; an old one keeps those it has.
	stored, err := scanVehicle(s.db.Write.QueryRowContext(ctx, `
		INSERT INTO vehicle (`+vehicleColumns+`, vehicle_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, coalesce(nullif(?9, ''), 'available'), ?10, ?11, ?12)
		ON CONFLICT (number) DO UPDATE
		SET type = excluded.type, subtype = excluded.subtype, vehicle_key = excluded.vehicle_key, capacity = excluded.capacity, model = excluded.model,
		    year = excluded.year, status = coalesce(nullif(?9, ''), vehicle.status), updated_at = excluded.updated_at
		WHERE vehicle.transporter_id = excluded.transporter_id
		RETURNING `+vehicleColumns,
		string(v.ID), string(v.TransporterID), v.Number, v.Type, v.Subtype, v.Capacity, v.Model, v.Year, v.Status,
		micros(v.CreatedAt), micros(v.UpdatedAt), fleet.Key(v.Type, v.Subtype)))
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.Vehicle{}, false, fleet.ErrNumberTaken
	}
	if err != nil {
		return fleet.Vehicle{}, false, fmt.Errorf("store vehicle %s: %w", v.Number, err)
	}
	return stored, stored.ID == v.ID && stored.CreatedAt.UnixMicro() == v.CreatedAt.UnixMicro(), nil
}

// Delete removes a vehicle that no live trip holds.
func (s *Vehicles) Delete(ctx context.Context, transporter fleet.UserID, id fleet.VehicleID) error {
	done, err := s.db.Write.ExecContext(ctx, `DELETE FROM vehicle WHERE id = ?1 AND transporter_id = ?2
		AND NOT EXISTS (SELECT 1 FROM trip t WHERE t.vehicle_id = ?1 AND t.live)`, string(id), string(transporter))
	if err != nil {
		return fmt.Errorf("delete vehicle %s: %w", id, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return err
	}
	switch v, err := s.Vehicle(ctx, id); {
	case err != nil:
		return err
	case v.TransporterID != transporter:
		return fleet.ErrNoVehicle
	}
	return fleet.ErrVehicleBusy
}

// scanVehicle reads vehicleColumns, and any columns after them.
func scanVehicle(row scanner, after ...any) (fleet.Vehicle, error) {
	var v fleet.Vehicle
	var created, updated int64
	err := row.Scan(append([]any{&v.ID, &v.TransporterID, &v.Number, &v.Type, &v.Subtype, &v.Capacity, &v.Model, &v.Year,
		&v.Status, &created, &updated}, after...)...)
	v.CreatedAt, v.UpdatedAt = instant(created), instant(updated)
	return v, err
}
