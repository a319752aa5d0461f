package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace"

	"weelo/internal/ledger"
	"weelo/store/groupcommit"
)

// Options tune the writer. Zero takes the default.
type Options struct {
	MaxBatch int           // transitions in one transaction; default 256; 1: one by one
	MaxBytes int           // default 1 MiB
	Queue    int           // transitions waiting or in flight; default 4096
	Timeout  time.Duration // of one flush; default 5 s
	MaxWait  time.Duration // in the queue; default 2 s
	Observe  func(ledger.Flush)
	Tracer   trace.TracerProvider
}

// Writer is the group commit. See groupcommit.Writer for Commit, Depth and Close.
type Writer struct{ *groupcommit.Writer }

var _ ledger.Writer = Writer{}

// NewWriter makes the writer over the commit and contended pools of db: as many flushes at a time
// as they have connections.
func NewWriter(db *DB, o Options) Writer { return newWriter(db, o, standard, lockOrder) }

func newWriter(db *DB, o Options, sql statements, order orderFunc) Writer {
	plain := &flusher{pool: db.Commits, sql: sql, order: order}
	alone := &flusher{pool: db.Contended, sql: sql, order: order}
	return Writer{groupcommit.New(groupcommit.Config{
		Limits: ledger.Limits{
			MaxBatch: orDefault(o.MaxBatch, 256),
			MaxBytes: orDefault(o.MaxBytes, 1<<20),
			Flushes:  int(db.Commits.Config().MaxConns),
			Alone:    int(db.Contended.Config().MaxConns),
			Queue:    orDefault(o.Queue, 4096),
		},
		Plain: plain.flush,
		Alone: alone.flush,

		Together: alone.together,
		Joint:    int(db.Contended.Config().MaxConns),

		Timeout: orDefault(o.Timeout, 5*time.Second),
		MaxWait: orDefault(o.MaxWait, 2*time.Second),
		Observe: o.Observe,
		Tracer:  o.Tracer,
	})}
}

// flusher writes transitions in one transaction each call.
type flusher struct {
	pool  *pgxpool.Pool
	sql   statements
	order orderFunc
}

// orderFunc gives the indexes of transitions in the order their rows are locked in.
type orderFunc func([]ledger.Transition) []int

// retries is how often the same transitions go again after a definite no that may pass: a deadlock,
// a serialization failure, or a connection that was lost before COMMIT was sent.
const retries = 3

// flush writes ts in one transaction. When the database refuses the whole for the fault of one (a
// unique index, a malformed value), the halves go again by themselves, until that one is alone.
func (f *flusher) flush(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	var err error
	for try := 0; try <= retries; try++ {
		var outcomes []ledger.Outcome
		outcomes, err = f.attempt(ctx, ts)
		if err == nil {
			return outcomes
		}
		if !passing(err) {
			break
		}
	}
	if len(ts) > 1 && refusedByContent(err) {
		middle := len(ts) / 2
		return append(f.flush(ctx, ts[:middle]), f.flush(ctx, ts[middle:])...)
	}
	outcomes := make([]ledger.Outcome, len(ts))
	for i := range outcomes {
		outcomes[i] = refusal(err)
	}
	return outcomes
}

// unknownError wraps what went wrong after COMMIT was sent and before it was answered.
type unknownError struct{ cause error }

func (e unknownError) Error() string { return "outcome unknown: " + e.cause.Error() }
func (e unknownError) Unwrap() error { return e.cause }

// passing tells whether the same transitions may succeed at once: nothing was written.
func passing(err error) bool {
	if errors.As(err, new(unknownError)) {
		return false
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) // a lost connection
	}
	switch pg.Code {
	case "40P01", "40001": // deadlock, serialization failure
		return true
	case "25006", "57P01", "57P02", "57P03": // read-only after a failover; going down; starting up
		return true
	default:
		// The command was used by somebody else since we looked: look again, and replay its reply.
		return pg.ConstraintName == oneEffectPerCommand
	}
}

// refusedByContent tells whether a value of one transition is to blame: data exceptions, broken
// constraints, and one row named twice (21).
func refusedByContent(err error) bool {
	var pg *pgconn.PgError
	return !errors.As(err, new(unknownError)) && errors.As(err, &pg) && len(pg.Code) == 5 && slices.Contains([]string{"21", "22", "23"}, pg.Code[:2])
}

// refusal is the outcome of a transition whose transaction failed for good.
func refusal(err error) ledger.Outcome {
	var pg *pgconn.PgError
	switch {
	case errors.As(err, new(unknownError)):
		return ledger.Outcome{Status: ledger.Unknown, Err: err}
	case errors.As(err, &pg) && pg.Code == "23505" && (pg.TableName == "trip" || pg.TableName == "customer_order"):
		return ledger.Outcome{Status: ledger.Taken, Constraint: pg.ConstraintName, Err: err}
	default:
		return ledger.Outcome{Status: ledger.Failed, Err: err}
	}
}
