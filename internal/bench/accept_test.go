package bench

import (
	"bytes"
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weelo/store/sqlite"
)

func storeToRaceOn(t *testing.T) AcceptStore {
	t.Helper()
	file := filepath.Join(t.TempDir(), "race.db")
	db, err := sqlite.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	plain, err := sql.Open("sqlite", "file:"+file+".plain?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	plain.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = plain.Close() })
	w := sqlite.NewWriter(db, sqlite.Options{Timeout: time.Minute, MaxWait: time.Minute})
	t.Cleanup(func() { _ = w.Close(context.WithoutCancel(t.Context())) })
	return AcceptStore{
		Name: "SQLite", Writer: w, Joint: w, Claimer: sqlite.NewClaimer(db), Outbox: sqlite.NewOutbox(db), Replies: sqlite.NewReplies(db),
		Timers: sqlite.NewTimers(db), Orders: sqlite.NewOrderReads(db), Trips: sqlite.NewTripReads(db), Plain: Database{DB: plain},
	}
}

// TestAcceptRace races sixty transporters for the trucks of a few orders, on both sides: every truck has
// one winner, who was told so, and the store says the same.
//
// Invariants: 10.
func TestAcceptRace(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	report, err := RunAccept(t.Context(), AcceptOptions{
		Attempts: 500, Transporters: 60, Slots: 5, Taps: 3, Orders: 2, Seed: uint64(time.Now().UnixNano()), Stores: []AcceptStore{storeToRaceOn(t)},
	}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(strings.SplitN(out.String(), "\n", 2)[0])
	if len(report.Rows) != 2 || report.Rows[0].Weelo <= 0 || report.Rows[0].Bare <= 0 || !strings.HasPrefix(report.Rows[0].Notes[0], "0 double wins in ") {
		t.Errorf("%+v", report.Rows)
	}
}

// twoWinners gives every slot to whoever asks: the control of the race's judge.
type twoWinners struct{ *transactions }

func (w twoWinners) win(ctx context.Context, order, _ string) (slot string, err error) {
	err = w.DB.QueryRowContext(ctx, `SELECT min(id) FROM bench_slot WHERE order_id = $1`, order).Scan(&slot)
	return slot, err
}

// TestAcceptRaceSeesDoubleWins: two transporters with one truck are found.
func TestAcceptRaceSeesDoubleWins(t *testing.T) {
	t.Parallel()
	st := storeToRaceOn(t)
	plain, err := newTransactions(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	o, err := AcceptOptions{Attempts: 40, Transporters: 20, Slots: 2, Taps: 1, Orders: 1, Stores: []AcceptStore{st}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if r, err := race(t.Context(), o, "broken", twoWinners{plain}, &bytes.Buffer{}); err == nil || r.doubles == 0 {
		t.Errorf("%d double wins, %v", r.doubles, err)
	}
	if _, err := (AcceptOptions{Slots: 51, Stores: []AcceptStore{st}}).withDefaults(); err == nil {
		t.Error("51 slots are more than an order has")
	}
}
