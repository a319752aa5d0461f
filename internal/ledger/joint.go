package ledger

import (
	"context"
	"fmt"
)

// MaxJoint bounds the transitions of one joint transaction: an order and the trips of all its slots.
const MaxJoint = 51

// JointWriter makes transitions of several aggregates durable in one transaction, all or none of
// them: a confirm (an order and the births of trips) or a cancel (an order and its live trips). Each
// is checked against its own row's version and epoch; whoever writes a row that somebody else owns
// leaves the epoch as it read it.
//
// The answer is one outcome for each, at its own index. All are Committed, or none is: then those at
// fault say why (Moved, Fenced, Missing, Taken, Failed …) and the innocent ones are Aborted. When the
// connection is lost around COMMIT all are Unknown. A fault that belongs to nobody (the store is down,
// the writer is busy) makes all of them Failed.
//
// The idempotency record, if there is one, is the first transition's, and covers the whole: Replayed
// or Mismatched stands at index 0 and every other one is Aborted.
//
// Locks are taken in the order of every other lane (orders by id, then trips by id), and births come
// after what is there already.
type JointWriter interface {
	CommitTogether(ctx context.Context, ts []Transition) []Outcome
}

// CheckTogether tells what would keep transitions from being stored in one transaction, by index. Nil:
// nothing.
func CheckTogether(ts []Transition) (at int, err error) {
	if len(ts) > MaxJoint {
		return 0, fmt.Errorf("%w: %d transitions in one transaction, at most %d", ErrMalformed, len(ts), MaxJoint)
	}
	seen := make(map[Ref]bool, len(ts))
	for i, t := range ts {
		switch err := t.Check(); {
		case err != nil:
			return i, err
		case seen[t.Ref]:
			return i, fmt.Errorf("%w: %s %s twice in one transaction", ErrMalformed, t.Ref.Kind, t.Ref.ID)
		case i > 0 && t.Idem != nil:
			return i, fmt.Errorf("%w: %s %s: an idempotency record that is not the first's", ErrMalformed, t.Ref.Kind, t.Ref.ID)
		}
		seen[t.Ref] = true
	}
	return 0, nil
}

// Blame gives the outcomes of a joint transaction in which the transition at index i was at fault.
func Blame(n, i int, o Outcome) []Outcome {
	outcomes := make([]Outcome, n)
	for k := range outcomes {
		outcomes[k].Status = Aborted
	}
	outcomes[i] = o
	return outcomes
}

// Everyone gives all of a joint transaction the same outcome.
func Everyone(n int, o Outcome) []Outcome {
	outcomes := make([]Outcome, n)
	for k := range outcomes {
		outcomes[k] = o
	}
	return outcomes
}
