package sqlite_test

import (
	"fmt"
	"testing"

	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/track"
	"weelo/internal/trip"
	"weelo/store/sqlite"
)

// BenchmarkFlushOfNativeFixes is one second of 2,000 drivers at a fix every 5 s: the windows of 400
// drivers and one transaction of 400 fixes.
func BenchmarkFlushOfNativeFixes(b *testing.B) {
	db, err := sqlite.Open(b.Context(), b.TempDir()+"/weelo.db")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	const drivers, perFlush = 2000, 400
	for i := range drivers {
		s := trip.State{ID: fmt.Sprint("trip-", i), Status: trip.InTransit, Live: true, DriverID: benchDriver(i), VehicleID: fleet.VehicleID(fmt.Sprint("v", i)),
			TransporterID: "t1", AssignedMS: 1, AcceptedMS: 1, Reached: map[trip.Status]int64{}, Timers: map[string]trip.Timer{}}
		snapshot, err := s.Snapshot()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := db.Write.ExecContext(b.Context(), `INSERT INTO trip (id, version, state, created_at, updated_at) VALUES (?1, 1, ?2, 1, 1)`, s.ID, string(snapshot)); err != nil {
			b.Fatal(err)
		}
	}
	reads, fixes := sqlite.NewTripReads(db), sqlite.NewFixes(db)
	ts := int64(1_790_000_000_000)
	for b.Loop() {
		asks, rows := make([]history.Ask, perFlush), make([]history.Row, perFlush)
		for i := range asks {
			d := benchDriver((int(ts) + i) % drivers)
			asks[i] = history.Ask{Driver: d, Fleet: "t1"}
			rows[i] = history.Row{Driver: d, Fix: track.Fix{TS: ts, ReceivedMS: ts, Lat: 12.9, Lng: 77.5, Accuracy: 8}}
		}
		ts += perFlush
		ws, err := reads.Windows(b.Context(), asks)
		if err != nil || !ws[0].Contains(ts) {
			b.Fatal(ws[0], err)
		}
		if _, err := fixes.Save(b.Context(), rows); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/perFlush, "µs/fix")
}

func benchDriver(i int) fleet.UserID {
	return fleet.UserID(fmt.Sprintf("0b7f2a30-7c0e-4e0f-8d53-%012d", i))
}
