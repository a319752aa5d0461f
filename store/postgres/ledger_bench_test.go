package postgres_test

import (
	"fmt"
	"testing"

	"weelo/internal/servertest"
	"weelo/store/postgres"
	"weelo/store/storetest"
)

// BenchmarkCommits compares the group commit with one transaction each, on a server that syncs.
func BenchmarkCommits(b *testing.B) {
	server := servertest.PrivatePostgres(b)
	for _, actors := range []int{64, 256, 1000} {
		for _, batch := range []int{256, 1} {
			b.Run(fmt.Sprintf("actors=%d/batch=%d", actors, batch), func(b *testing.B) {
				config := postgres.Config{URL: server.Database(b)}
				if batch == 1 {
					config.CommitConns = 32 // one by one is at its best with many connections
				}
				db, err := postgres.Open(b.Context(), config)
				if err != nil {
					b.Fatal(err)
				}
				defer db.Close()
				storetest.Commits(b, storetest.LedgerBackend{Writer: postgres.NewWriter(db, postgres.Options{MaxBatch: batch, MaxWait: 1 << 40})}, actors)
			})
		}
	}
}
