package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/coder/websocket"
)

// single: drivers send one fix a message, each has one watcher.
func (r *runner) single(ctx context.Context) error {
	row := Row{Name: "CPU per delivered location", Unit: "µs", Target: 1.5, Bound: 2, What: fmt.Sprintf("%d drivers, %d fixes/s, one watcher each", r.Drivers, r.Rate)}
	return r.alternate(ctx, row, r.bare, r.weelo, Need{Drivers: r.Drivers, Trips: true}, func(ctx context.Context, s Server) (float64, string, error) {
		return r.costPerLocation(ctx, s, 0)
	})
}

// batch: ten fixes a message. The product commits them to history before it answers, and shows the
// newest; the forwarder passes the message on. The second row is against a forwarder with the same
// history: it tells the price of the promise from the price of the product.
func (r *runner) batch(ctx context.Context) error {
	measure := func(ctx context.Context, s Server) (float64, string, error) { return r.costPerLocation(ctx, s, 10) }
	need := Need{Drivers: r.Drivers, Trips: true}
	row := Row{Name: "CPU per location, 10 a frame", Unit: "µs", Target: 2, What: fmt.Sprintf("%d drivers, %d fixes/s; weelo commits every batch to disk before its ack", r.Drivers, r.Rate)}
	if err := r.alternate(ctx, row, r.bare, r.weelo, need, measure); err != nil {
		return err
	}
	row.Name, row.Target = "the same, beside a durable forwarder", 0
	row.Against = "coder/websocket that decodes, commits to the same history and answers"
	return r.alternate(ctx, row, r.durable, r.weelo, need, measure)
}

func (r *runner) costPerLocation(ctx context.Context, s Server, batch int) (float64, string, error) {
	messages := r.Rate / max(batch, 1)
	l := load{
		every: time.Duration(r.Drivers) * time.Second / time.Duration(max(messages, 1)), batch: batch, lasts: r.Duration, warmUp: r.warmUp,
	}
	o, used, err := r.measured(ctx, s, &l, r.Drivers, func(i int) Peer { return s.Watcher(i, 0) })
	if err != nil || o.sent == 0 {
		return 0, "", err
	}
	note := ""
	counted := o.delivered
	if batch > 0 {
		counted = o.sent // of a batch the newest is shown: what counts is what was taken in
	}
	if missing := 1 - float64(counted)/float64(o.sent); missing > 0.02 {
		note = fmt.Sprintf("%.0f %% not delivered", 100*missing)
	}
	if o.behind > 500*time.Millisecond {
		note += fmt.Sprintf(" generator late by %s", o.behind.Round(time.Millisecond))
	}
	if counted == 0 {
		return 0, note, fmt.Errorf("nothing was delivered of %d", o.sent)
	}
	return float64(used.Microseconds()) / float64(counted), note, nil
}

// measured connects, runs the load and gives the CPU that the server used in the measured stretch.
func (r *runner) measured(ctx context.Context, s Server, l *load, watchers int, watcher func(i int) Peer) (o outcome, used time.Duration, err error) {
	if l.drivers == nil {
		if l.drivers, err = openAll(ctx, r.Drivers, s.Driver); err != nil {
			return o, 0, err
		}
		defer closeAll(l.drivers)
	}
	if l.watchers, err = openAll(ctx, watchers, watcher); err != nil {
		return o, 0, err
	}
	defer closeAll(l.watchers)
	var marks []time.Duration
	o, err = l.run(ctx, func() error {
		c, err := cpu(s.PID())
		if marks = append(marks, c); len(marks) == 1 {
			r.profile(ctx, s)
		}
		return err
	})
	if err != nil {
		return o, 0, err
	}
	return o, marks[1] - marks[0], nil
}

// profiler is a server that can profile itself.
type profiler interface {
	profile(ctx context.Context, lasts time.Duration, file string) error
	heap(ctx context.Context, file string) error
}

// profile begins a profile of the stretch, where one is wanted. It costs the product a few per cent.
func (r *runner) profile(ctx context.Context, s Server) {
	p, ok := s.(profiler)
	if !ok || r.Profiles == "" {
		return
	}
	file := filepath.Join(r.Profiles, r.running+".pprof")
	go func() {
		if err := p.profile(ctx, r.Duration, file); err != nil && ctx.Err() == nil {
			r.say("  no profile: %v", err)
		}
	}()
}

// fanOut: one driver, many watchers.
func (r *runner) fanOut(ctx context.Context) error {
	row := Row{Name: "CPU per delivery, fan-out", Unit: "µs", Target: 1.3, What: fmt.Sprintf("1 driver at 4 fixes/s, %d watchers", r.FanOut)}
	return r.alternate(ctx, row, r.bare, r.weelo, Need{Drivers: 1, Trips: true}, func(ctx context.Context, s Server) (float64, string, error) {
		driver, err := s.Driver(0).open(ctx)
		if err != nil {
			return 0, "", err
		}
		defer func() { _ = driver.CloseNow() }()
		l := load{drivers: []*websocket.Conn{driver}, every: 250 * time.Millisecond, lasts: r.Duration, warmUp: r.warmUp}
		o, used, err := r.measured(ctx, s, &l, r.FanOut, func(k int) Peer { return s.Watcher(0, k) })
		if err != nil {
			return 0, "", err
		}
		if o.delivered == 0 {
			return 0, "", fmt.Errorf("nothing was delivered of %d", o.sent)
		}
		note := ""
		if missing := 1 - float64(o.delivered)/float64(o.sent*int64(r.FanOut)); missing > 0.05 {
			note = fmt.Sprintf("%.0f %% not delivered", 100*missing)
		}
		return float64(used.Microseconds()) / float64(o.delivered), note, nil
	})
}

// memory: sockets that do nothing; in the product each is an authenticated driver with his actor.
// Every run has a process of its own: what one run has freed the next would find.
func (r *runner) memory(ctx context.Context) error {
	row := Row{Name: "memory per idle socket", Unit: "KiB", Target: 1, Bound: 1.5, What: fmt.Sprintf("%d sockets; weelo: authenticated drivers with their actors; bare: Conn.Read in the request's goroutine", r.Idle)}
	for run := range min(r.Runs, 3) {
		for _, side := range []struct {
			target Target
			runs   *[]float64
		}{{r.naive, &row.BareRuns}, {r.weelo, &row.WeeloRuns}} {
			r.say("%s: starting %s", row.Name, side.target.Name())
			value, err := r.memoryOf(ctx, side.target)
			if err != nil {
				return err
			}
			*side.runs = append(*side.runs, value)
			r.say("  %d/%d %-6s %10.2f %s", run+1, min(r.Runs, 3), side.target.Name(), value, row.Unit)
		}
	}
	r.report.add(row)
	return nil
}

func (r *runner) memoryOf(ctx context.Context, target Target) (float64, error) {
	s, err := target.Start(ctx, Need{Drivers: r.Idle})
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.Stop() }()
	warm, err := openAll(ctx, min(r.Idle, 50), s.Idle) // what the first sockets allocate for all
	if err != nil {
		return 0, err
	}
	closeAll(warm)
	if err := pause(ctx, r.settle); err != nil {
		return 0, err
	}
	before, err := rss(s.PID())
	if err != nil {
		return 0, err
	}
	conns, err := openAll(ctx, r.Idle, s.Idle)
	if err != nil {
		return 0, err
	}
	defer closeAll(conns)
	if err := pause(ctx, r.settle); err != nil {
		return 0, err
	}
	after, err := rss(s.PID())
	if err != nil {
		return 0, err
	}
	if p, ok := s.(profiler); ok && r.Profiles != "" {
		if err := p.heap(ctx, filepath.Join(r.Profiles, r.running+".pprof")); err != nil {
			r.say("  no profile: %v", err)
		}
	}
	return float64(after-before) / 1024 / float64(r.Idle), nil
}

// hot: does a driver who sends as fast as his socket takes it delay the others?
func (r *runner) hot(ctx context.Context) error {
	n := min(r.Drivers, 50)
	row := Row{Name: "delay of others, p99, with a hot driver", Unit: "ms", What: fmt.Sprintf("%d drivers at 1 fix/s with a watcher each, beside one who never stops; bare: the same on the forwarder", n)}
	return r.alternate(ctx, row, r.bare, r.weelo, Need{Drivers: n + 1, Trips: true}, func(ctx context.Context, s Server) (float64, string, error) {
		quiet, err := r.delay(ctx, s, n, false)
		if err != nil {
			return 0, "", err
		}
		busy, err := r.delay(ctx, s, n, true)
		if err != nil {
			return 0, "", err
		}
		return ms(busy), fmt.Sprintf("without him %.0f ms", ms(quiet)), nil
	})
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// delay is the p99 of what watchers of n ordinary drivers see, with or without a hot one.
func (r *runner) delay(ctx context.Context, s Server, n int, withHot bool) (time.Duration, error) {
	drivers, err := openAll(ctx, n, s.Driver)
	if err != nil {
		return 0, err
	}
	defer closeAll(drivers)
	if withHot {
		stop, err := flood(ctx, s.Driver(n), s.Watcher(n, 0))
		if err != nil {
			return 0, err
		}
		defer stop()
	}
	l := load{drivers: drivers, every: time.Second, lasts: r.Duration, warmUp: r.warmUp, latency: true}
	o, _, err := r.measured(ctx, s, &l, n, func(i int) Peer { return s.Watcher(i, 0) })
	if err != nil {
		return 0, err
	}
	if len(o.latencies) == 0 {
		return 0, fmt.Errorf("nothing was delivered of %d", o.sent)
	}
	return o.latencies[len(o.latencies)*99/100], nil
}

// flood is a driver who sends without a pause, and his watcher.
func flood(ctx context.Context, driver, watcher Peer) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	conns, err := openAll(ctx, 2, func(i int) Peer { return []Peer{driver, watcher}[i] })
	if err != nil {
		cancel()
		return nil, err
	}
	done := make(chan struct{}, 3)
	go func() { drain(ctx, conns[0]); done <- struct{}{} }()
	go func() { drain(ctx, conns[1]); done <- struct{}{} }()
	go func() {
		defer func() { done <- struct{}{} }()
		l := load{}
		var buffer []byte
		for n := int64(0); ctx.Err() == nil; {
			buffer, n = l.message(buffer[:0], n, time.Now())
			if conns[0].Write(ctx, websocket.MessageText, buffer) != nil {
				return
			}
		}
	}()
	return func() {
		cancel()
		closeAll(conns)
		for range 3 {
			<-done
		}
	}, nil
}
