package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"weelo/internal/ledger"
	"weelo/internal/servertest"
	"weelo/store/postgres"
)

// TestTracedCommit: a traced transition's commit is linked with a flush whose statements are spans
// below it; an untraced one makes no span at all.
func TestTracedCommit(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	db, err := postgres.Open(t.Context(), postgres.Config{URL: servertest.Database(t), Tracer: provider})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	w := postgres.NewWriter(db, postgres.Options{Tracer: provider})
	ref := bornTrip(t, w)
	claimed, err := postgres.NewClaimer(db).Claim(t.Context(), ref, "n")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(recorder.Started()); n != 0 {
		t.Fatalf("untraced work started %d spans", n)
	}
	ctx, command := provider.Tracer("test").Start(t.Context(), "command")
	tr := transition(ref, claimed.Version, claimed.Epoch)
	tr.Trace = trace.SpanContextFromContext(ctx)
	if o := w.Commit(t.Context(), []ledger.Transition{tr})[0]; o.Status != ledger.Committed {
		t.Fatal(o.Err)
	}
	command.End()
	spans := map[string]sdktrace.ReadOnlySpan{}
	statements := 0
	for _, s := range recorder.Ended() {
		spans[s.Name()] = s
	}
	flush, commit := spans["ledger.flush"], spans["commit"]
	if flush == nil || commit == nil || commit.Parent().SpanID() != command.SpanContext().SpanID() {
		t.Fatalf("spans %v", spans)
	}
	for _, s := range recorder.Ended() {
		if s.SpanContext().TraceID() == flush.SpanContext().TraceID() && s != flush {
			statements++
		}
	}
	if statements < 4 {
		t.Errorf("%d statement spans below the flush: %v", statements, spans)
	}
	// A claim within a trace shows its statement there.
	ctx, activation := provider.Tracer("test").Start(t.Context(), "activation")
	if _, err := postgres.NewClaimer(db).Claim(ctx, ref, "n"); err != nil {
		t.Fatal(err)
	}
	activation.End()
	found := false
	for _, s := range recorder.Ended() {
		found = found || (s.Parent().SpanID() == activation.SpanContext().SpanID())
	}
	if !found {
		t.Error("the claim's statement is not below its span")
	}
}

func TestDatabaseClockAndSchema(t *testing.T) {
	t.Parallel()
	url := servertest.Postgres(t).Empty(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url, CommitConns: 1, ContendedConns: 1, ClaimConns: 1, GeneralConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if pending, err := db.Pending(t.Context()); err != nil || !pending {
		t.Errorf("an empty database: pending %v (%v)", pending, err)
	}
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if pending, err := db.Pending(t.Context()); err != nil || pending {
		t.Errorf("a migrated database: pending %v (%v)", pending, err)
	}
	now, err := db.Now(t.Context())
	if err != nil || time.Since(now).Abs() > time.Minute || now.Location() != time.UTC {
		t.Errorf("the database's clock says %v (%v)", now, err)
	}
	inbox := postgres.NewInbox(db)
	before, err := inbox.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	after, err := inbox.NewStream(t.Context())
	if err != nil || after == before {
		t.Errorf("stream %q became %q (%v)", before, after, err)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestConfigSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	err := postgres.Config{URL: "postgres://u:secret@h:port/d", CommitConns: -1, GeneralConns: 1000}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"URL", "CommitConns", "GeneralConns"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is in %q", err)
	}
	if _, err := postgres.Open(t.Context(), postgres.Config{}); err == nil {
		t.Error("opened without a URL")
	}
	// Nobody listens on port 1.
	if _, err := postgres.Open(t.Context(), postgres.Config{URL: "postgres://u@127.0.0.1:1/d", ConnectTimeout: time.Second}); err == nil {
		t.Error("opened a database that is not there")
	}
}

// TestPlainStepsTouchNoIndex: a step that moves neither driver, vehicle, slot nor life stays on its
// page (a HOT update), which is what the fill factor and the choice of indexes are for.
func TestPlainStepsTouchNoIndex(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: servertest.Database(t), CommitConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	w := full(db)
	ref := bornTrip(t, w)
	claimed, err := postgres.NewClaimer(db).Claim(t.Context(), ref, "n")
	if err != nil {
		t.Fatal(err)
	}
	const steps = 60
	for n := range int64(steps) {
		tr := transition(ref, claimed.Version+n, claimed.Epoch)
		tr.State = json.RawMessage(fmt.Sprintf(`{"status":"s%d","live":true,"driverId":"d","vehicleId":"v","orderId":"o","slot":1}`, n%3))
		if n == 0 {
			tr.Contended = true // it becomes live
		}
		if o := w.Commit(t.Context(), []ledger.Transition{tr})[0]; o.Status != ledger.Committed {
			t.Fatal(o.Err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for updates, hot := 0, 0; ; {
		// Statistics are told by the backend that did the work, at the end of a later transaction.
		if _, err := db.Commits.Exec(ctx, `SELECT pg_stat_force_next_flush()`); err != nil {
			t.Fatal(err)
		}
		if err := db.General.QueryRow(ctx, `SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'trip'`).Scan(&updates, &hot); err != nil {
			t.Fatal(err)
		}
		if updates >= steps-1 {
			if hot < steps*9/10 {
				t.Errorf("%d of %d updates stayed on their page", hot, updates)
			}
			return
		}
		<-tick.C
	}
}
