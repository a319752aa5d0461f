package main

import (
	"weelo/internal/auditlog"
	"weelo/internal/limit"
	"weelo/internal/telemetry"
)

// tripped counts the refusals of limits, and writes them into the audit log: the first at once, and how
// many there were each minute.
type tripped struct {
	*telemetry.LimitMetrics
	trail *auditlog.Recorder
}

var _ limit.Observer = tripped{}

// LimitRefused implements limit.Observer; name is of a closed set.
func (t tripped) LimitRefused(name string) {
	t.LimitMetrics.LimitRefused(name)
	t.trail.LimitTripped(name)
}

// refusals is whom limits tell that they refused somebody.
func (h *house) refusals() tripped { return tripped{h.p.metrics.Limits, h.trail} }

// breakerChanged writes down that an SMS provider is left alone because it failed, or asked again.
func (h *house) breakerChanged(traffic, provider string, open bool) {
	state := map[bool]string{true: "open", false: "closed"}[open]
	h.trail.Note(auditlog.Event{
		Actor: auditlog.System, Action: auditlog.BreakerChanged, Subject: "provider:" + provider, Reason: state, Details: map[string]any{"traffic": traffic},
	})
}
