package telemetry

import "github.com/prometheus/client_golang/prometheus"

// LimitMetrics counts what limits refused.
type LimitMetrics struct{ refused, local *prometheus.CounterVec }

func newLimitMetrics(r prometheus.Registerer) *LimitMetrics {
	return &LimitMetrics{
		refused: counter(r, "weelo_limit_refused_total", "Refusals by limit, and the alarms of the login gate.", "limit"),
		local:   counter(r, "weelo_limit_local_total", "What was counted by this process alone, because the shared store was away.", "limit"),
	}
}

// Begin shows the counters of these names from 0: an increase is only seen of a number that was there before.
func (m *LimitMetrics) Begin(names ...string) {
	for _, name := range names {
		m.refused.WithLabelValues(name)
		m.local.WithLabelValues(name)
	}
}

// LimitRefused counts one refusal; name is of a closed set.
func (m *LimitMetrics) LimitRefused(name string) { m.refused.WithLabelValues(name).Inc() }

// LimitLocal counts one event that was counted here alone.
func (m *LimitMetrics) LimitLocal(name string) { m.local.WithLabelValues(name).Inc() }

// WatchTasks shows how many tasks this one believes to share its limits with while the shared store is away, itself
// included. Call it once.
func (m *Metrics) WatchTasks(count func() int) {
	m.Registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "weelo_tasks", Help: "Tasks on the same Redis when it was last asked, this one included."},
		func() float64 { return float64(count()) }))
}
