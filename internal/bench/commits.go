package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"weelo/internal/ledger"
)

// LedgerUnderTest is a writer whose commits are measured. Grouped shares transactions; Single makes
// one per transition. Both write to the same store.
type LedgerUnderTest struct {
	Name    string // postgres, sqlite
	Grouped ledger.Writer
	Single  ledger.Writer
	Claimer ledger.Claimer
}

// committers is how many aggregates commit at the same time.
const committers = 128

// commits: durable transitions a second, each with an event for two people, in groups and one by one.
func (r *runner) commits(ctx context.Context) error {
	for _, l := range r.Ledgers {
		row := Row{
			Name: "commits, " + l.Name, Unit: "1/s", Target: 4, More: true, Against: "one transaction for each transition",
			What: fmt.Sprintf("%d aggregates at once, an event in two inboxes each", committers),
		}
		r.say("%s: preparing", row.Name)
		trips, err := births(ctx, l)
		if err != nil {
			return err
		}
		for run := range r.Runs {
			single, err := commitRate(ctx, l.Single, trips, r.Duration)
			if err != nil {
				return err
			}
			grouped, err := commitRate(ctx, l.Grouped, trips, r.Duration)
			if err != nil {
				return err
			}
			row.BareRuns, row.WeeloRuns = append(row.BareRuns, single), append(row.WeeloRuns, grouped)
			r.say("  %d/%d single %8.0f/s grouped %8.0f/s", run+1, r.Runs, single, grouped)
		}
		r.report.add(row)
	}
	return nil
}

// aggregate is one row that its owner steps on and on.
type aggregate struct {
	ref            ledger.Ref
	state          json.RawMessage
	version, epoch int64
	recipients     []string
}

// births makes the rows and claims them.
func births(ctx context.Context, l LedgerUnderTest) ([]*aggregate, error) {
	list := make([]*aggregate, committers)
	err := each(ctx, committers, 8, func(ctx context.Context, i int) error {
		a := &aggregate{ref: ledger.Ref{Kind: ledger.Trip, ID: uuid.NewString()}, recipients: []string{uuid.NewString(), uuid.NewString()}}
		a.state = json.RawMessage(fmt.Sprintf(`{"id":%q,"status":"pending","live":false,"driverId":%q,"vehicleId":%q,"transporterId":%q}`,
			a.ref.ID, uuid.NewString(), uuid.NewString(), a.recipients[0]))
		list[i] = a
		t := ledger.Transition{Ref: a.ref, State: a.state, Contended: true, At: time.Now()}
		if o := l.Grouped.Commit(ctx, []ledger.Transition{t})[0]; o.Status != ledger.Committed {
			return fmt.Errorf("birth: %s: %w", o.Status, o.Err)
		}
		c, err := l.Claimer.Claim(ctx, a.ref, "bench")
		if err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		a.version, a.epoch = c.Version, c.Epoch
		return nil
	})
	return list, err
}

// commitRate lets every aggregate step as fast as its commits are answered.
func commitRate(ctx context.Context, w ledger.Writer, list []*aggregate, lasts time.Duration) (float64, error) {
	var (
		count   atomic.Int64
		work    sync.WaitGroup
		failed  atomic.Pointer[error]
		started = time.Now()
	)
	for _, a := range list {
		work.Go(func() {
			for time.Since(started) < lasts && ctx.Err() == nil && failed.Load() == nil {
				if err := a.step(ctx, w); err != nil {
					failed.Store(&err)
					return
				}
				count.Add(1)
			}
		})
	}
	work.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(count.Load()) / time.Since(started).Seconds(), ctx.Err()
}

func (a *aggregate) step(ctx context.Context, w ledger.Writer) error {
	now := time.Now()
	t := ledger.Transition{
		Ref: a.ref, Version: a.version, Epoch: a.epoch, State: a.state, At: now,
		Events: []ledger.Event{{
			ID: uuid.NewString(), Type: "trip_status", PayloadVersion: 1, At: now, TripID: a.ref.ID,
			Data: json.RawMessage(`{"status":"in_transit"}`), Recipients: a.recipients,
		}},
	}
	o := w.Commit(ctx, []ledger.Transition{t})[0]
	if o.Status != ledger.Committed {
		return fmt.Errorf("commit: %s: %w", o.Status, o.Err)
	}
	a.version++
	return nil
}
