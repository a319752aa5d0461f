package actors

import (
	"context"
	"slices"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/order"
)

// maxLateComers bounds the late-comers that wait at one order; the next wave finds the others.
const maxLateComers = 100

// lateComers are transporters who came online during the search, one after the other, so that a crowd of
// them leaves room for the commands of people.
type lateComers struct {
	waiting []fleet.UserID
	busy    bool // one has not been decided yet
}

// offerTo asks for an offer to one late-comer.
type offerTo struct{ transporter fleet.UserID }

// lateDone: the late-comer was decided.
type lateDone struct{}

func (a *orderActor) onLateComer(ctx context.Context, d *orders, m protocol.LateComer) {
	if len(a.late.waiting) >= maxLateComers || slices.Contains(a.late.waiting, m.Transporter) {
		return
	}
	a.late.waiting = append(a.late.waiting, m.Transporter)
	a.nextLate(ctx, d)
}

func (a *orderActor) onLateDone(ctx context.Context, d *orders) {
	a.late.busy = false
	a.nextLate(ctx, d)
}

// nextLate looks at the next one, if the order has anything for him.
func (a *orderActor) nextLate(ctx context.Context, d *orders) {
	for !a.late.busy && len(a.late.waiting) > 0 {
		next := a.late.waiting[0]
		a.late.waiting = a.late.waiting[1:]
		if _, ok := order.LookLate(d.State(), next, d.Now(), a.cfg.Policy); !ok {
			continue
		}
		if len(d.waiting) >= maxWaiting {
			a.late.waiting = nil // people come first; the next wave finds the late
			return
		}
		a.late.busy = true
		d.Submit(ctx, Request{Do: offerTo{next}}, Reply{})
	}
}

// lookLate asks the matcher about one transporter. Nothing is lost when it cannot be asked: the next
// wave finds him.
func (a *orderActor) lookLate(s order.State, transporter fleet.UserID, now time.Time) func(context.Context) (any, error) {
	w, ok := order.LookLate(s, transporter, now, a.cfg.Policy)
	return func(ctx context.Context) (any, error) {
		if !ok {
			return order.Offer{}, nil
		}
		found, err := a.look(ctx, w)
		if err != nil {
			a.self.Log().WarnContext(ctx, "late-comer not looked at; the next wave finds him", "error", err)
		}
		return order.Offer{Found: found}, nil
	}
}
