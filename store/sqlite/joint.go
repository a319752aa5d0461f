package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"go.opentelemetry.io/otel/attribute"

	"weelo/internal/ledger"
)

var _ ledger.JointWriter = Writer{}

// together writes ts in one transaction, all or none of them. Before COMMIT every error is a definite
// no; of COMMIT, none is.
func (f *flusher) together(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	if err := f.prepare(ctx); err != nil {
		return all(ts, ledger.Failed, err)
	}
	ctx, end := span(ctx, "sqlite.transaction", attribute.Int("ledger.size", len(ts)))
	defer end()
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return all(ts, ledger.Failed, fmt.Errorf("sqlite: begin: %w", err))
	}
	j := joint{transaction{flusher: f, tx: tx, ts: ts, outcomes: make([]ledger.Outcome, len(ts)), bound: make(map[string]*sql.Stmt)}}
	refusals, err := j.run(context.WithoutCancel(ctx)) // at most ledger.MaxJoint small steps
	switch {
	case err != nil:
		_ = tx.Rollback()
		return all(ts, ledger.Failed, fmt.Errorf("sqlite: %w", err))
	case refusals != nil:
		_ = tx.Rollback()
		return refusals
	}
	if err := tx.Commit(); err != nil {
		return all(ts, ledger.Unknown, fmt.Errorf("sqlite: commit: %w", err))
	}
	return j.outcomes
}

// joint is one try at writing transitions together.
type joint struct{ transaction }

// run writes what is there already in lock order, then births, then all that belongs to them. It gives
// the outcomes when something was refused.
func (j *joint) run(ctx context.Context) (refusals []ledger.Outcome, err error) {
	if command := j.ts[0].Idem; command != nil {
		used, err := j.usedCommand(ctx, *command)
		if err != nil {
			return nil, err
		}
		if used != nil {
			return ledger.Blame(len(j.ts), 0, ledger.Judge(j.ts[0], nil, used)), nil
		}
	}
	refusals, err = j.steps(ctx)
	if err == nil && refusals == nil {
		refusals, err = j.births(ctx)
	}
	if err != nil || refusals != nil {
		return refusals, err
	}
	for _, i := range lockOrder(j.ts) {
		if j.outcomes[i], err = j.belongings(ctx, &j.ts[i]); err != nil {
			return nil, err
		}
		j.accepted = append(j.accepted, i)
	}
	return nil, j.number(ctx)
}

// steps writes the rows that are there already. All are looked at, so that everyone at fault is named.
func (j *joint) steps(ctx context.Context) ([]ledger.Outcome, error) {
	refusals := ledger.Everyone(len(j.ts), ledger.Outcome{Status: ledger.Aborted})
	clean := true
	for _, i := range lockOrder(j.ts) {
		t := &j.ts[i]
		if t.Version == 0 {
			continue
		}
		hit, err := j.aggregate(ctx, t)
		if err != nil {
			return j.blame(i, err)
		}
		if !hit {
			clean = false
			if refusals[i], err = j.verdict(ctx, t); err != nil {
				return nil, err
			}
		}
	}
	if clean {
		return nil, nil
	}
	return refusals, nil
}

func (j *joint) births(ctx context.Context) ([]ledger.Outcome, error) {
	for _, i := range lockOrder(j.ts) {
		if t := &j.ts[i]; t.Version == 0 {
			if _, err := j.aggregate(ctx, t); err != nil {
				return j.blame(i, err)
			}
		}
	}
	return nil, nil
}

// blame is the answer when one row's statement was refused; an error that the transaction does not
// survive belongs to nobody.
func (j *joint) blame(i int, err error) ([]ledger.Outcome, error) {
	if refused(err) {
		return ledger.Blame(len(j.ts), i, refusal(err)), nil
	}
	return nil, err
}
