package main

import (
	"context"
	"slices"
	"strings"

	"weelo/internal/auditlog"
	"weelo/internal/config"
	"weelo/internal/notify"
	"weelo/transport/reports"
)

// twilioReports is the address for Twilio's delivery reports, "" when none are wanted.
func twilioReports(c config.SMS) string {
	if c.ReportURL == "" {
		return ""
	}
	return strings.TrimRight(c.ReportURL, "/") + reports.TwilioPath
}

// deliveryReports opens an address for each provider that sends and whose reports can be told from a
// stranger's.
func (h *house) deliveryReports() {
	c := h.p.cfg.SMS
	sends := []string{c.Provider, c.Fallback}
	if c.ReportURL != "" && slices.Contains(sends, "twilio") {
		h.reportsOf("twilio", reports.TwilioPath, notify.TwilioReports{AuthToken: string(c.TwilioToken.Reveal()), Origin: c.ReportURL})
	}
	if c.ReportSecret != "" && slices.Contains(sends, "msg91") {
		h.reportsOf("msg91", reports.MSG91Path, notify.MSG91Reports{Secret: c.ReportSecret.Reveal()})
	}
}

func (h *house) reportsOf(provider, path string, reader reports.Reader) {
	h.api.Mount("POST "+path, reports.New(reports.Config{
		Provider: provider, Reader: reader, Counter: h.sms.meter, Lost: h.lostCode, Log: h.p.log,
	}))
}

// lostCode writes down a code that a provider took and that did not arrive. Who asked for it is not
// known any more.
func (h *house) lostCode(_ context.Context, r notify.Report) {
	h.trail.Note(auditlog.Event{
		Actor: auditlog.System, Action: auditlog.CodeLost, Reason: string(r.State), Phone: r.To.E164(),
		Details: map[string]any{"provider": r.Provider, "template": r.Template, "why": r.Why},
	})
}
