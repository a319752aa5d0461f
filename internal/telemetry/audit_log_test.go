package telemetry

import "testing"

func TestWatchAuditLog(t *testing.T) {
	t.Parallel()
	m := NewMetrics("test")
	waiting, lost := 0, int64(0)
	m.WatchAuditLog(func() (int, int64) { return waiting, lost })
	waiting, lost = 7, 3 // read when asked, not when registered
	families, err := m.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			got[f.GetName()] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	if got["weelo_audit_log_waiting"] != 7 || got["weelo_audit_log_lost_total"] != 3 {
		t.Errorf("metrics %v", got)
	}
}
