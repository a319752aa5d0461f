package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"weelo/internal/ledger"
)

// Commits measures durable transitions per second with the given number of actors, each of which
// waits for its commit before it decides again. A transition has a snapshot of 1,000 bytes, an event
// for two recipients, an idempotency record, a timer and a message, as a busy trip's has.
func Commits(b *testing.B, l LedgerBackend, actors int) {
	b.Helper()
	pad := strings.Repeat("x", 900)
	trips := make([]ledger.Transition, actors)
	for i := range trips {
		trips[i] = ledger.Transition{Ref: ledger.Ref{Kind: ledger.Trip, ID: uuid.NewString()}, State: json.RawMessage(`{"live":false}`), At: time.Now()}
	}
	for part := range slices.Chunk(trips, 256) {
		for _, o := range l.Writer.Commit(b.Context(), part) {
			if o.Status != ledger.Committed {
				b.Fatalf("birth: %v (%v)", o.Status, o.Err)
			}
		}
	}
	var done atomic.Int64
	latencies := make([][]time.Duration, actors)
	var wg sync.WaitGroup
	b.ResetTimer()
	for i := range trips {
		wg.Go(func() {
			t := trips[i]
			t.Version = 1
			for done.Add(1) <= int64(b.N) {
				now := time.Now()
				n := fmt.Sprintf("%s-%d", t.Ref.ID, t.Version)
				t.At, t.State = now, json.RawMessage(fmt.Sprintf(`{"status":"in_transit","live":false,"n":%d,"pad":%q}`, t.Version, pad))
				t.Events = []ledger.Event{{ID: n, Type: "trip_status", PayloadVersion: 1, At: now, TripID: t.Ref.ID, Data: json.RawMessage(`{"status":"in_transit","previous":"loading_complete","at":1790000000000,"note":"as long as a usual event of this kind is"}`), Recipients: []string{t.Ref.ID, fmt.Sprint("fleet", i%50)}}}
				t.Idem = &ledger.Idem{Scope: "user", Key: n, Hash: "0123456789abcdef", Reply: json.RawMessage(`{"success":true}`)}
				t.Timers = []ledger.TimerChange{{Name: "silence", Due: now.Add(time.Hour), Number: t.Version}}
				t.Outbox = []ledger.Message{{ID: n, Channel: "push", To: "user", Type: "trip_status", Body: json.RawMessage(`{}`)}}
				if o := l.Writer.Commit(b.Context(), []ledger.Transition{t})[0]; o.Status != ledger.Committed {
					b.Errorf("%v (%v)", o.Status, o.Err)
					return
				}
				latencies[i] = append(latencies[i], time.Since(now))
				t.Version++
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(latencies...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}
