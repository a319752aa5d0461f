package access

import (
	"context"

	"weelo/internal/share"
)

// Ends tells when trips ended, for the links that show them.
type Ends struct{ Trips Trips }

var _ share.Trips = Ends{}

// Ended implements share.Trips.
func (e Ends) Ended(ctx context.Context, ids []string) (map[string]int64, error) {
	rows, err := e.Trips.ByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	ended := make(map[string]int64, len(rows))
	for _, row := range rows {
		ended[row.Trip.ID] = row.Trip.EndedMS
	}
	return ended, nil
}
