package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weelo/internal/auditlog"
	"weelo/internal/notify"
	"weelo/internal/telemetry"
)

// trailed is a house that writes down what it is told, and nothing else.
func trailed() (*house, *ledgerOf) {
	kept, log := &ledgerOf{}, slog.New(slog.DiscardHandler)
	h := &house{
		p:     &process{log: log, metrics: telemetry.NewMetrics("test")},
		trail: auditlog.NewRecorder(auditlog.Config{Store: kept, Keys: auditlog.Keys{Kid: "k", Secret: []byte("pepper")}, Now: time.Now, Log: log}),
	}
	return h, kept
}

// brief is a row in few words.
func brief(e auditlog.Entry) string {
	return fmt.Sprint(e.Actor, " ", e.Action, " ", e.Subject, " ", e.Reason, " ", e.Details)
}

func briefly(entries []auditlog.Entry) []string {
	var list []string
	for _, e := range entries {
		list = append(list, brief(e))
	}
	return list
}

// TestRefusalsOfLimitsAreWrittenDown: of each limit the first at once, and how many followed.
func TestRefusalsOfLimitsAreWrittenDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, kept := trailed()
		for range 1000 {
			h.refusals().LimitRefused("login-global")
		}
		h.refusals().LimitRefused("socket-address")
		<-time.After(10 * time.Second) // of the bubble
		if err := h.trail.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"system limit_tripped limit:login-global login-global {}", "system limit_tripped limit:socket-address socket-address {}",
			`system limit_tripped limit:login-global login-global {"repeated":999,"within_s":10}`,
		}
		if got := briefly(kept.entries); !slices.Equal(got, want) {
			t.Errorf("rows %q, want %q", got, want)
		}
	})
}

// ill is a provider that fails until it is well.
type ill struct{ well bool }

func (i *ill) Send(context.Context, notify.SMS) (notify.Class, error) {
	if i.well {
		return notify.Accepted, nil
	}
	return notify.Undecided, errors.New("no answer")
}

// TestAProviderLeftAloneIsWrittenDown, and that it is asked again.
func TestAProviderLeftAloneIsWrittenDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, kept := trailed()
		provider := &ill{}
		h.sms = providers{routes: []notify.Route{{Name: "msg91", Sender: provider}}, meter: notify.NewMeter(prometheus.NewRegistry()), changed: h.breakerChanged}
		routes := h.sms.of("codes", h.p.log)
		for range 25 {
			_, _ = routes.Send(t.Context(), notify.SMS{})
		}
		provider.well = true
		<-time.After(10 * time.Minute) // of the bubble: longer than the pause
		for range 3 {
			_, _ = routes.Send(t.Context(), notify.SMS{})
		}
		if err := h.trail.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{`system breaker_changed provider:msg91 open {"traffic":"codes"}`, `system breaker_changed provider:msg91 closed {"traffic":"codes"}`}
		if got := briefly(kept.entries); !slices.Equal(got, want) {
			t.Errorf("rows %q, want %q", got, want)
		}
	})
}
