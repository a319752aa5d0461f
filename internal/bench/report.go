package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a benchmark found. Values are medians.
type Report struct {
	At      time.Time `json:"at"`
	CPUs    int       `json:"cpus"`
	Go      string    `json:"go"`
	Runs    int       `json:"runs"`
	Seconds float64   `json:"seconds,omitempty"` // of a run that is timed
	Logins  int       `json:"logins,omitempty"`  // of a run that is counted
	Rows    []Row     `json:"rows"`
}

// Row is one comparison. Ratio is weelo ÷ bare, smaller is better, unless More says the opposite.
type Row struct {
	Name      string    `json:"name"`
	What      string    `json:"what"`
	Unit      string    `json:"unit"`
	Against   string    `json:"against"` // what "bare" is here
	Bare      float64   `json:"bare"`
	Weelo     float64   `json:"weelo"`
	Ratio     float64   `json:"ratio"`
	Target    float64   `json:"target,omitempty"` // what the ratio should be; 0: no target
	Bound     float64   `json:"bound,omitempty"`  // what it must be; 0: no bound
	More      bool      `json:"more,omitempty"`   // more is better
	Notes     []string  `json:"notes,omitempty"`
	BareRuns  []float64 `json:"bareRuns"`
	WeeloRuns []float64 `json:"weeloRuns"`
}

func (r *Report) add(row Row) {
	row.Bare, row.Weelo = median(row.BareRuns), median(row.WeeloRuns)
	if row.Bare != 0 {
		row.Ratio = row.Weelo / row.Bare
	}
	if row.Against == "" {
		row.Against = "bare coder/websocket"
	}
	r.Rows = append(r.Rows, row)
}

func median(runs []float64) float64 {
	if len(runs) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(runs))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// Verdict is how the ratio stands to its target and bound.
func (r Row) Verdict() string {
	better := func(limit float64) bool { return r.More && r.Ratio >= limit || !r.More && r.Ratio <= limit }
	switch {
	case r.Target == 0:
		return "-"
	case better(r.Target):
		return "meets its target"
	case r.Bound != 0 && better(r.Bound):
		return "within its bound"
	case r.Bound != 0:
		return "beyond its bound"
	}
	return "misses its target"
}

// heading says what was measured, and where.
func (r Report) heading() string {
	extent := fmt.Sprintf("%.0f s", r.Seconds)
	if r.Logins > 0 {
		extent = fmt.Sprintf("%d logins", r.Logins)
	}
	return fmt.Sprintf("medians of %d runs of %s, %d CPUs, %s; compare ratios, not figures of other runs", r.Runs, extent, r.CPUs, r.Go)
}

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "\n%s\n\n", r.heading())
	_, _ = fmt.Fprintln(t, "what\tbare\tweelo\tunit\tratio\ttarget\t")
	for _, row := range r.Rows {
		target := "-"
		if row.Target != 0 {
			target = fmt.Sprintf("%s %.2f", map[bool]string{true: "≥", false: "≤"}[row.More], row.Target)
		}
		_, _ = fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%s\t%.2f\t%s\t%s\n", row.Name, row.Bare, row.Weelo, row.Unit, row.Ratio, target, row.Verdict())
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	for _, row := range r.Rows {
		if _, err := fmt.Fprintf(w, "\n%s: %s; against %s.%s\n", row.Name, row.What, row.Against, notes(row.Notes)); err != nil {
			return fmt.Errorf("write table: %w", err)
		}
	}
	return nil
}

func notes(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return " " + strings.Join(list, "; ") + "."
}

// WriteJSON writes the report for programs.
func (r Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
