package actors

import (
	"context"
	"errors"
	"slices"
	"time"

	"weelo/internal/fault"
	"weelo/internal/ledger"
)

// onOutcome is the output gate: what the writer said decides what leaves.
func (d *Durable[S]) onOutcome(m *outcome[S]) {
	f := m.of
	if d.flight != f {
		return // of a flight that was given up
	}
	d.flight = nil
	o, index := judge(m.all)
	switch o.Status {
	case ledger.Committed:
		d.committed(f, m.all)
	case ledger.Replayed:
		d.replayed(f, o)
	case ledger.Mismatched:
		f.reply.Refuse(ErrKeyReused)
	case ledger.Taken:
		f.reply.Refuse(d.taken(f, index, o.Constraint))
	case ledger.Moved:
		d.again(f, index < 0)
		return
	case ledger.Failed:
		d.self.Log().WarnContext(f.ctx, "commit failed", "version", d.version, "error", o.Err)
		f.reply.Refuse(failed(o.Err))
	case ledger.Fenced:
		d.self.Log().WarnContext(f.ctx, "fenced: another activation owns the row", "epoch", d.epoch)
		f.reply.Refuse(errNotTried) // a definite no: the next activation may try
		d.stop(f, nil)
		return
	case ledger.Missing:
		f.reply.Refuse(ErrNotFound)
		d.stop(f, nil)
		return
	case ledger.Broken:
		d.self.Log().ErrorContext(f.ctx, "row refused its own version and epoch", "version", d.version, "epoch", d.epoch)
		d.stop(f, o.Err)
		return
	default: // Unknown, and whatever a later writer may say
		d.self.Log().WarnContext(f.ctx, "outcome unknown, stopping to read the truth", "version", d.version, "error", o.Err)
		d.stop(f, o.Err)
		return
	}
	d.next()
}

// committed applies the step; only then does anything leave.
func (d *Durable[S]) committed(f *flight[S], all []ledger.Outcome) {
	before := d.state
	d.state = f.step.State
	d.version++
	done := Committed{Transition: *f.step.Transition, Numbers: all[0].Numbers, Versions: all[0].Offers}
	for i, t := range f.step.With {
		done.With = append(done.With, Committed{Transition: t, Numbers: all[i+1].Numbers, Versions: all[i+1].Offers})
	}
	d.clock.change(done.Timers)
	answer := d.b.Answer(d.state, d.version, false)
	if done.Idem != nil {
		d.kept.add(f.req, kept{answer: answer})
	}
	f.reply.Answer(answer)
	d.post(f.ctx, done.Outbox)
	for _, w := range done.With {
		d.post(f.ctx, w.Outbox)
	}
	d.b.Committed(f.ctx, d, before, done)
}

// replayed answers what the first use of the command id was answered.
func (d *Durable[S]) replayed(f *flight[S], o ledger.Outcome) {
	answer, err := d.b.Decode(o.Reply)
	if err != nil {
		f.reply.Refuse(fault.From(err))
		return
	}
	d.kept.add(f.req, kept{answer: answer})
	f.reply.Answer(answer)
}

// reload claims the row once more: it is the one statement that reads and fences.
func (d *Durable[S]) reload(f *flight[S]) {
	d.flight = f
	claimer, ref, node := d.led.Claimer, d.ref, d.self.Node()
	d.self.Go(f.ctx, claimLimit, func(ctx context.Context) any {
		row, err := claimer.Claim(ctx, ref, node)
		return &reloaded[S]{of: f, row: row, err: err}
	})
}

func (d *Durable[S]) onReloaded(m *reloaded[S]) {
	f := m.of
	if d.flight != f {
		return
	}
	d.flight = nil
	if errors.Is(m.err, ledger.ErrMissing) {
		f.reply.Refuse(ErrNotFound)
	}
	if m.err != nil {
		d.stop(f, m.err)
		return
	}
	if err := d.take(f.ctx, m.row); err != nil {
		d.stop(f, err)
		return
	}
	if f.req.Do != nil { // a hint has no command
		d.decide(f.ask)
	}
	d.next()
}

// failed is the refusal for a commit that definitely changed nothing.
func failed(cause error) error {
	if errors.Is(cause, ledger.ErrBusy) {
		return ErrBusy.Because(cause)
	}
	return ErrInterrupted.Because(cause)
}

// stop ends the activation; whoever waited is asked to come again.
func (d *Durable[S]) stop(f *flight[S], cause error) {
	f.reply.Refuse(ErrInterrupted.Because(cause))
	d.self.Leave()
}

// post sends the durable messages of a commit at once. What does not arrive is the relay's.
func (d *Durable[S]) post(ctx context.Context, messages []ledger.Message) {
	for _, m := range messages {
		if m.Channel != actorChannel {
			continue
		}
		router, outbox := d.self.Router(), d.led.Outbox
		d.self.work(ctx, letterLimit, func(ctx context.Context) {
			if deliver(ctx, router, m) == nil && outbox != nil {
				_ = outbox.Done(ctx, m.ID) // the relay finds out that it was committed
			}
		})
	}
}

// postponed keeps messages that are sent at once from the relay for a while.
func postponed(messages []ledger.Message, now time.Time) []ledger.Message {
	out := slices.Clone(messages)
	for i := range out {
		if out[i].Channel == actorChannel && out[i].NotBefore.IsZero() {
			out[i].NotBefore = now.Add(relayAfter)
		}
	}
	return out
}

// kept is an answer by command id.
type kept struct {
	answer any
	err    error
}

// replies remembers the last few answers of this activation, so that a quick retry costs no commit.
type replies struct {
	order []Request
	of    map[string]kept
}

func (r *replies) find(req Request) (kept, bool) {
	if req.Key == "" {
		return kept{}, false
	}
	for _, known := range r.order {
		if known.Scope == req.Scope && known.Key == req.Key {
			if known.Hash != req.Hash {
				return kept{err: ErrKeyReused}, true
			}
			return r.of[req.Scope+"\x00"+req.Key], true
		}
	}
	return kept{}, false
}

func (r *replies) add(req Request, k kept) {
	if r.of == nil {
		r.of = make(map[string]kept)
	}
	if len(r.order) == keptReplies {
		delete(r.of, r.order[0].Scope+"\x00"+r.order[0].Key)
		r.order = r.order[1:]
	}
	r.order = append(r.order, Request{Scope: req.Scope, Key: req.Key, Hash: req.Hash})
	r.of[req.Scope+"\x00"+req.Key] = k
}
