package actors

import (
	"context"
	"time"

	"weelo/internal/ledger"
)

// recallLimit bounds the look at an idempotency record.
const recallLimit = 5 * time.Second

// recalled comes back with what the store knows of a command id.
type recalled[S any] struct {
	of   *flight[S]
	used ledger.Idem
	ok   bool
	err  error
}

// CommandID lets a command whose kept answer breaks the actor be quarantined like any other.
func (r *recalled[S]) CommandID() string { return r.of.req.Key }

// MessageName names it in traces.
func (*recalled[S]) MessageName() string { return "recalled" }

// recall looks whether a command that would be refused, or answered without a write, is the repeat
// of one that was done: an earlier activation may have answered it. Others wait meanwhile.
func (d *Durable[S]) recall(f *flight[S]) {
	d.flight = f
	replies, scope, key := d.led.Replies, f.req.Scope, f.req.Key
	d.self.Go(f.ctx, recallLimit, func(ctx context.Context) any {
		used, ok, err := replies.Used(ctx, scope, key)
		return &recalled[S]{of: f, used: used, ok: ok, err: err}
	})
}

// onRecalled answers the repeat with the first answer, and decides anything else anew.
func (d *Durable[S]) onRecalled(m *recalled[S]) {
	f := m.of
	if d.flight != f {
		return
	}
	d.flight = nil
	switch {
	case m.err != nil:
		f.reply.Refuse(ErrInterrupted.Because(m.err))
	case !m.ok:
		f.fresh = true
		d.decide(f.ask)
	case m.used.Hash != f.req.Hash:
		f.reply.Refuse(ErrKeyReused)
	default:
		d.replayed(f, ledger.Outcome{Status: ledger.Replayed, Reply: m.used.Reply})
	}
	d.next()
}

// recall gives the kept answer of a command id; ok is false for one that was never used.
// ErrKeyReused when it was used with another hash, Unavailable when the store cannot be asked.
func (l Ledger) recall(ctx context.Context, scope, key, hash string) (reply []byte, ok bool, err error) {
	if key == "" || l.Replies == nil {
		return nil, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, recallLimit)
	defer cancel()
	used, ok, err := l.Replies.Used(ctx, scope, key)
	switch {
	case err != nil:
		return nil, false, ErrInterrupted.Because(err)
	case ok && used.Hash != hash:
		return nil, false, ErrKeyReused
	default:
		return used.Reply, ok, nil
	}
}
