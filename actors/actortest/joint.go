package actortest

import (
	"context"
	"errors"
	"slices"

	"weelo/internal/ledger"
)

var (
	_ ledger.JointWriter = (*Ledger)(nil)
	_ ledger.JointWriter = (*memory)(nil)
)

// CommitTogether implements ledger.JointWriter. What is planted for the first transition happens to the
// whole.
func (l *Ledger) CommitTogether(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	f := l.wrong(ts[0])
	switch f {
	case LostWrite:
		return ledger.Everyone(len(ts), ledger.Outcome{Err: errors.New("planted: connection lost before COMMIT")})
	case Refused:
		return ledger.Everyone(len(ts), ledger.Outcome{Status: ledger.Failed, Err: errors.New("planted: refused")})
	case NoFault, LostReply:
	}
	outcomes := l.JointWriter.CommitTogether(ctx, ts)
	if outcomes[0].Status == ledger.Committed {
		l.mu.Lock()
		l.commits += len(ts)
		l.mu.Unlock()
	}
	if f == LostReply {
		return ledger.Everyone(len(ts), ledger.Outcome{Err: errors.New("planted: connection lost after COMMIT")})
	}
	return outcomes
}

// CommitTogether implements ledger.JointWriter.
func (l *memory) CommitTogether(_ context.Context, ts []ledger.Transition) []ledger.Outcome {
	if at, err := ledger.CheckTogether(ts); err != nil {
		return ledger.Blame(len(ts), at, ledger.Outcome{Status: ledger.Failed, Err: err})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if used := ts[0].Idem; used != nil {
		if first, known := l.idem[[2]string{used.Scope, used.Key}]; known {
			return ledger.Blame(len(ts), 0, ledger.Judge(ts[0], nil, &first))
		}
	}
	outcomes := ledger.Everyone(len(ts), ledger.Outcome{Status: ledger.Aborted})
	for i, t := range ts {
		if o := l.judgeLocked(t); o.Status != ledger.Committed {
			outcomes[i] = o
		}
	}
	if slices.ContainsFunc(outcomes, func(o ledger.Outcome) bool { return o.Status != ledger.Aborted }) {
		return outcomes
	}
	if i, constraint := l.crossLocked(ts); constraint != "" {
		return ledger.Blame(len(ts), i, ledger.Outcome{Status: ledger.Taken, Constraint: constraint})
	}
	for i, t := range ts {
		outcomes[i] = l.storeLocked(t)
	}
	return outcomes
}

// crossLocked finds the first of ts that another of them keeps from a unique index.
func (l *memory) crossLocked(ts []ledger.Transition) (at int, constraint string) {
	for _, u := range l.unique {
		seen := make(map[string]bool)
		for i, t := range ts {
			if t.Ref.Kind != u.Kind {
				continue
			}
			key := u.Key(t.State)
			if key != "" && seen[key] {
				return i, u.Constraint
			}
			seen[key] = true
		}
	}
	return 0, ""
}
