package limit_test

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weelo/internal/limit"
	"weelo/store/memory"
)

// TestTasksShareALimit: however requests fall on tasks that count alone, all of them together let through no more than
// the limit; where fewer than one for each are allowed at once, one for each.
func TestTasksShareALimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		tasks := rapid.IntRange(1, 8).Draw(rt, "tasks")
		l := limit.Limit{
			Name: "x", Events: rapid.IntRange(1, 20).Draw(rt, "events"), Burst: rapid.IntRange(1, 20).Draw(rt, "burst"),
			Per: time.Duration(rapid.IntRange(1, 600).Draw(rt, "per")) * time.Second,
		}
		now := start
		var alone []*memory.Rates
		for range tasks {
			alone = append(alone, memory.NewRates(func() time.Time { return now }))
		}
		var passed []time.Time
		for range 200 {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(l.Interval())).Draw(rt, "gap")))
			task := alone[rapid.IntRange(0, tasks-1).Draw(rt, "task")]
			if wait, err := task.Take(t.Context(), l.Share(tasks), "k"); err != nil {
				rt.Fatal(err)
			} else if wait == 0 {
				passed = append(passed, now)
			}
		}
		for i, from := range passed {
			for j, to := range passed[i:] {
				// Each task may be in the middle of an interval: one more comes back for each.
				if most := max(l.Burst, tasks) + int(to.Sub(from)/l.Interval()) + tasks; j+1 > most {
					rt.Fatalf("%d events in %v on %d tasks, at most %d", j+1, to.Sub(from), tasks, most)
				}
			}
		}
	})
}

func TestShare(t *testing.T) {
	t.Parallel()
	l := limit.Limit{Name: "x", Events: 20, Per: time.Minute, Burst: 7, Block: time.Hour}
	for n, want := range map[int]limit.Limit{
		-1: l, 0: l, 1: l,
		2:  {Name: "x", Events: 20, Per: 2 * time.Minute, Burst: 3, Block: time.Hour},
		10: {Name: "x", Events: 20, Per: 10 * time.Minute, Burst: 1, Block: time.Hour},
	} {
		if got := l.Share(n); got != want {
			t.Errorf("of %d: %+v", n, got)
		}
	}
}

func TestTasks(t *testing.T) {
	t.Parallel()
	var tasks limit.Tasks
	for i, step := range []struct{ saw, count int }{
		{0, 1}, {1, 1}, {4, 4}, {1, 4}, {2, 4}, {2, 2}, {2, 2}, {3, 3}, {1 << 40, 1000}, {1, 1000}, {1, 1000}, {1, 1},
	} {
		if tasks.Saw(step.saw); tasks.Count() != step.count {
			t.Errorf("step %d, saw %d: %d tasks, want %d", i, step.saw, tasks.Count(), step.count)
		}
	}
	if n := new(limit.Tasks).Count(); n != 1 {
		t.Errorf("nobody counted: %d", n)
	}
}

// TestFallbackCountsItsShare: alone a task lets through its share of a limit, together all of it.
func TestFallbackCountsItsShare(t *testing.T) {
	t.Parallel()
	now := func() time.Time { return start }
	l := limit.Limit{Name: "x", Events: 12, Per: time.Minute, Burst: 12}
	for _, c := range []struct {
		tasks func() int
		away  error
		want  int
	}{
		{func() int { return 3 }, errors.New("away"), 4},
		{func() int { return 1 }, errors.New("away"), 12},
		{nil, errors.New("away"), 12},
		{func() int { return 3 }, nil, 12},
	} {
		shared := limit.Limiter(memory.NewRates(now))
		if c.away != nil {
			shared = &asked{err: c.away}
		}
		f := limit.NewFallback(limit.FallbackConfig{Shared: shared, Local: memory.NewRates(now), Now: now, Tasks: c.tasks, Log: slog.New(slog.DiscardHandler)})
		let := 0
		for range 30 {
			asks, err := f.Wait(t.Context(), l, "k")
			wait, err2 := f.Take(t.Context(), l, "k")
			if err != nil || err2 != nil || asks != wait {
				t.Fatal(fmt.Sprint(asks, wait, err, err2))
			}
			if wait == 0 {
				let++
			}
		}
		if let != c.want {
			t.Errorf("away %v: %d let through, want %d", c.away, let, c.want)
		}
		if f.Return(t.Context(), l, "k") != nil {
			t.Error("not returned")
		}
		if wait, _ := f.Take(t.Context(), l, "k"); wait != 0 {
			t.Errorf("away %v: what was returned cannot be had", c.away)
		}
	}
}
