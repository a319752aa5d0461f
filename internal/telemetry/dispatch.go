package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// DispatchMetrics counts what becomes of orders. Every label is of a closed set: statuses, reasons
// of the contract.
type DispatchMetrics struct {
	orders, waves, offers, holds, confirms *prometheus.CounterVec
	candidates, notified                   prometheus.Observer
	filled                                 *prometheus.HistogramVec
}

// searchSeconds spans what a search lasts, from a quick hold to an order that was extended.
var searchSeconds = []float64{1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 600}

func newDispatchMetrics(r prometheus.Registerer) *DispatchMetrics {
	people := []float64{0, 1, 2, 5, 10, 20, 50, 100, 250}
	return &DispatchMetrics{
		orders:     counter(r, "weelo_orders_total", "Orders by the status they came into.", "status"),
		waves:      counter(r, "weelo_order_waves_total", "Waves of searches, by whether somebody was shown the order.", "outcome"),
		candidates: histogram(r, "weelo_order_wave_candidates", "Transporters that one wave looked at.", people).WithLabelValues(),
		notified:   histogram(r, "weelo_order_wave_notified", "Transporters that one wave was shown to.", people).WithLabelValues(),
		offers:     counter(r, "weelo_offers_total", "Offers by what became of them.", "change"),
		holds:      counter(r, "weelo_holds_total", "Holds by what became of them, refusals by their reason.", "outcome"),
		confirms:   counter(r, "weelo_confirms_total", "Confirmations, refusals by their reason.", "outcome"),
		filled:     histogram(r, "weelo_order_fill_seconds", "Time from the begin of a search until a truck was accepted: the first one, or all of them.", searchSeconds, "trucks"),
	}
}

// Order counts an order that came into a status.
func (m *DispatchMetrics) Order(status string) { m.orders.WithLabelValues(status).Inc() }

// Wave counts one wave: how many it looked at and how many it was shown to.
func (m *DispatchMetrics) Wave(candidates, notified int) {
	outcome := "shown"
	if notified == 0 {
		outcome = "nobody"
	}
	m.waves.WithLabelValues(outcome).Inc()
	m.candidates.Observe(float64(candidates))
	m.notified.Observe(float64(notified))
}

// Offers counts offers that changed.
func (m *DispatchMetrics) Offers(change string, n int) {
	m.offers.WithLabelValues(change).Add(float64(n))
}

// Hold counts a hold's outcome.
func (m *DispatchMetrics) Hold(outcome string) { m.holds.WithLabelValues(outcome).Inc() }

// Confirm counts a confirmation's outcome.
func (m *DispatchMetrics) Confirm(outcome string) { m.confirms.WithLabelValues(outcome).Inc() }

// Filled takes the time to the first accepted truck, or to all of them.
func (m *DispatchMetrics) Filled(all bool, took time.Duration) {
	trucks := "first"
	if all {
		trucks = "all"
	}
	m.filled.WithLabelValues(trucks).Observe(took.Seconds())
}
