package trip

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"weelo/internal/ledger"
)

// Transition is the decision as the writer takes it, made on version and epoch. Version 0 is a
// birth. Idem and Contended are the caller's to set (a birth is contended by itself). ok is false
// when there is nothing to write.
func (d Decision) Transition(version, epoch int64) (t ledger.Transition, ok bool, err error) {
	if len(d.Events) == 0 {
		return ledger.Transition{}, false, nil
	}
	snapshot, err := d.State.Snapshot()
	if err != nil {
		return ledger.Transition{}, false, err
	}
	t = ledger.Transition{
		Ref: ledger.Ref{Kind: ledger.Trip, ID: d.State.ID}, Version: version, Epoch: epoch,
		State: snapshot, Contended: version == 0, At: d.at,
		Timers: d.Timers(), Outbox: append(d.messages(), d.pushes()...),
	}
	t.Events, err = d.ledgerEvents()
	return t, true, err
}

// Timers are the timer changes of the decision, as rows.
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
		s = Apply(s, e)
		for i, n := range notices(s, e) {
			data, err := json.Marshal(n.data)
			if err != nil {
				return nil, fmt.Errorf("write event %s of trip %s: %w", n.kind, s.ID, err)
			}
			lines = append(lines, ledger.Event{
				ID: eventID(s.ID, s.Count, i), Type: n.kind, PayloadVersion: 1,
				At: time.UnixMilli(e.AtMS).UTC(), Expires: n.expires,
				TripID: s.ID, OrderID: s.OrderID, Data: data, Recipients: n.to,
			})
		}
	}
	return lines, nil
}

// messages are the durable messages to the trip's order: it learns of every answer of the driver, of
// the departure with the goods and of every end.
func (d Decision) messages() []ledger.Message {
	if d.State.OrderID == "" {
		return nil
	}
	var out []ledger.Message
	for _, e := range d.Events {
		name, tell := orderMessage(d.before, e)
		if !tell {
			continue
		}
		// A struct of strings and numbers cannot fail to marshal.
		body, _ := json.Marshal(OrderNotice{TripID: d.State.ID, Slot: d.State.Slot, AtMS: e.AtMS, Status: e.To, By: e.By, Reason: e.Reason})
		out = append(out, ledger.Message{
			ID: eventID(d.State.ID, d.State.Count, -1), Channel: "actor", To: "order/" + d.State.OrderID,
			Type: name, Body: body,
		})
	}
	return out
}

// OrderNotice is the body of a trip's message to its order.
type OrderNotice struct {
	TripID string `json:"tripId"`
	Slot   string `json:"slot"`
	AtMS   int64  `json:"at"`
	Status Status `json:"status,omitempty"` // what the trip became
	By     string `json:"by,omitempty"`     // as Event.By
	Reason string `json:"reason,omitempty"`
}

func orderMessage(before State, e Event) (name string, tell bool) {
	switch e.What {
	case Accepted:
		return "DriverAccepted", true
	case Declined, TimedOut:
		return "DriverDeclined", true
	case WasCancelled, BrokeDown:
		return "TripCancelled", e.By != "order" // the order knows what it did itself
	case StepReached:
		if e.To.Terminal() {
			return "TripEnded", true
		}
		return "TripStarted", e.To.Carrying() && !before.Status.Carrying()
	default:
		return "", false
	}
}

// eventID is a UUID (version 8, RFC 9562) made from the event's place in the trip's history, so that
// the same event has the same id wherever and whenever it is written.
func eventID(tripID string, count int64, part int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "trip/%s/%d/%d", tripID, count, part))
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
