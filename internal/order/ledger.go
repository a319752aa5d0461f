package order

import (
	"encoding/json"
	"fmt"
	"time"

	"weelo/internal/ledger"
)

// Transition is the decision as the writer takes it, made on version and epoch. Version 0 is a
// birth. Idem is the caller's to set. ok is false when there is nothing to write. With what With gives
// it must be committed in one transaction.
func (d Decision) Transition(version, epoch int64) (t ledger.Transition, ok bool, err error) {
	if len(d.Events) == 0 {
		return ledger.Transition{}, false, nil
	}
	snapshot, err := d.State.Snapshot()
	if err != nil {
		return ledger.Transition{}, false, err
	}
	t = ledger.Transition{
		Ref: ledger.Ref{Kind: ledger.Order, ID: d.State.ID}, Version: version, Epoch: epoch,
		State: snapshot, Contended: version == 0 || d.Contended, At: d.at, Timers: d.Timers(), Outbox: d.nudges(),
	}
	if t.Events, err = d.ledgerEvents(); err != nil {
		return ledger.Transition{}, false, err
	}
	t.Offers, err = d.Offers()
	return t, true, err
}

// With are the transitions of trips that stand or fall with the order's: births of a confirmation, ends
// of a cancellation.
func (d Decision) With() ([]ledger.Transition, error) {
	var ts []ledger.Transition
	add := func(step TripStep) error {
		t, ok, err := step.Decision.Transition(step.Version, step.Epoch)
		if ok && err == nil {
			ts = append(ts, t)
		}
		return err
	}
	for _, born := range d.Births {
		if err := add(TripStep{Decision: born}); err != nil {
			return nil, err
		}
	}
	for _, step := range d.Cancels {
		if err := add(step); err != nil {
			return nil, err
		}
	}
	return ts, nil
}

// Timers are the timer changes of the decision, as rows. Only a decision's last event has any.
func (d Decision) Timers() []ledger.TimerChange {
	var changes []ledger.TimerChange
	for _, e := range d.Events {
		for _, t := range e.Timers {
			c := ledger.TimerChange{Name: t.Name, Number: t.Number}
			if t.DueMS != 0 {
				c.Due = time.UnixMilli(t.DueMS).UTC()
			}
			changes = append(changes, c)
		}
	}
	return changes
}

// ledgerEvents turns what happened into lines of history and what people are told. Every event
// leaves at least one line, so the history is dense in versions.
func (d Decision) ledgerEvents() ([]ledger.Event, error) {
	var lines []ledger.Event
	s := d.before
	for _, e := range d.Events {
		before := s
		s = Apply(s, e)
		for i, n := range notices(before, s, e) {
			data, err := json.Marshal(n.data)
			if err != nil {
				return nil, fmt.Errorf("write event %s of order %s: %w", n.kind, s.ID, err)
			}
			lines = append(lines, ledger.Event{
				ID: eventID(s.ID, s.Count, i), Type: n.kind, PayloadVersion: 1,
				At: time.UnixMilli(e.AtMS).UTC(), TripID: e.Trip, OrderID: s.ID,
				Data: data, Recipients: n.to,
			})
		}
	}
	return lines, nil
}
