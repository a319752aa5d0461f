package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"weelo/internal/fleet"
)

// Supply answers which trucks and drivers could work now.
type Supply struct{ db *DB }

var _ fleet.Supply = (*Supply)(nil)

// NewSupply makes one.
func NewSupply(db *DB) *Supply { return &Supply{db: db} }

// Free gives the stock of each transporter in each of the kinds.
func (s *Supply) Free(ctx context.Context, transporters []fleet.UserID, keys []string) (map[fleet.UserID]map[string]fleet.Stock, error) {
	stocks := make(map[fleet.UserID]map[string]fleet.Stock, len(transporters))
	rows, err := s.db.General.Query(ctx, `
		SELECT v.transporter_id, v.vehicle_key, count(*) FILTER (WHERE v.status = 'available' AND t.id IS NULL), count(*)
		FROM vehicle v LEFT JOIN trip t ON t.vehicle_id = v.id AND t.live
		WHERE v.transporter_id = ANY ($1) AND v.vehicle_key = ANY ($2) AND v.status <> 'inactive'
		GROUP BY v.transporter_id, v.vehicle_key`, texts(transporters), keys)
	if err != nil {
		return nil, fmt.Errorf("free vehicles: %w", err)
	}
	var who fleet.UserID
	var key string
	var stock fleet.Stock
	_, err = pgx.ForEachRow(rows, []any{&who, &key, &stock.Free, &stock.Total}, func() error {
		if stocks[who] == nil {
			stocks[who] = make(map[string]fleet.Stock, 1)
		}
		stocks[who][key] = stock
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("free vehicles: %w", err)
	}
	return stocks, nil
}

// Keys gives the kinds of vehicles that each transporter could drive.
func (s *Supply) Keys(ctx context.Context, transporters []fleet.UserID) (map[fleet.UserID][]string, error) {
	kinds := make(map[fleet.UserID][]string, len(transporters))
	rows, err := s.db.General.Query(ctx, `
		SELECT transporter_id, array_agg(DISTINCT vehicle_key COLLATE "C" ORDER BY vehicle_key COLLATE "C") FROM vehicle
		WHERE transporter_id = ANY ($1) AND status = 'available' GROUP BY transporter_id`, texts(transporters))
	if err != nil {
		return nil, fmt.Errorf("kinds of vehicles: %w", err)
	}
	var who fleet.UserID
	var keys []string
	_, err = pgx.ForEachRow(rows, []any{&who, &keys}, func() error {
		kinds[who] = append([]string(nil), keys...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("kinds of vehicles: %w", err)
	}
	return kinds, nil
}

// Crew gives the facts that a confirmation is decided by. The partial unique indexes of live trips
// make each scalar subquery one row at most.
func (s *Supply) Crew(ctx context.Context, vehicles []fleet.VehicleID, drivers []fleet.UserID) (fleet.Crew, error) {
	crew := fleet.Crew{Vehicles: make(map[fleet.VehicleID]fleet.VehicleFact, len(vehicles)), Drivers: make(map[fleet.UserID]fleet.DriverFact, len(drivers))}
	rows, err := s.db.General.Query(ctx, `SELECT `+vehicleColumns+`,
		coalesce((SELECT t.id FROM trip t WHERE t.vehicle_id = vehicle.id AND t.live), '') FROM vehicle WHERE id = ANY ($1)`, texts(vehicles))
	if err != nil {
		return fleet.Crew{}, fmt.Errorf("vehicles of a crew: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var f fleet.VehicleFact
		if f.Vehicle, err = scanVehicle(rows, &f.TripID); err != nil {
			return fleet.Crew{}, fmt.Errorf("vehicles of a crew: %w", err)
		}
		crew.Vehicles[f.ID] = f
	}
	if err := rows.Err(); err != nil {
		return fleet.Crew{}, fmt.Errorf("vehicles of a crew: %w", err)
	}
	rows, err = s.db.General.Query(ctx, `SELECT `+personColumns+`,
		coalesce((SELECT t.id FROM trip t WHERE t.driver_id = app_user.id AND t.live), '') FROM app_user WHERE id = ANY ($1)`, texts(drivers))
	if err != nil {
		return fleet.Crew{}, fmt.Errorf("drivers of a crew: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var f fleet.DriverFact
		if f.User, err = scanPerson(rows, &f.TripID); err != nil {
			return fleet.Crew{}, fmt.Errorf("drivers of a crew: %w", err)
		}
		crew.Drivers[f.ID] = f
	}
	if err := rows.Err(); err != nil {
		return fleet.Crew{}, fmt.Errorf("drivers of a crew: %w", err)
	}
	return crew, nil
}

// texts writes ids as the driver wants them.
func texts[T ~string](ids []T) []string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = string(id)
	}
	return list
}
