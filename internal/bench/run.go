package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"
)

// Options size a benchmark. The zero value of a field means its default.
type Options struct {
	// Binary is the weelo executable; default is the running one.
	Binary string
	// Ledgers are the writers whose commits are measured; none skips that experiment.
	Ledgers []LedgerUnderTest

	Only     []string      // experiments to run; empty: all (see Experiments)
	Runs     int           // of each side of each experiment; default 5
	Duration time.Duration // of one measured stretch; default 8 s
	Drivers  int           // default 200
	Rate     int           // fixes a second over all drivers; default 2,000
	FanOut   int           // watchers of one driver; default 1,000
	Idle     int           // idle sockets; default 1,000
	Profiles string        // folder for CPU profiles of the product, one per experiment; "": none

	// for the tests; zero: the bare forwarder and the product, 2 s and 3 s
	bare, naive, durable, weelo Target
	warmUp                      time.Duration // of traffic before it is measured
	settle                      time.Duration // of idle sockets before their memory is read
}

// Experiments are the names for Options.Only.
func Experiments() []string {
	return []string{"single", "batch", "fanout", "memory", "hot", "commits"}
}

func (o Options) withDefaults() (Options, error) {
	number(&o.Runs, 5)
	number(&o.Drivers, 200)
	number(&o.Rate, 2000)
	number(&o.FanOut, 1000)
	number(&o.Idle, 1000)
	number(&o.Duration, 8*time.Second)
	number(&o.warmUp, 2*time.Second)
	number(&o.settle, 3*time.Second)
	var problems []error
	for _, name := range o.Only {
		if !slices.Contains(Experiments(), name) {
			problems = append(problems, fmt.Errorf("there is no experiment %q; there are %v", name, Experiments()))
		}
	}
	if o.Runs > 25 || o.Drivers > 10_000 || o.FanOut > 10_000 || o.Idle > 20_000 || o.Rate > 200_000 || o.Duration > 10*time.Minute {
		problems = append(problems, errors.New("that is more than this benchmark is made for: 25 runs of 10 min, 10,000 drivers or watchers, 20,000 idle sockets, 200,000 fixes/s"))
	}
	if o.Binary == "" {
		exe, err := os.Executable()
		if err != nil {
			problems = append(problems, fmt.Errorf("find the weelo binary: %w", err))
		}
		o.Binary = exe
	}
	bare := []string{o.Binary, "bench", "bare"}
	if o.bare == nil {
		o.bare = bareTarget{command: bare}
	}
	if o.naive == nil {
		o.naive = bareTarget{command: bare, naive: true}
	}
	if o.durable == nil {
		o.durable = bareTarget{command: bare, durable: true}
	}
	if o.weelo == nil {
		o.weelo = weeloTarget{binary: o.Binary}
	}
	return o, errors.Join(problems...)
}

func number[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

func (o Options) wants(experiment string) bool {
	return len(o.Only) == 0 || slices.Contains(o.Only, experiment)
}

// Run measures and writes progress to out. It stops where ctx ends and then answers what it has, with
// the error.
func Run(ctx context.Context, o Options, out io.Writer) (Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Report{}, err
	}
	r := runner{Options: o, out: out, report: Report{
		At: time.Now().UTC(), CPUs: runtime.NumCPU(), Go: runtime.Version(), Runs: o.Runs, Seconds: o.Duration.Seconds(),
	}}
	for _, e := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"single", r.single}, {"batch", r.batch}, {"fanout", r.fanOut}, {"memory", r.memory}, {"hot", r.hot}, {"commits", r.commits},
	} {
		if !o.wants(e.name) {
			continue
		}
		r.running = e.name
		if err := e.run(ctx); err != nil {
			return r.report, fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return r.report, nil
}

// runner is one Run.
type runner struct {
	Options
	out     io.Writer
	report  Report
	running string // the experiment
}

func (r *runner) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.out, format+"\n", args...) // progress; a closed terminal does not end a benchmark
}

// alternate measures both targets in turns, each run with a process of its own that lives for all runs,
// and notes the medians under the experiment's name.
func (r *runner) alternate(ctx context.Context, row Row, a, b Target, need Need, measure func(ctx context.Context, s Server) (float64, string, error)) error {
	r.say("%s: starting %s and %s", row.Name, a.Name(), b.Name())
	first, err := a.Start(ctx, need)
	if err != nil {
		return err
	}
	defer func() { _ = first.Stop() }()
	second, err := b.Start(ctx, need)
	if err != nil {
		return err
	}
	defer func() { _ = second.Stop() }()
	for run := range r.Runs {
		for i, s := range []Server{first, second} {
			value, note, err := measure(ctx, s)
			if err != nil {
				return err
			}
			name := a.Name()
			if i == 0 {
				row.BareRuns = append(row.BareRuns, value)
			} else {
				name = b.Name()
				row.WeeloRuns = append(row.WeeloRuns, value)
			}
			if note != "" && !slices.Contains(row.Notes, name+": "+note) {
				row.Notes = append(row.Notes, name+": "+note)
			}
			r.say("  %d/%d %-6s %10.2f %s %s", run+1, r.Runs, name, value, row.Unit, note)
		}
	}
	r.report.add(row)
	return nil
}
