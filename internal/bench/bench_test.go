package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/ledger"
	"weelo/internal/track"
)

// TestMain makes the test binary the forwarder's process too, as `weelo bench bare` is.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "bare" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		l, err := net.Listen("tcp", os.Args[2])
		switch {
		case err == nil && len(os.Args) > 3 && os.Args[3] == "durable":
			err = ServeDurable(ctx, l, atOnce{})
		case err == nil:
			err = ServeBare(ctx, l, len(os.Args) > 3)
		}
		if err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// atOnce says that it has kept everything.
type atOnce struct{}

func (atOnce) Record(_ context.Context, _ fleet.Member, _ string, fixes []track.Fix) (history.Result, error) {
	return history.Result{Processed: len(fixes), Accepted: len(fixes)}, nil
}

// TestHeading says what a run was, timed or counted.
func TestHeading(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Report{
		"medians of 3 runs of 10 s, 2 CPUs, go1; compare ratios, not figures of other runs":        {Runs: 3, Seconds: 10, CPUs: 2, Go: "go1"},
		"medians of 3 runs of 2000 logins, 2 CPUs, go1; compare ratios, not figures of other runs": {Runs: 3, Logins: 2000, CPUs: 2, Go: "go1"},
	} {
		if got := r.heading(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestRunMeasuresBothSides runs every experiment for a moment, with the forwarder on both sides.
func TestRunMeasuresBothSides(t *testing.T) {
	t.Parallel()
	command := []string{os.Args[0], "bare"}
	var progress bytes.Buffer
	report, err := Run(t.Context(), Options{
		Runs: 1, Duration: 400 * time.Millisecond, Drivers: 5, Rate: 200, FanOut: 20, Idle: 20, Ledgers: []LedgerUnderTest{fakeLedger()},
		bare: bareTarget{command: command}, naive: bareTarget{command: command, naive: true}, durable: bareTarget{command: command, durable: true}, weelo: bareTarget{command: command},
		warmUp: 200 * time.Millisecond, settle: 100 * time.Millisecond,
	}, &progress)
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	var names []string
	for _, row := range report.Rows {
		names = append(names, row.Name)
		if len(row.BareRuns) != 1 || len(row.WeeloRuns) != 1 {
			t.Errorf("%s: %v against %v", row.Name, row.BareRuns, row.WeeloRuns)
		}
		// a batch of the forwarder is one message with ten times; memory of 20 sockets may round to 0
		if !strings.HasPrefix(row.Name, "memory") && (row.Bare <= 0 || row.Weelo <= 0) {
			t.Errorf("%s: %v against %v", row.Name, row.Bare, row.Weelo)
		}
	}
	want := []string{
		"CPU per delivered location", "CPU per location, 10 a frame", "the same, beside a durable forwarder", "CPU per delivery, fan-out", "memory per idle socket",
		"delay of others, p99, with a hot driver", "commits, fake",
	}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}
	var table, text bytes.Buffer
	if err := report.WriteTable(&table); err != nil {
		t.Error(err)
	}
	if err := report.WriteJSON(&text); err != nil {
		t.Error(err)
	}
	var back Report
	if err := json.Unmarshal(text.Bytes(), &back); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(report, back); d != "" {
		t.Errorf("JSON (-want +got):\n%s", d)
	}
	for _, name := range want {
		if !strings.Contains(table.String(), name) || !strings.Contains(progress.String(), strings.SplitN(name, ",", 2)[0]) {
			t.Errorf("%q is not in the table or the progress", name)
		}
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	command := []string{os.Args[0], "bare"}
	start := time.Now()
	_, err := Run(ctx, Options{
		Only: []string{"single"}, Duration: time.Hour / 10, Drivers: 2, Rate: 10,
		bare: bareTarget{command: command}, naive: bareTarget{command: command}, weelo: bareTarget{command: command},
	}, &bytes.Buffer{})
	if err == nil || time.Since(start) > 30*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"unknown experiment": {Only: []string{"everything"}}, "too many": {Idle: 50_000}, "too long": {Duration: time.Hour},
	} {
		if _, err := Run(t.Context(), o, &bytes.Buffer{}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	tests := []struct {
		row  Row
		want string
	}{
		{Row{Ratio: 9}, "-"},
		{Row{Ratio: 1.5, Target: 1.5, Bound: 2}, "meets its target"},
		{Row{Ratio: 1.6, Target: 1.5, Bound: 2}, "within its bound"},
		{Row{Ratio: 2.1, Target: 1.5, Bound: 2}, "beyond its bound"},
		{Row{Ratio: 1.6, Target: 1.5}, "misses its target"},
		{Row{Ratio: 4, Target: 4, More: true}, "meets its target"},
		{Row{Ratio: 3.9, Target: 4, More: true}, "misses its target"},
	}
	for _, tt := range tests {
		if got := tt.row.Verdict(); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.row, got, tt.want)
		}
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		runs []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(tt.runs); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.runs, got, tt.want)
		}
	}
}

func TestProcessFigures(t *testing.T) {
	t.Parallel()
	before, err := cpu(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for start := time.Now(); time.Since(start) < 50*time.Millisecond; sum++ {
	}
	after, err := cpu(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("CPU went from %s to %s, %v (%d)", before, after, err, sum)
	}
	if m, err := rss(os.Getpid()); err != nil || m < 1<<20 {
		t.Errorf("memory %d, %v", m, err)
	}
	if _, err := cpu(1 << 30); err == nil {
		t.Error("a process that is not there has CPU time")
	}
}

// fakeLedger commits in memory.
func fakeLedger() LedgerUnderTest {
	f := &memoryLedger{versions: map[ledger.Ref]int64{}}
	return LedgerUnderTest{Name: "fake", Grouped: f, Single: f, Claimer: f}
}

type memoryLedger struct {
	mu       sync.Mutex
	versions map[ledger.Ref]int64
}

func (f *memoryLedger) Commit(_ context.Context, ts []ledger.Transition) []ledger.Outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]ledger.Outcome, len(ts))
	for i, t := range ts {
		if f.versions[t.Ref] != t.Version {
			out[i].Status = ledger.Moved
			continue
		}
		f.versions[t.Ref]++
		out[i].Status = ledger.Committed
	}
	return out
}

func (f *memoryLedger) Claim(_ context.Context, ref ledger.Ref, _ string) (ledger.Claimed, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return ledger.Claimed{Version: f.versions[ref], Epoch: 1}, nil
}
