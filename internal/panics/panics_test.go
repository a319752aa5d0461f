package panics_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weelo/internal/panics"
)

var start = time.Unix(1_700_000_000, 0)

// TestTooOften: so many within the window, wherever it begins; those of another, and older ones, do not count.
func TestTooOften(t *testing.T) {
	t.Parallel()
	m := &panics.Memory[string]{Most: 3, Window: time.Minute, Keep: 10}
	for i, c := range []struct {
		who   string
		after time.Duration
		out   bool
	}{
		{"a", 0, false},
		{"b", time.Second, false},
		{"a", 30 * time.Second, false},
		{"a", 60 * time.Second, false}, // the first is a window ago
		{"a", 89 * time.Second, true},
		{"a", 90 * time.Second, false}, // let in again, it begins anew
		{"a", 91 * time.Second, false},
		{"b", 92 * time.Second, false},
		{"a", 93 * time.Second, true},
	} {
		if out := m.Add(c.who, start.Add(c.after)); out != c.out {
			t.Errorf("panic %d, of %s after %s: out is %v", i, c.who, c.after, out)
		}
	}
}

// TestRoom: without room the one who broke last the longest ago is forgotten, nobody who broke since.
func TestRoom(t *testing.T) {
	t.Parallel()
	m := &panics.Memory[int]{Most: 2, Window: time.Hour, Keep: 3}
	for n := range 4 {
		m.Add(n, start.Add(time.Duration(n)*time.Minute))
	}
	if m.Len() != 3 || m.Add(0, start.Add(5*time.Minute)) {
		t.Errorf("%d are remembered, or the first of them still is", m.Len())
	}
	if !m.Add(3, start.Add(6*time.Minute)) || !m.Add(2, start.Add(6*time.Minute)) {
		t.Error("one that broke lately was forgotten")
	}
	m.Add(7, start.Add(2*time.Hour))
	m.Add(8, start.Add(2*time.Hour))
	m.Add(9, start.Add(2*time.Hour))
	if m.Add(10, start.Add(2*time.Hour)); m.Len() != 3 {
		t.Errorf("%d are remembered", m.Len())
	}
}

// TestAsCounted: whoever breaks and whenever, with room for all, somebody is out exactly when Most of his
// panics since he was last out lie within the window, and memory is bounded.
func TestAsCounted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most, window := rapid.IntRange(1, 5).Draw(t, "most"), time.Duration(rapid.IntRange(1, 30).Draw(t, "window"))*time.Second
		m := &panics.Memory[string]{Most: most, Window: window, Keep: 4}
		now, since := start, map[string][]time.Time{}
		for range rapid.IntRange(1, 100).Draw(t, "panics") {
			now = now.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "pause")) * time.Second)
			who := fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "who"))
			since[who] = append(since[who], now)
			n := 0
			for _, at := range since[who] {
				if now.Sub(at) < window {
					n++
				}
			}
			out := m.Add(who, now)
			if out != (n >= most) {
				t.Fatalf("%d panics of %s within %s, out is %v", n, who, window, out)
			}
			if out {
				delete(since, who)
			}
			if m.Len() > m.Keep {
				t.Fatalf("%d are remembered", m.Len())
			}
		}
	})
}
