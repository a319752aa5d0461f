package dispatch

import (
	"context"
	"testing"
	"time"

	"weelo/actors"
	"weelo/internal/servertest"
	"weelo/store/postgres"
)

func onPostgres(t *testing.T) shelf {
	t.Helper()
	server := servertest.PrivatePostgres(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: server.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	w := postgres.NewWriter(db, postgres.Options{Timeout: 10 * time.Second})
	return shelf{
		ledger: actors.Ledger{Writer: w, Joint: w, Claimer: postgres.NewClaimer(db), Outbox: postgres.NewOutbox(db), Replies: postgres.NewReplies(db)},
		timers: postgres.NewTimers(db), offers: postgres.NewOffers(db), people: postgres.NewPeople(db), users: postgres.NewUsers(db), vehicles: postgres.NewVehicles(db),
		supply: postgres.NewSupply(db), trips: postgres.NewTripReads(db), reads: postgres.NewOrderReads(db), rows: postgres.NewAudit(db),
		unindex: func(ctx context.Context, index string) error {
			_, err := db.General.Exec(ctx, `DROP INDEX `+index)
			return err
		},
		kill: func() {
			server.Kill(t)
			server.Start(t)
		},
	}
}
