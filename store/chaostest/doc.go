// Package chaostest breaks a durable store while it works and then looks for what must not be: an
// acknowledged step that is gone, a batch of which only a part is there, a history that no sequence
// of single steps explains. The same experiments run on every backend that can be killed.
//
// Invariant of its checkers: each has a control, a store with the mechanism switched off, on which
// it must go red. A checker that never did proves nothing.
package chaostest

import (
	"context"
	"testing"
	"time"

	"weelo/internal/ledger"
)

// Backend is a ledger that can be killed. Its ports answer errors while it is down and work again
// after Kill has returned.
type Backend struct {
	Writer  ledger.Writer
	Joint   ledger.JointWriter
	Claimer ledger.Claimer
	History ledger.History
	Inbox   ledger.Inbox
	// Read gives the stored version and snapshot of a trip, without a claim.
	Read func(ctx context.Context, id string) (version int64, state []byte, err error)
	// Live gives every live trip, at one moment; Place where any row stands, without a claim.
	Live  func(ctx context.Context) ([]LiveTrip, error)
	Place func(ctx context.Context, ref ledger.Ref) (ledger.Place, error)
	// Kill ends the store without warning and starts it again.
	Kill func()
}

// limit bounds an experiment, so that a store that never comes back fails its test and does not
// hang it.
const limit = 3 * time.Minute

// eventually tries until it succeeds or the context ends.
func eventually(ctx context.Context, try func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func within(t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), limit)
}
