package postgres_test

import (
	"testing"
	"time"

	"weelo/store/postgres"
	"weelo/store/storetest"
)

func TestLedger(t *testing.T) {
	t.Parallel()
	storetest.Ledger(t, func(t *testing.T) storetest.LedgerBackend {
		db := freshDB(t)
		w := postgres.NewWriter(db, postgres.Options{Timeout: time.Minute, MaxWait: time.Minute}) // a busy machine is no finding
		return storetest.LedgerBackend{
			Writer:     w,
			Joint:      w,
			Claimer:    postgres.NewClaimer(db),
			Timers:     postgres.NewTimers(db),
			Outbox:     postgres.NewOutbox(db),
			Inbox:      postgres.NewInbox(db),
			History:    postgres.NewHistory(db),
			Quarantine: postgres.NewQuarantine(db),
			Replies:    postgres.NewReplies(db),
			Pruner:     postgres.NewPruner(db),
			Offers:     postgres.NewOffers(db),
		}
	})
}
