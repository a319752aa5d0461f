package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"weelo/internal/order"
	"weelo/internal/trip"
)

// TripRows gives trips with the version and epoch their rows stand at, for a step of their order that
// writes them too. Unknown ones are missing.
func (r *TripReads) TripRows(ctx context.Context, ids []string) ([]order.TripRow, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, fmt.Errorf("trip rows: %w", err)
	}
	found, err := r.db.Read.QueryContext(ctx,
		`SELECT version, owner_epoch, state FROM trip WHERE id IN (SELECT value FROM json_each(?))`, string(list))
	if err != nil {
		return nil, fmt.Errorf("trip rows: %w", err)
	}
	defer found.Close()
	var rows []order.TripRow
	for found.Next() {
		var row order.TripRow
		var state []byte
		if err := found.Scan(&row.Version, &row.Epoch, &state); err != nil {
			return nil, fmt.Errorf("trip rows: %w", err)
		}
		if row.State, err = trip.Load(state); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("trip rows: %w", err)
	}
	return rows, nil
}
