package telemetry

import (
	"testing"

	"weelo/internal/history"
)

func TestHistoryIsShownAsItIs(t *testing.T) {
	t.Parallel()
	m := NewMetrics("test")
	s := history.Stats{Accepted: 3, NotesDropped: 2, Groups: 1}
	m.WatchHistory(func() history.Stats { return s })
	s.Accepted, s.QueueLength = 5, 7 // read when asked, not when registered
	families, err := m.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			name := f.GetName()
			for _, l := range metric.GetLabel() {
				name += "/" + l.GetValue()
			}
			got[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"weelo_history_fixes_total/accepted": 5, "weelo_history_native_fixes_total/dropped": 2,
		"weelo_history_commits_total": 1, "weelo_history_queue": 7, "weelo_history_refused_total": 0,
	} {
		if v, there := got[name]; !there || v != want {
			t.Errorf("%s is %v (there: %v), want %v", name, v, there, want)
		}
	}
}
