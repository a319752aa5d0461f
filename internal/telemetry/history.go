package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"weelo/internal/history"
)

// WatchHistory shows what the recorder of fixes did. Call it once.
func (m *Metrics) WatchHistory(read func() history.Stats) {
	show := func(name, help string, labels prometheus.Labels, value func(history.Stats) int64) {
		m.Registry.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value(read())) }))
	}
	const batches, native = "weelo_history_fixes_total", "weelo_history_native_fixes_total"
	const batchHelp, nativeHelp = "Fixes of batches, by what was answered.", "Native fixes on their way into history, by what became of them."
	fate := func(f string) prometheus.Labels { return prometheus.Labels{"fate": f} }
	show(batches, batchHelp, fate("accepted"), func(s history.Stats) int64 { return s.Accepted })
	show(batches, batchHelp, fate("stale"), func(s history.Stats) int64 { return s.Stale })
	show(batches, batchHelp, fate("duplicate"), func(s history.Stats) int64 { return s.Duplicate })
	show(batches, batchHelp, fate("invalid"), func(s history.Stats) int64 { return s.Invalid })
	show(native, nativeHelp, fate("stored"), func(s history.Stats) int64 { return s.NotesStored })
	show(native, nativeHelp, fate("dropped"), func(s history.Stats) int64 { return s.NotesDropped })
	show(native, nativeHelp, fate("outside"), func(s history.Stats) int64 { return s.NotesOutside })
	show("weelo_history_commits_total", "Commits of fixes.", nil, func(s history.Stats) int64 { return s.Groups })
	show("weelo_history_commit_failures_total", "Commits of fixes that failed or are uncertain; phones send again.", nil, func(s history.Stats) int64 { return s.Failures })
	show("weelo_history_refused_total", "Batches refused because the queue was full.", nil, func(s history.Stats) int64 { return s.Refused })
	m.Registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "weelo_history_queue", Help: "Batches waiting for a commit."},
		func() float64 { return float64(read().QueueLength) }))
}
