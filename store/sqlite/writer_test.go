package sqlite_test

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"weelo/internal/ledger"
	"weelo/store/sqlite"
)

func birth(id string) ledger.Transition {
	return ledger.Transition{Ref: ledger.Ref{Kind: ledger.Trip, ID: id}, State: json.RawMessage(`{}`), At: time.Now()}
}

// TestFailedCommitIsUnknown: a deferred foreign key is refused by COMMIT itself. Nobody may take
// that for a definite no, and the connection must serve the next transaction.
func TestFailedCommitIsUnknown(t *testing.T) {
	t.Parallel()
	for _, path := range []string{filepath.Join(t.TempDir(), "weelo.db"), sqlite.Memory} {
		db, backend := openLedger(t, path)
		for _, statement := range []string{
			`CREATE TABLE parent (id INTEGER PRIMARY KEY)`,
			`CREATE TABLE orphan (parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)`,
			`CREATE TRIGGER trap AFTER INSERT ON trip WHEN new.id = 'trapped' BEGIN INSERT INTO orphan VALUES (1); END`,
		} {
			if _, err := db.Write.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		o := backend.Writer.Commit(t.Context(), []ledger.Transition{birth("trapped")})[0]
		if o.Status != ledger.Unknown || o.Err == nil {
			t.Errorf("COMMIT failed and the outcome is %v (%v)", o.Status, o.Err)
		}
		if _, err := backend.Claimer.Claim(t.Context(), ledger.Ref{Kind: ledger.Trip, ID: "trapped"}, "n"); err == nil {
			t.Error("the transaction whose COMMIT failed left its row")
		}
		if o := backend.Writer.Commit(t.Context(), []ledger.Transition{birth(uuid.NewString())})[0]; o.Status != ledger.Committed {
			t.Errorf("the next one: %v (%v)", o.Status, o.Err)
		}
	}
}

// TestRestartGoesOn: a file that was closed opens again with what was committed, stream included.
func TestRestartGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "with space & 100%.db")
	db, backend := openLedger(t, path)
	ref := ledger.Ref{Kind: ledger.Trip, ID: uuid.NewString()}
	tr := birth(ref.ID)
	tr.Events = []ledger.Event{{ID: "e", Type: "x", At: time.Now(), Data: json.RawMessage(`{}`), Recipients: []string{"u"}}}
	if o := backend.Writer.Commit(t.Context(), []ledger.Transition{tr})[0]; o.Status != ledger.Committed {
		t.Fatal(o.Err)
	}
	stream, err := backend.Inbox.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again, backend := openLedger(t, path)
	if pending, err := again.Pending(t.Context()); err != nil || pending {
		t.Errorf("schema pending after a restart: %v (%v)", pending, err)
	}
	if c, err := backend.Claimer.Claim(t.Context(), ref, "n"); err != nil || c.Version != 1 {
		t.Errorf("claimed %+v (%v)", c, err)
	}
	if head, err := backend.Inbox.Head(t.Context(), "u"); err != nil || head != 1 {
		t.Errorf("head %d (%v)", head, err)
	}
	if s, err := backend.Inbox.Stream(t.Context()); err != nil || s != stream {
		t.Errorf("stream %q became %q (%v)", stream, s, err)
	}
	renewed, err := sqlite.NewInbox(again).NewStream(t.Context())
	if err != nil || renewed == stream {
		t.Errorf("a new stream is %q (%v)", renewed, err)
	}
	if s, err := backend.Inbox.Stream(t.Context()); err != nil || s != renewed {
		t.Errorf("stream %q, want %q (%v)", s, renewed, err)
	}
	if err := again.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if now, err := again.Now(t.Context()); err != nil || time.Since(now).Abs() > time.Minute {
		t.Errorf("now is %v (%v)", now, err)
	}
}

// TestTracedCommit: the transaction is a span below the flush, and only when somebody traces.
func TestTracedCommit(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	db, backend := openLedger(t, sqlite.Memory)
	w := sqlite.NewWriter(db, sqlite.Options{Tracer: provider})
	id := uuid.NewString()
	if o := w.Commit(t.Context(), []ledger.Transition{birth(id)})[0]; o.Status != ledger.Committed {
		t.Fatal(o.Err)
	}
	if n := len(recorder.Started()); n != 0 {
		t.Fatalf("untraced work started %d spans", n)
	}
	ctx, command := provider.Tracer("test").Start(t.Context(), "command")
	if o := w.Commit(ctx, []ledger.Transition{birth(uuid.NewString())})[0]; o.Status != ledger.Committed {
		t.Fatal(o.Err)
	}
	if _, err := backend.Claimer.Claim(ctx, ledger.Ref{Kind: ledger.Trip, ID: id}, "n"); err != nil {
		t.Fatal(err)
	}
	command.End()
	spans := map[string]sdktrace.ReadOnlySpan{}
	for _, s := range recorder.Ended() {
		spans[s.Name()] = s
	}
	for child, parent := range map[string]string{"commit": "command", "sqlite.claim": "command", "sqlite.transaction": "ledger.flush"} {
		if spans[child] == nil || spans[parent] == nil || spans[child].Parent().SpanID() != spans[parent].SpanContext().SpanID() {
			t.Errorf("%s is not below %s: %v", child, parent, spans)
		}
	}
}
