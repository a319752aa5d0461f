package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5"

	"weelo/internal/ledger"
	"weelo/internal/servertest"
	"weelo/store/chaostest"
	"weelo/store/postgres"
)

// killable opens a fresh database on a server of its own.
func killable(t *testing.T, writer func(*postgres.DB) postgres.Writer, settings ...string) chaostest.Backend {
	t.Helper()
	backend, _ := killableDB(t, writer, settings...)
	return backend
}

func killableDB(t *testing.T, writer func(*postgres.DB) postgres.Writer, settings ...string) (chaostest.Backend, *postgres.DB) {
	t.Helper()
	server := servertest.PrivatePostgres(t, settings...)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: server.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	w := writer(db)
	return chaostest.Backend{
		Writer:  w,
		Joint:   w,
		Claimer: postgres.NewClaimer(db),
		History: postgres.NewHistory(db),
		Inbox:   postgres.NewInbox(db),
		Read:    readTrip(db),
		Live:    liveTrips(db),
		Place:   placeOf(db),
		Kill: func() {
			server.Kill(t)
			server.Start(t)
		},
	}, db
}

func readTrip(db *postgres.DB) func(context.Context, string) (int64, []byte, error) {
	return func(ctx context.Context, id string) (version int64, state []byte, err error) {
		err = db.General.QueryRow(ctx, `SELECT version, state::text FROM trip WHERE id = $1`, id).Scan(&version, &state)
		return version, state, err
	}
}

func liveTrips(db *postgres.DB) func(context.Context) ([]chaostest.LiveTrip, error) {
	return func(ctx context.Context) ([]chaostest.LiveTrip, error) {
		rows, err := db.General.Query(ctx, `SELECT id, driver_id, vehicle_id, order_id, slot FROM trip WHERE live`)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowToStructByPos[chaostest.LiveTrip])
	}
}

func placeOf(db *postgres.DB) func(context.Context, ledger.Ref) (ledger.Place, error) {
	return func(ctx context.Context, ref ledger.Ref) (p ledger.Place, err error) {
		table := map[ledger.Kind]string{ledger.Order: "customer_order", ledger.Trip: "trip"}[ref.Kind]
		err = db.General.QueryRow(ctx, `SELECT version, owner_epoch FROM `+table+` WHERE id = $1`, ref.ID).Scan(&p.Version, &p.Epoch)
		return p, err
	}
}

// full is the writer as it is, but for patience with a busy machine.
func full(db *postgres.DB) postgres.Writer {
	return postgres.NewWriter(db, postgres.Options{Timeout: 30 * time.Second, MaxWait: 30 * time.Second})
}

// TestKilledServerLosesNothing: SIGKILL of all of Postgres, several times, under load.
func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	loss := chaostest.KillUnderLoad(t, killable(t, full), 3)
	t.Log(loss)
	if loss.Acked == 0 || loss.Lost != 0 || loss.Partial != 0 || loss.Gaps != 0 {
		t.Errorf("%v", loss)
	}
}

// TestCheckerSeesUnsyncedCommits is the control: a server that answers before its log is on disk, and
// a writer that splits what should be one batch.
func TestCheckerSeesUnsyncedCommits(t *testing.T) {
	t.Parallel()
	split := func(db *postgres.DB) postgres.Writer { return postgres.NewWriter(db, postgres.Options{MaxBatch: 2}) }
	loss := chaostest.KillUnderLoad(t, killable(t, split, "synchronous_commit=off", "wal_writer_delay=10s"), 3)
	t.Log(loss)
	if loss.Lost == 0 || loss.Partial == 0 {
		t.Errorf("a server that syncs later lost nothing, or no split batch was seen, so the checker proves nothing: %v", loss)
	}
}

// TestVersionedRowIsARegister: what clients see of a row that they step at once, through kills.
func TestVersionedRowIsARegister(t *testing.T) {
	t.Parallel()
	history := chaostest.Registers(t, killable(t, full), 2)
	result := chaostest.CheckRegister(history)
	t.Logf("%d operations, %d of unknown outcome: %v", len(history), chaostest.Unknowns(history), result)
	if result != porcupine.Ok {
		t.Errorf("no order of single steps explains the history: %v", result)
	}
}

// TestCheckerSeesLostUpdates is the control: a writer that does not compare versions.
func TestCheckerSeesLostUpdates(t *testing.T) {
	t.Parallel()
	unversioned := func(db *postgres.DB) postgres.Writer {
		return postgres.NewWriterWithout(db, postgres.Options{}, "version")
	}
	history := chaostest.Registers(t, killable(t, unversioned), 0)
	if result := chaostest.CheckRegister(history); result != porcupine.Illegal {
		t.Errorf("updates were lost and the checker says %v", result)
	}
}

// TestOneLiveTripEach: driver, vehicle and slot are on one live trip at most, whoever gives birth to trips
// and ends them, through kills; and what is one transaction is there as a whole or not at all.
//
// Invariants: 8, 9, 10.
func TestOneLiveTripEach(t *testing.T) {
	t.Parallel()
	history, joined := chaostest.Slots(t, killable(t, full), 3)
	result := chaostest.CheckSlots(history)
	t.Logf("%d operations, %d of unknown outcome: %v. Joint transactions: %v", len(history), chaostest.UnknownMoves(history), result, joined)
	if result != porcupine.Ok {
		t.Errorf("no order of single births and ends explains the history: %v", result)
	}
	if joined.Committed == 0 || joined.Refused == 0 || joined.Partial != 0 || joined.Wrong != 0 {
		t.Errorf("joint transactions: %v", joined)
	}
}

// TestCheckerSeesDoubleTrips is the control: the same load without the unique indexes.
func TestCheckerSeesDoubleTrips(t *testing.T) {
	t.Parallel()
	backend, db := killableDB(t, full)
	for _, index := range []string{"one_live_trip_per_driver", "one_live_trip_per_vehicle", "one_live_trip_per_slot"} {
		if _, err := db.General.Exec(t.Context(), `DROP INDEX `+index); err != nil {
			t.Fatal(err)
		}
	}
	history, _ := chaostest.Slots(t, backend, 0)
	if result := chaostest.CheckSlots(history); result != porcupine.Illegal {
		t.Errorf("without the indexes the checker says %v", result)
	}
}

// TestCheckerSeesPartialTransactions is the control: what belongs together is committed one by one.
func TestCheckerSeesPartialTransactions(t *testing.T) {
	t.Parallel()
	backend := killable(t, full)
	backend.Joint = chaostest.Apart{Writer: backend.Writer}
	if _, joined := chaostest.Slots(t, backend, 0); joined.Partial == 0 {
		t.Errorf("apart, and none was partial: %v", joined)
	}
}

// TestTimersSurviveKills: a timer is armed, moved and cancelled exactly as acknowledged.
func TestTimersSurviveKills(t *testing.T) {
	t.Parallel()
	backend, db := killableDB(t, full)
	chaostest.TimersSurvive(t, backend, postgres.NewTimers(db))
}

// TestOutageIsADefiniteNo: while the server is down or frozen a step fails, in bounded time and for
// certain, and the next one after the outage is committed.
func TestOutageIsADefiniteNo(t *testing.T) {
	t.Parallel()
	server := servertest.PrivatePostgres(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: server.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	patient := full(db)
	ref := bornTrip(t, patient)
	for _, outage := range []struct {
		name       string
		begin, end func(testing.TB)
	}{{"down", server.Kill, server.Start}, {"frozen", server.Pause, server.Resume}} {
		version := currentVersion(t, db, ref.ID)
		claimed := claimAgain(t, db, ref)
		outage.begin(t)
		impatient := postgres.NewWriter(db, postgres.Options{Timeout: 500 * time.Millisecond})
		began := time.Now()
		o := impatient.Commit(t.Context(), []ledger.Transition{transition(ref, claimed.Version, claimed.Epoch)})[0]
		if o.Status != ledger.Failed || o.Err == nil {
			t.Errorf("%s: %v (%v), want a definite no", outage.name, o.Status, o.Err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: answered after %v", outage.name, took)
		}
		outage.end(t)
		if now := currentVersion(t, db, ref.ID); now != version {
			t.Errorf("%s: the refused step moved the version from %d to %d", outage.name, version, now)
		}
		if o := patient.Commit(t.Context(), []ledger.Transition{transition(ref, claimed.Version, claimed.Epoch)})[0]; o.Status != ledger.Committed {
			t.Errorf("%s: afterwards %v (%v)", outage.name, o.Status, o.Err)
		}
	}
}

// claimAgain claims the row; the first connections after a crash may be dead ones.
func claimAgain(t *testing.T, db *postgres.DB, ref ledger.Ref) (claimed ledger.Claimed) {
	t.Helper()
	var err error
	for range 20 {
		if claimed, err = postgres.NewClaimer(db).Claim(t.Context(), ref, "n"); err == nil {
			return claimed
		}
	}
	t.Fatal(err)
	return claimed
}

// currentVersion reads the row's version; the first connections after a crash may be dead ones.
func currentVersion(t *testing.T, db *postgres.DB, id string) int64 {
	t.Helper()
	var version int64
	var err error
	for range 20 {
		if version, _, err = readTrip(db)(t.Context(), id); err == nil {
			return version
		}
	}
	t.Fatal(err)
	return 0
}
