package telemetry

import "github.com/prometheus/client_golang/prometheus"

// WatchAuditLog shows how many entries wait for the store (at 10,000 nobody can log in) and how many
// notes found no place. Call it once.
func (m *Metrics) WatchAuditLog(read func() (waiting int, lost int64)) {
	m.Registry.MustRegister(
		prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "weelo_audit_log_waiting", Help: "Audit entries that wait for the store; at 10000 logins are refused."},
			func() float64 { waiting, _ := read(); return float64(waiting) }),
		prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: "weelo_audit_log_lost_total", Help: "Notes of refusals that found no place in the buffer."},
			func() float64 { _, lost := read(); return float64(lost) }),
	)
}
