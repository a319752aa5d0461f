package actors

import (
	"context"
	"fmt"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/ledger"
)

// prepareLimit bounds what is read before one decision.
const prepareLimit = 5 * time.Second

// preparer is a Behaviour whose decisions need what is not part of its state: the candidates of a wave,
// the rows of other aggregates. They are read off the turn, and the decision is made on what was read.
type preparer[S any] interface {
	// Prepare gives the work that a command needs before it is decided, nil for none. The work runs off
	// the actor's turn, for at most 5 s: it must keep its hands off the actor and its state. Decide then gets
	// what the work brought in place of the command, on the same state; an error is the command's
	// refusal. After the row or one of Step.With had moved it is all done again, from the command.
	Prepare(ctx context.Context, s S, command any, now time.Time) (work func(ctx context.Context) (prepared any, err error))
}

// refuser is a Behaviour that has a word of its own for a step that a unique index refused.
type refuser interface {
	// Refused gives the refusal of a command as it was decided (prepared, if it was). Index is that of the
	// refused transition in Step.With, -1 for the actor's own; constraint is the index's name. Nil: the
	// refusal TAKEN.
	Refused(command any, index int, constraint string) error
}

// prepared is what a command's preparation brought.
type prepared struct {
	command any
	err     error
	broken  any // what the work panicked with
}

// readied comes back from a preparation.
type readied[S any] struct {
	of *flight[S]
	prepared
}

// CommandID lets a command whose preparation breaks the actor be quarantined like any other.
func (r *readied[S]) CommandID() string { return r.of.req.Key }

// MessageName names it in traces.
func (*readied[S]) MessageName() string { return "readied" }

// prepare starts the work that a command needs, if it needs any: others wait meanwhile.
func (d *Durable[S]) prepare(a ask, now time.Time) bool {
	b, ok := d.b.(preparer[S])
	if !ok || a.ready != nil {
		return false
	}
	work := b.Prepare(a.ctx, d.state, a.req.Do, now)
	if work == nil {
		return false
	}
	f := &flight[S]{ask: a}
	d.flight = f
	d.self.Go(a.ctx, prepareLimit, func(ctx context.Context) any {
		return &readied[S]{of: f, prepared: attempt(ctx, work)}
	})
	return true
}

// attempt does the work. A panic in it is brought back: it counts against the command.
func attempt(ctx context.Context, work func(context.Context) (any, error)) (p prepared) {
	defer func() { p.broken = recover() }()
	p.command, p.err = work(ctx)
	if p.err != nil && ctx.Err() != nil {
		p.err = ErrInterrupted.Because(p.err)
	}
	return p
}

// onReadied decides the command on what its preparation brought.
func (d *Durable[S]) onReadied(m *readied[S]) {
	f := m.of
	if d.flight != f {
		return
	}
	if m.broken != nil {
		panic(m.broken) // in the actor's turn, where it is counted against the command
	}
	d.flight = nil
	f.ready = &m.prepared
	d.decide(f.ask)
	d.next()
}

// decided runs the domain on the command as it is, or as its preparation made it.
func (d *Durable[S]) decided(a ask, now time.Time) (Step[S], error) {
	if a.ready != nil && a.ready.err != nil {
		return Step[S]{}, a.ready.err
	}
	return d.b.Decide(d.state, a.command(), now)
}

// command is what Decide was asked.
func (a ask) command() any {
	if a.ready != nil {
		return a.ready.command
	}
	return a.req.Do
}

// joined completes the transitions of others that a step is committed with.
func (d *Durable[S]) joined(a ask, with []ledger.Transition, now time.Time) []ledger.Transition {
	all := make([]ledger.Transition, len(with))
	for i, t := range with {
		t.At, t.Trace = now, tracedBy(a.ctx)
		t.Outbox = postponed(t.Outbox, now)
		all[i] = t
	}
	return all
}

// write hands the step to the writer that it needs and gives the outcome of each of its transitions, the
// actor's own first.
func write[S any](ctx context.Context, led Ledger, s Step[S]) []ledger.Outcome {
	if len(s.With) == 0 {
		return led.Writer.Commit(ctx, []ledger.Transition{*s.Transition})
	}
	return led.Joint.CommitTogether(ctx, append([]ledger.Transition{*s.Transition}, s.With...))
}

// judge makes one outcome of those of a joint transaction: the actor's own, unless it was aborted for the
// fault of another.
func judge(all []ledger.Outcome) (o ledger.Outcome, index int) {
	if all[0].Status != ledger.Aborted {
		return all[0], -1
	}
	for i, other := range all[1:] {
		switch other.Status {
		case ledger.Aborted:
		case ledger.Fenced: // somebody has claimed it since it was read
			return ledger.Outcome{Status: ledger.Moved, Err: other.Err}, i
		case ledger.Missing, ledger.Broken:
			err := fmt.Errorf("actors: transition %d of a step is %v: %w", i, other.Status, other.Err)
			return ledger.Outcome{Status: ledger.Failed, Err: err}, i
		default:
			return other, i
		}
	}
	return ledger.Outcome{Err: fmt.Errorf("actors: all %d transitions of a step were aborted", len(all))}, -1
}

// taken is the refusal of a step that a unique index refused.
func (d *Durable[S]) taken(f *flight[S], index int, constraint string) error {
	if b, ok := d.b.(refuser); ok {
		if err := b.Refused(f.command(), index, constraint); err != nil {
			return err
		}
	}
	return fault.New(fault.Conflict, "TAKEN", "Somebody else was faster.").With("constraint", constraint)
}

// again decides a command anew when what it was decided on has moved: with a fresh preparation, on the
// actor's own row read again if that is what moved.
func (d *Durable[S]) again(f *flight[S], own bool) {
	if f.tries++; f.tries > maxRedecide {
		f.reply.Refuse(ErrBusy)
		d.next()
		return
	}
	f.step, f.ready = nil, nil
	if own {
		d.reload(f)
		return
	}
	d.decide(f.ask)
	d.next()
}

// addressed makes a durable message's command repeatable: its record is the receiver's and bears the
// message's id.
func (d *Durable[S]) addressed(msg any, req Request) Request {
	if letter, ok := msg.(*protocol.Letter); ok {
		req.Scope, req.Key = d.self.Address().String(), letter.ID
	}
	return req
}
