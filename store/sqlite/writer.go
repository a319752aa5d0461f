package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
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

// Writer is the group commit: one transaction at a time, a SAVEPOINT for each transition, so that a
// refusal of one (a unique index, say) leaves its neighbours alone. See groupcommit.Writer for
// Commit, Depth and Close.
type Writer struct{ *groupcommit.Writer }

var _ ledger.Writer = Writer{}

// NewWriter makes the writer over the one connection that writes.
func NewWriter(db *DB, o Options) Writer { return newWriter(db, o, standard) }

func newWriter(db *DB, o Options, texts statements) Writer {
	f := &flusher{db: db.Write, texts: texts}
	return Writer{groupcommit.New(groupcommit.Config{
		Limits: ledger.Limits{
			MaxBatch: orDefault(o.MaxBatch, 256),
			MaxBytes: orDefault(o.MaxBytes, 1<<20),
			Flushes:  1,
			Queue:    orDefault(o.Queue, 4096),
		},
		Plain:    f.flush,
		Together: f.together,
		Timeout:  orDefault(o.Timeout, 5*time.Second),
		MaxWait:  orDefault(o.MaxWait, 2*time.Second),
		Observe:  o.Observe,
		Tracer:   o.Tracer,
	})}
}

func orDefault[N int | time.Duration](n, otherwise N) N {
	if n == 0 {
		return otherwise
	}
	return n
}

// flusher writes transitions in one transaction each call. One flush and one joint transaction may be
// under way at a time; the connection takes them one after the other.
type flusher struct {
	db    *sql.DB
	texts statements

	mu       sync.Mutex
	prepared map[string]*sql.Stmt // written once
}

// flush writes ts in one transaction. Savepoints cost as much as some writes do, so a batch of plain steps
// goes without them first, and with them when one was refused after all.
func (f *flusher) flush(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	if err := f.prepare(ctx); err != nil {
		return all(ts, ledger.Failed, err)
	}
	if !slices.ContainsFunc(ts, ledger.Transition.Alone) {
		if outcomes := f.attempt(ctx, ts, false); outcomes != nil {
			return outcomes
		}
	}
	return f.attempt(ctx, ts, true)
}

// attempt writes ts, or gives nil when it needs savepoints. Before COMMIT every error is a definite
// no; of COMMIT, none is.
func (f *flusher) attempt(ctx context.Context, ts []ledger.Transition, guard bool) []ledger.Outcome {
	ctx, end := span(ctx, "sqlite.transaction", attribute.Int("ledger.size", len(ts)))
	defer end()
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return all(ts, ledger.Failed, fmt.Errorf("sqlite: begin: %w", err))
	}
	t := transaction{flusher: f, tx: tx, ts: ts, outcomes: make([]ledger.Outcome, len(ts)), guard: guard, bound: make(map[string]*sql.Stmt)}
	if err := t.write(ctx); err != nil {
		_ = tx.Rollback()
		if errors.Is(err, errUnguarded) {
			return nil
		}
		return all(ts, ledger.Failed, fmt.Errorf("sqlite: %w", err))
	}
	if len(t.accepted) == 0 {
		_ = tx.Rollback()
		return t.outcomes
	}
	// The driver takes a connection whose COMMIT failed out of its transaction; a test holds it to that.
	if err := tx.Commit(); err != nil {
		for _, i := range t.accepted {
			t.outcomes[i] = ledger.Outcome{Status: ledger.Unknown, Err: fmt.Errorf("sqlite: commit: %w", err)}
		}
	}
	return t.outcomes
}

func all(ts []ledger.Transition, s ledger.Status, err error) []ledger.Outcome {
	outcomes := make([]ledger.Outcome, len(ts))
	for i := range outcomes {
		outcomes[i] = ledger.Outcome{Status: s, Err: err}
	}
	return outcomes
}

// prepare compiles every statement at the first flush: the schema is there by then.
func (f *flusher) prepare(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.prepared != nil {
		return nil
	}
	prepared := make(map[string]*sql.Stmt)
	for _, text := range f.texts.all() {
		stmt, err := f.db.PrepareContext(ctx, text)
		if err != nil {
			return fmt.Errorf("sqlite: prepare %q: %w", text, err)
		}
		prepared[text] = stmt
	}
	f.prepared = prepared
	return nil
}
