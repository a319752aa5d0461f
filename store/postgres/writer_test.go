package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"weelo/internal/ledger"
)

func pgError(code, severity string) error {
	return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code, Severity: severity})
}

// TestErrorClasses: what may be tried again, what is one transition's fault, and what nobody knows.
func TestErrorClasses(t *testing.T) {
	t.Parallel()
	taken := &pgconn.PgError{Code: "23505", Severity: "ERROR", TableName: "trip", ConstraintName: "one_live_trip_per_driver"}
	usedMeanwhile := &pgconn.PgError{Code: "23505", Severity: "ERROR", TableName: "idem", ConstraintName: oneEffectPerCommand}
	for _, test := range []struct {
		name             string
		err              error
		passing, content bool
		outcome          ledger.Status
	}{
		{"deadlock", pgError("40P01", "ERROR"), true, false, ledger.Failed},
		{"serialization", pgError("40001", "ERROR"), true, false, ledger.Failed},
		{"read-only after a failover", pgError("25006", "ERROR"), true, false, ledger.Failed},
		{"going down, before COMMIT was sent", pgError("57P01", "FATAL"), true, false, ledger.Failed},
		{"connection lost before COMMIT was sent", io.ErrUnexpectedEOF, true, false, ledger.Failed},
		{"connection lost around COMMIT", unknownError{io.ErrUnexpectedEOF}, false, false, ledger.Unknown},
		{"going down around COMMIT", unknownError{pgError("57P01", "FATAL")}, false, false, ledger.Unknown},
		{"constraint error wrapped as unknown", unknownError{taken}, false, false, ledger.Unknown},
		{"deadline before COMMIT was sent", context.DeadlineExceeded, false, false, ledger.Failed},
		{"unique index of an aggregate", taken, false, true, ledger.Taken},
		{"command used meanwhile", usedMeanwhile, true, true, ledger.Failed},
		{"bad value", pgError("22P02", "ERROR"), false, true, ledger.Failed},
		{"check constraint", pgError("23514", "ERROR"), false, true, ledger.Failed},
		{"disk full", pgError("53100", "ERROR"), false, false, ledger.Failed},
	} {
		if got := passing(test.err); got != test.passing {
			t.Errorf("%s: tried again %v, want %v", test.name, got, test.passing)
		}
		if got := refusedByContent(test.err); got != test.content {
			t.Errorf("%s: one transition's fault %v, want %v", test.name, got, test.content)
		}
		if got := refusal(test.err); got.Status != test.outcome || !errors.Is(got.Err, test.err) {
			t.Errorf("%s: outcome %v (%v), want %v", test.name, got.Status, got.Err, test.outcome)
		}
	}
	if o := refusal(taken); o.Constraint != "one_live_trip_per_driver" {
		t.Errorf("taken names %q", o.Constraint)
	}
	for err, want := range map[error]bool{
		pgError("40P01", "ERROR"): true, pgError("57P01", "FATAL"): false, pgError("XX000", "PANIC"): false, io.EOF: false,
	} {
		if got := definite(err); got != want {
			t.Errorf("an answer to COMMIT of %v is definite: %v, want %v", err, got, want)
		}
	}
}
