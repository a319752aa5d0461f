package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/notify"
	"weelo/internal/nudge"
)

// Delivery hands a user's message to each of his phones.
type Delivery struct {
	phones Phones
	sender Sender
	now    func() time.Time
	log    *slog.Logger
	sent   *prometheus.CounterVec
	guard  notify.Guard
}

// NewDelivery makes one. now is the clock of deadlines; metrics may be nil.
func NewDelivery(phones Phones, sender Sender, now func() time.Time, log *slog.Logger, metrics prometheus.Registerer) *Delivery {
	d := &Delivery{
		phones: phones, sender: sender, now: now, log: log.With("component", "push"),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weelo_push_total", Help: "Push messages handed to the provider, one per phone, by what became of them.",
		}, []string{"outcome"}),
	}
	if metrics != nil {
		metrics.MustRegister(d.sent)
	}
	return d
}

// Deliver hands over one message of nudge.PushChannel; see notify.Courier. As soon as one phone has it,
// the message is settled: what another one misses is in the inbox that its app reads, and a second round
// would ring twice at the first.
func (d *Delivery) Deliver(ctx context.Context, m ledger.Message) error {
	var p nudge.Push
	if err := json.Unmarshal(m.Body, &p); err != nil {
		return fmt.Errorf("%w: %w", notify.ErrHopeless, err)
	}
	now := d.now()
	tokens, err := d.phones.Tokens(ctx, fleet.UserID(m.To), now)
	if err != nil {
		return err
	}
	taken, failed := false, error(nil)
	for _, token := range tokens {
		left := m.Deadline.Sub(d.now())
		if left <= 0 || ctx.Err() != nil {
			failed = fmt.Errorf("%w: out of time", ErrTemporary)
			break
		}
		err := d.send(ctx, messageOf(p, token, left))
		switch {
		case err == nil:
			taken = true
		case errors.Is(err, ErrGone):
			d.forget(ctx, token, now, m.To)
		case errors.Is(err, ErrRefused):
			d.log.ErrorContext(ctx, "push message refused", "type", m.Type, "user_id", m.To, "id", m.ID, "error", err)
		case notify.WaitOf(err) >= notify.WaitOf(failed):
			failed = err
		}
	}
	if taken {
		return nil
	}
	return failed
}

func (d *Delivery) send(ctx context.Context, m Message) error {
	if !d.guard.Allow(d.now()) {
		d.sent.WithLabelValues("held_back").Inc()
		return fmt.Errorf("%w: %w", ErrTemporary, notify.ErrBreakerOpen)
	}
	err := d.sender.Send(ctx, m)
	outcome := "temporary"
	switch {
	case err == nil:
		outcome = "accepted"
	case errors.Is(err, ErrGone):
		outcome = "gone"
	case errors.Is(err, ErrRefused):
		outcome = "refused"
	}
	d.sent.WithLabelValues(outcome).Inc()
	if opened := d.guard.Record(outcome == "temporary", d.now()); opened {
		d.log.ErrorContext(ctx, "push provider fails: sending pauses", "error", err)
	}
	return err
}

func (d *Delivery) forget(ctx context.Context, token string, seen time.Time, user string) {
	if err := d.phones.Forget(ctx, token, seen); err != nil {
		d.log.WarnContext(ctx, "a phone that is gone was not forgotten", "user_id", user, "error", err)
		return
	}
	d.log.InfoContext(ctx, "a phone is gone", "user_id", user)
}
