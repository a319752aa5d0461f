package breaker_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"weelo/internal/breaker"
)

var (
	noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	rule = breaker.Rule{Span: 10 * time.Second, Pause: time.Second}
)

// TestOpens: at half of twenty within the span, and not before.
func TestOpens(t *testing.T) {
	t.Parallel()
	type run struct {
		n      int
		failed bool
		after  time.Duration
	}
	for name, c := range map[string]struct {
		runs []run
		open bool
	}{
		"half":                {[]run{{10, false, 0}, {10, true, 0}}, true},
		"fewer than half":     {[]run{{11, false, 0}, {9, true, 0}}, false},
		"fewer than twenty":   {[]run{{19, true, 0}}, false},
		"not within the span": {[]run{{15, true, 0}, {19, true, rule.Span}}, false},
	} {
		var b breaker.Breaker
		now := noon
		for _, r := range c.runs {
			now = now.Add(r.after)
			for range r.n {
				if b.Allow(now) {
					b.Record(rule, r.failed, now)
				}
			}
		}
		if b.Open() != c.open || b.Would(now) == c.open {
			t.Errorf("%s: open %v, would %v", name, b.Open(), b.Would(now))
		}
	}
}

// opened is a breaker that has just opened at noon.
func opened() breaker.Breaker {
	var b breaker.Breaker
	for range breaker.Size {
		b.Allow(noon)
		b.Record(rule, true, noon)
	}
	return b
}

// TestProbes: one at a time after the pause; a failure begins another pause, a success closes.
func TestProbes(t *testing.T) {
	t.Parallel()
	b, due := opened(), noon.Add(rule.Pause)
	if b.Allow(due.Add(-time.Millisecond)) {
		t.Error("allowed within the pause")
	}
	b.Record(rule, false, due) // began before it opened
	if !b.Open() {
		t.Error("closed by what was no probe")
	}
	if !b.Allow(due) || b.Allow(due) {
		t.Error("not one probe at a time")
	}
	b.Unknown()
	if !b.Allow(due) {
		t.Error("no probe after one that was given up")
	}
	b.Record(rule, true, due)
	if b.Allow(due) || !b.Allow(due.Add(rule.Pause)) {
		t.Error("a probe that failed does not begin another pause")
	}
	b.Record(rule, false, due.Add(rule.Pause))
	for range 2 * breaker.Size {
		if b.Open() || !b.Allow(due.Add(rule.Pause)) {
			t.Fatal("not closed by a probe that succeeded")
		}
	}
}

// TestNeverStuck: whatever happened, a pause after the last result a probe may go unless one is under way.
func TestNeverStuck(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b breaker.Breaker
		now, under := noon, 0
		t.Repeat(map[string]func(*rapid.T){
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond)
			},
			"try": func(*rapid.T) {
				if b.Allow(now) {
					under++
				}
			},
			"end": func(t *rapid.T) {
				if under == 0 {
					t.Skip("nothing is under way")
				}
				under--
				if rapid.Bool().Draw(t, "unknown") {
					b.Unknown()
				} else {
					b.Record(rule, rapid.Bool().Draw(t, "failed"), now)
				}
			},
			"": func(t *rapid.T) {
				if under == 0 && !b.Would(now.Add(rule.Pause)) {
					t.Fatal("left alone for ever")
				}
			},
		})
	})
}
