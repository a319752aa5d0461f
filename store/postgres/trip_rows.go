package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"weelo/internal/order"
	"weelo/internal/trip"
)

// TripRows gives trips with the version and epoch their rows stand at, for a step of their order that
// writes them too. Unknown ones are missing.
func (r *TripReads) TripRows(ctx context.Context, ids []string) ([]order.TripRow, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := r.db.General.Query(ctx, `SELECT version, owner_epoch, state FROM trip WHERE id = ANY($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("trip rows: %w", err)
	}
	rows, err := pgx.CollectRows(found, func(from pgx.CollectableRow) (row order.TripRow, err error) {
		var state []byte
		if err = from.Scan(&row.Version, &row.Epoch, &state); err == nil {
			row.State, err = trip.Load(state)
		}
		return row, err
	})
	if err != nil {
		return nil, fmt.Errorf("trip rows: %w", err)
	}
	return rows, nil
}
