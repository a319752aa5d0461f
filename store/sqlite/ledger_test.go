package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"weelo/store/sqlite"
	"weelo/store/storetest"
)

func openLedger(t *testing.T, path string) (*sqlite.DB, storetest.LedgerBackend) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := sqlite.NewWriter(db, sqlite.Options{Timeout: time.Minute, MaxWait: time.Minute}) // a busy machine is no finding
	return db, storetest.LedgerBackend{
		Writer:     w,
		Joint:      w,
		Claimer:    sqlite.NewClaimer(db),
		Timers:     sqlite.NewTimers(db),
		Outbox:     sqlite.NewOutbox(db),
		Inbox:      sqlite.NewInbox(db),
		History:    sqlite.NewHistory(db),
		Quarantine: sqlite.NewQuarantine(db),
		Replies:    sqlite.NewReplies(db),
		Pruner:     sqlite.NewPruner(db),
		Offers:     sqlite.NewOffers(db),
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	storetest.Ledger(t, func(t *testing.T) storetest.LedgerBackend {
		_, backend := openLedger(t, filepath.Join(t.TempDir(), "weelo.db"))
		return backend
	})
}

func TestLedgerInMemory(t *testing.T) {
	t.Parallel()
	storetest.Ledger(t, func(t *testing.T) storetest.LedgerBackend {
		_, backend := openLedger(t, sqlite.Memory)
		return backend
	})
}
