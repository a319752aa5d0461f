package notify

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Meter counts messages. A nil Meter counts nothing.
type Meter struct {
	asks    *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	open    *prometheus.GaugeVec
	unsent  *prometheus.CounterVec
	waiting prometheus.Gauge
	reports *prometheus.CounterVec
	strange *prometheus.CounterVec
}

// NewMeter makes one and shows it in a registry.
func NewMeter(r prometheus.Registerer) *Meter {
	m := &Meter{
		asks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weelo_sms_total", Help: "Messages handed to an SMS provider, by template and by what it answered: accepted, refused, undecided.",
		}, []string{"provider", "template", "class"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weelo_sms_provider_seconds", Help: "How long an SMS provider took to answer.", Buckets: []float64{.05, .1, .25, .5, 1, 2, 3, 5},
		}, []string{"provider"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weelo_sms_breaker_open", Help: "1 while an SMS provider is left alone because it failed.",
		}, []string{"provider", "traffic"}),
		unsent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weelo_sms_codes_unsent_total", Help: "Codes that were not sent (refused) or perhaps not (undecided) after every provider that may be asked, by why.",
		}, []string{"template", "class", "reason"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{Name: "weelo_sms_waiting", Help: "Codes that wait for a worker."}),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weelo_sms_delivery_total", Help: "Delivery reports of messages that a provider took, by template and state: sent, delivered, failed, blocked.",
		}, []string{"provider", "template", "state"}),
		strange: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weelo_sms_reports_refused_total", Help: "Requests to the address of delivery reports that were none: forged, malformed, too_big.",
		}, []string{"provider", "why"}),
	}
	r.MustRegister(m.asks, m.seconds, m.open, m.unsent, m.waiting, m.reports, m.strange)
	return m
}

func (m *Meter) asked(provider, template string, class Class, took time.Duration) {
	if m != nil {
		m.asks.WithLabelValues(provider, template, class.String()).Inc()
		m.seconds.WithLabelValues(provider).Observe(took.Seconds())
	}
}

// begin shows a provider's counters of reports from 0: an increase is only seen of a number that was there before.
func (m *Meter) begin(provider string) {
	if m == nil {
		return
	}
	for _, t := range templates {
		for _, s := range []State{Sent, Delivered, Failed, Blocked} {
			m.reports.WithLabelValues(provider, t.Key, string(s))
		}
	}
}

func (m *Meter) breaker(provider, traffic string, open bool) {
	if m != nil {
		v := 0.0
		if open {
			v = 1
		}
		m.open.WithLabelValues(provider, traffic).Set(v)
	}
}

func (m *Meter) notSent(template string, class Class, err error) {
	if m != nil {
		m.unsent.WithLabelValues(template, class.String(), Reason(err)).Inc()
	}
}

func (m *Meter) wait(n int) {
	if m != nil {
		m.waiting.Set(float64(n))
	}
}

// Reported counts a delivery report.
func (m *Meter) Reported(r Report) {
	if m != nil {
		m.reports.WithLabelValues(r.Provider, r.Template, string(r.State)).Inc()
	}
}

// NotReported counts a request that was no delivery report.
func (m *Meter) NotReported(provider, why string) {
	if m != nil {
		m.strange.WithLabelValues(provider, why).Inc()
	}
}
