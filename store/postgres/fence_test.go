package postgres_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"weelo/internal/ledger"
	"weelo/internal/servertest"
	"weelo/store/postgres"
)

func transition(ref ledger.Ref, version, epoch int64) ledger.Transition {
	return ledger.Transition{
		Ref: ref, Version: version, Epoch: epoch, At: time.Now(),
		State:  json.RawMessage(fmt.Sprintf(`{"n":%d}`, version+1)),
		Events: []ledger.Event{{ID: uuid.NewString(), Type: "moved", At: time.Now(), Data: json.RawMessage(`{}`), Recipients: []string{"u"}}},
	}
}

// bornTrip gives birth to a trip through w.
func bornTrip(t *testing.T, w ledger.Writer) ledger.Ref {
	t.Helper()
	ref := ledger.Ref{Kind: ledger.Trip, ID: uuid.NewString()}
	if o := w.Commit(t.Context(), []ledger.Transition{transition(ref, 0, 0)})[0]; o.Status != ledger.Committed {
		t.Fatalf("birth: %v (%v)", o.Status, o.Err)
	}
	return ref
}

// staleCommits lets two activations of one trip fight: each claims when it has lost, and goes on
// writing until it is told to stop. It counts the commits of an activation that came after another's
// claim was answered.
func staleCommits(t *testing.T, db *postgres.DB, w ledger.Writer) (stale, fenced int) {
	t.Helper()
	ref := bornTrip(t, w)
	claimer := postgres.NewClaimer(db)
	claim := func() ledger.Claimed {
		c, err := claimer.Claim(t.Context(), ref, "n")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := claim()
	for range 30 {
		current := claim() // from here on, old must not write
		o := w.Commit(t.Context(), []ledger.Transition{transition(ref, old.Version, old.Epoch)})[0]
		switch o.Status {
		case ledger.Committed:
			stale++
		case ledger.Fenced:
			fenced++
		default:
			t.Fatalf("the old activation's write: %v (%v)", o.Status, o.Err)
		}
		if o := w.Commit(t.Context(), []ledger.Transition{transition(ref, current.Version, current.Epoch)})[0]; o.Status == ledger.Committed {
			current.Version++
		}
		old = current
	}
	return stale, fenced
}

func TestFencedWriter(t *testing.T) {
	t.Parallel()
	db := freshDB(t)
	stale, fenced := staleCommits(t, db, full(db))
	if stale != 0 || fenced != 30 {
		t.Errorf("%d stale commits, %d refused, want 0 and 30", stale, fenced)
	}
}

// TestStaleCommitsWithoutFence is the control.
func TestStaleCommitsWithoutFence(t *testing.T) {
	t.Parallel()
	db := freshDB(t)
	if stale, _ := staleCommits(t, db, postgres.NewWriterWithout(db, postgres.Options{}, "epoch")); stale == 0 {
		t.Error("without the fence no stale commit was seen, so the test proves nothing")
	}
}

// deadlocks runs two tasks' writers over one small set of trips, each batch in an order of its own,
// with shared recipients and claims in between, and counts the server's deadlocks.
func deadlocks(t *testing.T, writer func(*postgres.DB) postgres.Writer, parameters string) int {
	t.Helper()
	server := servertest.PrivatePostgres(t, "deadlock_timeout=20ms", "fsync=off")
	url := server.Database(t)
	var tasks sync.WaitGroup
	refs := make([]ledger.Ref, 24)
	var open []*postgres.DB
	for task := range 2 {
		db, err := postgres.Open(t.Context(), postgres.Config{URL: url + parameters})
		if err != nil {
			t.Fatal(err)
		}
		w := writer(db)
		if task == 0 {
			for i := range refs {
				refs[i] = bornTrip(t, w)
			}
		}
		for lane := range 2 {
			tasks.Go(func() { hammer(t, w, postgres.NewClaimer(db), refs, uint64(task*2+lane), parameters == "") })
		}
		open = append(open, db)
	}
	tasks.Wait()
	for _, db := range open {
		db.Close()
	}
	// A connection tells what it counted once a second, and when it has ended.
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-time.After(500 * time.Millisecond) {
		if n := countDeadlocks(t, server); n > 0 {
			return n
		}
	}
	return countDeadlocks(t, server)
}

// countDeadlocks asks the server how many there were.
func countDeadlocks(t *testing.T, server *servertest.PostgresServer) int {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: server.URL("postgres")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.General.QueryRow(t.Context(), `SELECT sum(deadlocks) FROM pg_stat_database`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d deadlocks", n)
	return n
}

func hammer(t *testing.T, w ledger.Writer, claimer ledger.Claimer, refs []ledger.Ref, seed uint64, strict bool) {
	random := rand.New(rand.NewPCG(seed, 7))
	for round := range 60 {
		if round%4 == 0 {
			if _, err := claimer.Claim(t.Context(), refs[random.IntN(len(refs))], "n"); err != nil && strict {
				t.Error(err)
			}
		}
		batch := make([]ledger.Transition, 0, len(refs))
		for _, i := range random.Perm(len(refs))[:16] {
			tr := transition(refs[i], 1+random.Int64N(8), random.Int64N(8))
			tr.Events[0].Recipients = []string{fmt.Sprint("r", random.IntN(5)), fmt.Sprint("r", random.IntN(5))}
			batch = append(batch, tr)
		}
		for _, o := range w.Commit(t.Context(), batch) {
			if o.Status == ledger.Unknown || (o.Status == ledger.Failed && strict) {
				t.Errorf("%v (%v)", o.Status, o.Err)
			}
		}
	}
}

func TestHotTableHasNoDeadlocks(t *testing.T) {
	t.Parallel()
	if n := deadlocks(t, full, ""); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// TestDeadlocksWithoutLockOrder is the control: the same load, rows locked as they come.
func TestDeadlocksWithoutLockOrder(t *testing.T) {
	t.Parallel()
	if n := deadlocks(t, postgres.NewWriterAsTheyCome, "&enable_hashjoin=off&enable_mergejoin=off&enable_seqscan=off"); n == 0 {
		t.Error("without the lock order there was no deadlock, so the test proves nothing")
	}
}
