package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

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
	who, err := array(transporters)
	if err != nil {
		return nil, fmt.Errorf("free vehicles: %w", err)
	}
	kinds, err := array(keys)
	if err != nil {
		return nil, fmt.Errorf("free vehicles: %w", err)
	}
	rows, err := s.db.Read.QueryContext(ctx, `
		SELECT v.transporter_id, v.vehicle_key, count(*) FILTER (WHERE v.status = 'available' AND t.id IS NULL), count(*)
		FROM vehicle v LEFT JOIN trip t ON t.vehicle_id = v.id AND t.live
		WHERE v.transporter_id IN (SELECT value FROM json_each(?1)) AND v.vehicle_key IN (SELECT value FROM json_each(?2))
		  AND v.status <> 'inactive'
		GROUP BY v.transporter_id, v.vehicle_key`, who, kinds)
	if err != nil {
		return nil, fmt.Errorf("free vehicles: %w", err)
	}
	err = each(rows, func() error {
		var who fleet.UserID
		var key string
		var stock fleet.Stock
		if err := rows.Scan(&who, &key, &stock.Free, &stock.Total); err != nil {
			return err
		}
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
	who, err := array(transporters)
	if err != nil {
		return nil, fmt.Errorf("kinds of vehicles: %w", err)
	}
	rows, err := s.db.Read.QueryContext(ctx, `
		SELECT DISTINCT transporter_id, vehicle_key FROM vehicle
		WHERE transporter_id IN (SELECT value FROM json_each(?)) AND status = 'available' ORDER BY transporter_id, vehicle_key`, who)
	if err != nil {
		return nil, fmt.Errorf("kinds of vehicles: %w", err)
	}
	err = each(rows, func() error {
		var who fleet.UserID
		var key string
		if err := rows.Scan(&who, &key); err != nil {
			return err
		}
		kinds[who] = append(kinds[who], key)
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
	err := s.facts(ctx, `SELECT `+vehicleColumns+`,
		coalesce((SELECT t.id FROM trip t WHERE t.vehicle_id = vehicle.id AND t.live), '')
		FROM vehicle WHERE id IN (SELECT value FROM json_each(?))`, vehicles, func(row scanner) (err error) {
		var f fleet.VehicleFact
		f.Vehicle, err = scanVehicle(row, &f.TripID)
		crew.Vehicles[f.ID] = f
		return err
	})
	if err != nil {
		return fleet.Crew{}, fmt.Errorf("vehicles of a crew: %w", err)
	}
	err = s.facts(ctx, `SELECT `+personColumns+`,
		coalesce((SELECT t.id FROM trip t WHERE t.driver_id = app_user.id AND t.live), '')
		FROM app_user WHERE id IN (SELECT value FROM json_each(?))`, drivers, func(row scanner) (err error) {
		var f fleet.DriverFact
		f.User, err = scanPerson(row, &f.TripID)
		crew.Drivers[f.ID] = f
		return err
	})
	if err != nil {
		return fleet.Crew{}, fmt.Errorf("drivers of a crew: %w", err)
	}
	return crew, nil
}

// facts runs a query over a list of ids.
func (s *Supply) facts(ctx context.Context, query string, ids any, scan func(scanner) error) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	rows, err := s.db.Read.QueryContext(ctx, query, string(list))
	if err != nil {
		return err
	}
	return each(rows, func() error { return scan(rows) })
}

// each walks the rows and closes them.
func each(rows *sql.Rows, row func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := row(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// array writes a list as json_each reads it.
func array[T ~string](list []T) (string, error) {
	b, err := json.Marshal(append([]T{}, list...))
	return string(b), err
}
