package telemetry

import "github.com/prometheus/client_golang/prometheus"

// LimitMetrics counts what limits refused.
type LimitMetrics struct{ refused *prometheus.CounterVec }

func newLimitMetrics(r prometheus.Registerer) *LimitMetrics {
	return &LimitMetrics{counter(r, "weelo_limit_refused_total", "Refusals by limit, and the alarms of the login gate.", "limit")}
}

// LimitRefused counts one refusal; name is of a closed set.
func (m *LimitMetrics) LimitRefused(name string) { m.refused.WithLabelValues(name).Inc() }
