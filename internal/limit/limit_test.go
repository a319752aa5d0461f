package limit_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"weelo/internal/limit"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// In no span do more events pass than the burst and what comes back in that span; and whoever waits as
// long as he is told gets through.
func TestNoSpanHasMoreThanItsShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := limit.Limit{
			Events: rapid.IntRange(1, 20).Draw(rt, "events"), Burst: rapid.IntRange(1, 20).Draw(rt, "burst"),
			Per: time.Duration(rapid.IntRange(1, 3600).Draw(rt, "per")) * time.Second,
		}
		now, s := start, limit.State{}
		var passed []time.Time
		for range 200 {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*l.Interval())).Draw(rt, "gap")))
			next, wait := l.Take(s, now)
			if wait > 0 {
				if next != s {
					rt.Fatal("a refusal was counted")
				}
				if _, again := l.Take(s, now.Add(wait)); again != 0 {
					rt.Fatalf("told to wait %v, then again %v", wait, again)
				}
				if _, early := l.Take(s, now.Add(wait-1)); early == 0 {
					rt.Fatalf("told to wait %v, a nanosecond less was enough", wait)
				}
				continue
			}
			s, passed = next, append(passed, now)
		}
		for i, from := range passed {
			for j, to := range passed[i:] {
				if most := l.Burst + int(to.Sub(from)/l.Interval()); j+1 > most {
					rt.Fatalf("%d events in %v, at most %d", j+1, to.Sub(from), most)
				}
			}
		}
	})
}

func TestReturnMakesNoCredit(t *testing.T) {
	t.Parallel()
	l := limit.Limit{Events: 4, Per: time.Minute, Burst: 4}
	s, _ := l.Take(limit.State{}, start)
	for range 3 {
		s = l.Return(s, start)
	}
	for i := range 5 {
		var wait time.Duration
		if s, wait = l.Take(s, start); (wait > 0) != (i == 4) {
			t.Errorf("event %d waits %v", i, wait)
		}
	}
}

func TestScales(t *testing.T) {
	t.Parallel()
	l := limit.Limit{Name: "x", Events: 10, Per: 10 * time.Minute, Burst: 3, Block: time.Hour}
	if got := l.Scaled(60); got.Per != 10*time.Second || got.Block != time.Minute || got.Burst != 3 || got.Events != 10 {
		t.Errorf("%+v", got)
	}
	if got := l.Scaled(0); got != l {
		t.Errorf("%+v", got)
	}
	if got := l.Halved(); got.Events != 5 || got.Burst != 1 {
		t.Errorf("%+v", got)
	}
	if got := l.Times(10, "wide"); got.Name != "wide" || got.Events != 100 || got.Burst != 30 || got.Per != l.Per {
		t.Errorf("%+v", got)
	}
}
