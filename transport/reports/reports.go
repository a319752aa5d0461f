// Package reports takes the delivery reports that SMS providers send of messages they took.
//
// Invariants: what is not proved to come from the provider is counted and otherwise without effect; a
// report changes numbers and what is written down, nothing else; no label of a metric comes from a
// request. AWS SNS has no such address: its reports are in CloudWatch.
package reports

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"weelo/internal/notify"
)

// Paths of the providers, below the service's public address.
const (
	TwilioPath = "/api/v1/sms-reports/twilio"
	MSG91Path  = "/api/v1/sms-reports/msg91"
)

// maxBody bounds a request: some hundred reports.
const maxBody = 64 << 10

// Reader reads a provider's requests: notify.TwilioReports, notify.MSG91Reports. Its errors are
// notify.ErrForged and notify.ErrMalformed.
type Reader interface {
	Read(r *http.Request) ([]notify.Report, error)
}

// Counter counts reports: *notify.Meter.
type Counter interface {
	Reported(r notify.Report)
	// NotReported counts a request that was no report, by why: forged, malformed, too_big.
	NotReported(provider, why string)
}

// Config is what a Handler needs.
type Config struct {
	Provider string // for metrics and logs
	Reader   Reader
	Counter  Counter
	// Lost is told of each code that did not arrive; nil: nobody is.
	Lost func(ctx context.Context, r notify.Report)
	Log  *slog.Logger
}

// Handler answers one provider: 204 when the report was taken, 401 when it is not the provider's, 400 or
// 413 when it is none. Mount it for POST.
type Handler struct {
	cfg Config
	log *slog.Logger
}

// New makes one.
func New(cfg Config) *Handler {
	return &Handler{cfg: cfg, log: cfg.Log.With("component", "sms reports", "provider", cfg.Provider)}
}

// ServeHTTP takes one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	reports, err := h.cfg.Reader.Read(r)
	var big *http.MaxBytesError
	switch {
	case r.ContentLength > maxBody, errors.As(err, &big):
		h.refuse(w, r, http.StatusRequestEntityTooLarge, "too_big", err)
	case errors.Is(err, notify.ErrForged):
		h.refuse(w, r, http.StatusUnauthorized, "forged", err)
	case err != nil:
		h.refuse(w, r, http.StatusBadRequest, "malformed", err)
	default:
		for _, one := range reports {
			h.take(r.Context(), one)
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, status int, why string, err error) {
	h.cfg.Counter.NotReported(h.cfg.Provider, why)
	h.log.DebugContext(r.Context(), "no delivery report", "why", why, "error", err)
	w.WriteHeader(status)
}

func (h *Handler) take(ctx context.Context, r notify.Report) {
	h.cfg.Counter.Reported(r)
	if !r.State.Lost() {
		return
	}
	log := h.log.With("phone", r.To, "template", r.Template, "state", string(r.State), "why", r.Why)
	if !r.Code() {
		log.InfoContext(ctx, "text not delivered")
		return
	}
	log.WarnContext(ctx, "code not delivered")
	if h.cfg.Lost != nil {
		h.cfg.Lost(ctx, r)
	}
}
