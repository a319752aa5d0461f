package sqlite_test

import (
	"math"
	"slices"
	"testing"

	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/track"
	"weelo/store/sqlite"
)

// TestNumbersOfAFailedCallAreForgotten: the number that a driver got in a transaction which was taken
// back is given to the next driver, and their tracks must not meet.
func TestNumbersOfAFailedCallAreForgotten(t *testing.T) {
	t.Parallel()
	for _, many := range []int{0, 150} { // row by row, and in statements of many
		db, err := sqlite.Open(t.Context(), t.TempDir()+"/weelo.db")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := sqlite.NewFixes(db)
		of := func(driver int, ts int64) history.Row {
			return history.Row{Driver: benchDriver(driver), Fix: track.Fix{TS: ts, ReceivedMS: ts, Lat: 12.9, Lng: 77.5, Accuracy: 8}}
		}
		var rows []history.Row
		for i := range many {
			rows = append(rows, of(1, int64(i)))
		}
		broken := of(1, 1000)
		broken.Fix.Lat = math.NaN() // becomes NULL, which the table does not take
		if _, err := s.Save(t.Context(), slices.Concat(rows, []history.Row{of(1, 999), broken})); err == nil {
			t.Fatal("a fix without a latitude was saved")
		}
		if isNew, err := s.Save(t.Context(), append(rows, broken)); err == nil {
			t.Fatal("a fix without a latitude was saved", isNew)
		}
		for _, driver := range []int{2, 1} {
			isNew, err := s.Save(t.Context(), []history.Row{of(driver, 5)})
			if err != nil || !isNew[0] {
				t.Fatal(isNew, err)
			}
			got, err := s.Fixes(t.Context(), fleet.UserID(benchDriver(driver)), 0, math.MaxInt64, 10)
			if err != nil || len(got) != 1 {
				t.Errorf("driver %d has %v, %v, want his one fix", driver, got, err)
			}
		}
	}
}
