package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"weelo/store/sqlite"
	"weelo/store/storetest"
)

// BenchmarkCommits compares the group commit with one transaction each.
func BenchmarkCommits(b *testing.B) {
	for _, batch := range []int{256, 1} {
		b.Run(fmt.Sprintf("actors=256/batch=%d", batch), func(b *testing.B) {
			db, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "weelo.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Migrate(b.Context()); err != nil {
				b.Fatal(err)
			}
			storetest.Commits(b, storetest.LedgerBackend{Writer: sqlite.NewWriter(db, sqlite.Options{MaxBatch: batch, MaxWait: 1 << 40})}, 256)
		})
	}
}
