package outage

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"weelo/internal/servertest"
)

// TestGuessesFromThreeProcessesAreCountedAsOne sends wrong codes for one phone to one serve, then to three on
// the same stores: as many are compared with a code, the phone's ceiling and no more. The long form is
// weelo bench auth --guesses 100000.
func TestGuessesFromThreeProcessesAreCountedAsOne(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, servertest.Program(t), "bench", "auth", "--runs", "1", "--logins", "100", "--guesses", "3000", "--json")
	cmd.Env = (&town{database: servertest.Database(t), cache: servertest.Redis(t)}).environ()
	var progress bytes.Buffer
	cmd.Stderr = &progress
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, progress.String(), out)
	}
	var report struct {
		Rows []struct {
			Name        string
			Bare, Weelo float64
			Notes       []string
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const ceiling = 15 // failed tries of a phone in 24 h
	found := false
	for _, row := range report.Rows {
		if row.Bare <= 0 || row.Weelo <= 0 {
			t.Errorf("%s was not measured: %+v", row.Name, row)
		}
		if row.Name == "guesses compared" {
			found = true
			if row.Bare != ceiling || row.Weelo != ceiling {
				t.Errorf("one process compared %v guesses and three %v; the ceiling is %d", row.Bare, row.Weelo, ceiling)
			}
			t.Log(row.Notes)
		}
	}
	if !found || len(report.Rows) != 5 {
		t.Errorf("the report has %d rows: %s", len(report.Rows), out)
	}
}
