package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"weelo/internal/ledger"
)

var _ ledger.JointWriter = Writer{}

// together writes ts in one transaction, all or none of them. Unlike a flush it writes one row with each
// statement, so that a refusal says whose it is.
func (f *flusher) together(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	var err error
	at := -1
	for try := 0; try <= retries; try++ {
		var outcomes []ledger.Outcome
		outcomes, at, err = f.attemptTogether(ctx, ts)
		if err == nil {
			return outcomes
		}
		if !passing(err) {
			break
		}
	}
	o := refusal(err)
	if o.Status == ledger.Unknown || at < 0 || !refusedByContent(err) {
		return ledger.Everyone(len(ts), o)
	}
	return ledger.Blame(len(ts), at, o)
}

// attemptTogether is one try. An error means that nothing was written, or, as an unknownError, that
// nobody knows; at is the transition whose row was refused, -1 for none in particular.
func (f *flusher) attemptTogether(ctx context.Context, ts []ledger.Transition) (outcomes []ledger.Outcome, at int, err error) {
	conn, err := f.pool.Acquire(ctx)
	if err != nil {
		return nil, -1, err
	}
	defer conn.Release()
	j := &joint{transaction: transaction{flusher: f, ts: ts, outcomes: make([]ledger.Outcome, len(ts))}, at: -1}
	err = j.run(ctx, conn.Conn())
	if err == nil {
		return j.outcomes, -1, nil
	}
	abandon(conn, err)
	if refusedByContent(err) && ts[0].Idem != nil {
		if outcomes, lookErr := j.repeat(ctx, conn.Conn()); lookErr != nil || outcomes != nil {
			return outcomes, -1, lookErr
		}
	}
	return nil, j.at, err
}

// joint is one try at writing transitions together.
type joint struct {
	transaction
	used map[[2]string]ledger.Idem
	at   int // the transition whose row is being written, while one is
}

// run writes what is there already in lock order, then births, then all that belongs to them. It is two
// round trips: the second one holds COMMIT, or the reasons why there is none.
func (j *joint) run(ctx context.Context, c *pgx.Conn) error {
	if err := j.steps(ctx, c); err != nil {
		return err
	}
	if len(j.rejected) > 0 || len(j.used) > 0 {
		return j.refuse(ctx, c)
	}
	return j.finish(ctx, c)
}

// steps is the first round trip: is the command new, and is every row as it was read? All rows are
// looked at, so that everyone at fault is named.
func (j *joint) steps(ctx context.Context, c *pgx.Conn) error {
	j.used = make(map[[2]string]ledger.Idem)
	batch := &pgx.Batch{}
	batch.Queue("begin")
	j.queueCommand(batch)
	for _, i := range j.order(j.ts) {
		t := &j.ts[i]
		if t.Version == 0 {
			continue
		}
		batch.Queue(j.sql.update[t.Ref.Kind], j.alone(i, updateColumns)...).Query(j.writes(i, func(hit bool) {
			if hit {
				j.accepted = append(j.accepted, i)
			} else {
				j.rejected = append(j.rejected, i)
			}
		}))
	}
	return c.SendBatch(ctx, batch).Close()
}

// queueCommand looks the command of the whole up.
func (j *joint) queueCommand(batch *pgx.Batch) {
	if used := j.ts[0].Idem; used != nil {
		batch.Queue(j.sql.usedCommands, []string{used.Scope}, []string{used.Key}).Query(noteUsed(j.used))
	}
}

// alone lays out one transition's row. Its command was looked up before.
func (j *joint) alone(i int, columns func([]ledger.Transition, []int, ledger.Kind) []any) []any {
	t := j.ts[i]
	t.Idem = nil
	return columns([]ledger.Transition{t}, []int{0}, t.Ref.Kind)
}

// writes follows one row's statement: while it fails, j.at says whose it is.
func (j *joint) writes(i int, done func(hit bool)) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		j.at = i
		hit := rows.Next()
		rows.Close()
		if err := rows.Err(); err != nil {
			return err
		}
		j.at = -1
		done(hit)
		return nil
	}
}

// refuse gives the transaction up and says why.
func (j *joint) refuse(ctx context.Context, c *pgx.Conn) error {
	batch := &pgx.Batch{}
	found := j.queueLookups(batch)
	j.queueCommand(batch) // somebody may have used it while we waited for a row
	batch.Queue("rollback")
	if err := c.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	if j.outcomes = j.repeated(); j.outcomes != nil {
		return nil
	}
	j.outcomes = ledger.Everyone(len(j.ts), ledger.Outcome{Status: ledger.Aborted})
	for _, i := range j.rejected {
		j.outcomes[i] = found.judge(j.ts[i])
	}
	return nil
}

// repeated answers a command that was used before; nil for a new one.
func (j *joint) repeated() []ledger.Outcome {
	for _, used := range j.used {
		return ledger.Blame(len(j.ts), 0, ledger.Judge(j.ts[0], nil, &used))
	}
	return nil
}

// repeat looks whether what was refused is the repeat of what was done meanwhile: its births meet
// those of the first.
func (j *joint) repeat(ctx context.Context, c *pgx.Conn) ([]ledger.Outcome, error) {
	batch := &pgx.Batch{}
	j.queueCommand(batch)
	if err := c.SendBatch(ctx, batch).Close(); err != nil {
		return nil, err
	}
	return j.repeated(), nil
}

// finish is the second round trip of what will be committed.
func (j *joint) finish(ctx context.Context, c *pgx.Conn) error {
	batch := &pgx.Batch{}
	j.queueBirths(batch)
	j.accepted = j.order(j.ts)
	entries, heads := ledger.Address(j.ts, j.accepted)
	raised := make(map[string]int64, len(heads.Recipients))
	j.queueInserts(batch, entries, heads, raised)
	batch.Queue("commit")
	if err := c.SendBatch(ctx, batch).Close(); err != nil {
		if !definite(err) {
			return unknownError{err}
		}
		return err
	}
	j.committed(entries, raised)
	return nil
}

func (j *joint) queueBirths(batch *pgx.Batch) {
	if keys := contested(j.ts); keys != nil {
		batch.Queue(j.sql.lockKeys, keys)
	}
	for _, i := range j.order(j.ts) {
		if j.ts[i].Version == 0 {
			batch.Queue(j.sql.birth[j.ts[i].Ref.Kind], j.alone(i, birthColumns)...).Query(j.writes(i, func(bool) {}))
		}
	}
}
