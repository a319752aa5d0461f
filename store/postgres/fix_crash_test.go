package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/servertest"
	"weelo/internal/track"
	"weelo/store/postgres"
)

// open trips for everybody, so that the test is about the commit alone.
type openTrips struct{}

func (openTrips) Windows(_ context.Context, asks []history.Ask) ([]history.Window, error) {
	ws := make([]history.Window, len(asks))
	for i, a := range asks {
		ws[i] = history.Window{TripID: "trip", Driver: a.Driver, To: math.MaxInt64}
	}
	return ws, nil
}

// hasty is the mistake that the recorder exists to avoid: it answers first and saves afterwards.
type hasty struct {
	history.Store
	later chan []history.Row
}

func (h hasty) Save(_ context.Context, rows []history.Row) ([]bool, error) {
	select {
	case h.later <- rows:
	default:
	}
	isNew := make([]bool, len(rows))
	for i := range isNew {
		isNew[i] = true
	}
	return isNew, nil
}

func (h hasty) run(ctx context.Context) {
	for {
		select {
		case rows := <-h.later:
			_, _ = h.Store.Save(ctx, rows)
		case <-ctx.Done():
			return
		}
	}
}

// TestAKilledPostgresLosesNoAcknowledgedFix kills the server while batches stream in. Every batch
// that was answered must be there after recovery; one that was not answered may or may not be.
func TestAKilledPostgresLosesNoAcknowledgedFix(t *testing.T) {
	t.Parallel()
	if lost, acknowledged := lostAfterKill(t, false); lost != 0 || acknowledged == 0 {
		t.Errorf("%d of %d acknowledged fixes are lost", lost, acknowledged)
	}
}

// TestTheKillWouldShowALoss is the control: a recorder over a store that answers before it commits
// loses acknowledged fixes in the same test.
func TestTheKillWouldShowALoss(t *testing.T) {
	t.Parallel()
	if lost, _ := lostAfterKill(t, true); lost == 0 {
		t.Error("answering before the commit lost nothing: the test proves nothing")
	}
}

func lostAfterKill(t *testing.T, hastily bool) (lost, acknowledged int) {
	t.Helper()
	server := servertest.PrivatePostgres(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: server.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	var store history.Store = postgres.NewFixes(db)
	if hastily {
		h := hasty{Store: store, later: make(chan []history.Row, 10_000)}
		running.Go(func() { h.run(ctx) })
		store = h
	}
	r, err := history.NewRecorder(store, openTrips{}, time.Now, slog.New(slog.DiscardHandler),
		history.Config{Linger: time.Millisecond, MaxRows: 100, CommitTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { _ = r.Run(ctx) })

	const drivers, perBatch = 8, 10
	acked := make([]map[int64]bool, drivers)
	enough := make(chan struct{})
	var once sync.Once
	var total int
	var mu sync.Mutex
	begin := time.Now().UnixMilli()
	var senders sync.WaitGroup
	for d := range drivers {
		acked[d] = map[int64]bool{}
		senders.Go(func() {
			for n := int64(0); ; n++ {
				batch := make([]track.Fix, perBatch)
				for i := range batch {
					batch[i] = track.Fix{TS: begin - n*perBatch - int64(i), Lat: 12.97, Lng: 77.59, Accuracy: 5}
				}
				if _, err := r.Record(ctx, fleet.Member{Driver: crashDriver(d)}, "", batch); err != nil {
					return // the server is gone
				}
				mu.Lock()
				for _, f := range batch {
					acked[d][f.TS] = true
				}
				if total += perBatch; total > 3000 {
					once.Do(func() { close(enough) })
				}
				mu.Unlock()
				if n > 100_000 {
					return
				}
			}
		})
	}
	<-enough
	server.Kill(t)
	if hastily {
		stop() // nobody would ever refuse
	}
	senders.Wait()
	stop()
	running.Wait()
	server.Start(t)

	check := postgres.NewFixes(reopen(t, db))
	for d := range drivers {
		there, err := check.Fixes(t.Context(), crashDriver(d), 0, math.MaxInt64, 10_000_000)
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[int64]bool, len(there))
		for _, f := range there {
			found[f.TS] = true
		}
		for ts := range acked[d] {
			acknowledged++
			if !found[ts] {
				lost++
			}
		}
	}
	t.Logf("%d acknowledged, %d lost", acknowledged, lost)
	return lost, acknowledged
}

// reopen waits until the pool has thrown its dead connections away.
func reopen(t *testing.T, db *postgres.DB) *postgres.DB {
	t.Helper()
	for range 100 {
		if db.Ping(t.Context()) == nil {
			return db
		}
	}
	t.Fatal("the recovered server does not answer")
	return nil
}

func crashDriver(d int) fleet.UserID {
	return fleet.UserID(fmt.Sprintf("0b7f2a30-7c0e-4e0f-8d53-%012d", d))
}
