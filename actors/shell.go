package actors

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"weelo/internal/ledger"
)

// shell is what the actor library sees of one turn: it unwraps messages, starts spans, catches
// panics and ends the turn in order.
type shell struct {
	of    *activation
	self  *Self
	actor Actor
	// Both belong to the turn's goroutine.
	leaving bool   // the actor asked to stop after this message
	over    string // why the turn ends; "" while it goes on
}

// stopOnPanic never acts: the shell catches panics itself. It is there so that a panic of the shell
// cannot bring an actor back with empty state.
var stopOnPanic = actor.NewOneForOneStrategy(0, time.Second, func(any) actor.Directive { return actor.StopDirective })

func (sh *shell) props() *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor { return sh },
		actor.WithMailbox(actor.Unbounded()), // bounded by activation.accept, before the send
		actor.WithGuardian(stopOnPanic))
}

// Receive implements the library's actor.
func (sh *shell) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started, *actor.Stopping, *actor.Stopped, *actor.Restarting:
		return // lifecycle of the library; ours is the turn
	default:
		sh.take(c, m)
	}
}

// take handles one message and settles the books of the activation.
func (sh *shell) take(c actor.Context, wrapped any) {
	leftover := sh.over != ""
	if !leftover {
		sh.handle(wrapped)
	}
	if sh.over == "" {
		sh.of.handled()
		return
	}
	if ended := sh.of.settle(wrapped, leftover); ended {
		c.Stop(c.Self())
	}
}

// handled counts a message off while the turn goes on.
func (a *activation) handled() {
	a.mu.Lock()
	a.queued--
	a.mu.Unlock()
}

// settle counts a message off in a turn that is over. A leftover, which the actor has not seen, is
// kept for the next turn. It reports whether the mailbox is empty and the turn ended.
func (a *activation) settle(wrapped any, leftover bool) (ended bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase = stopping
	a.queued--
	if leftover {
		switch wrapped.(type) {
		case *inward, passivate: // of this turn only
		default:
			a.salvage = append(a.salvage, wrapped)
		}
	}
	if a.queued > 0 {
		return false
	}
	a.endTurnLocked()
	return true
}

// handle runs the actor's code for one message.
func (sh *shell) handle(wrapped any) {
	a := sh.of
	if _, ask := wrapped.(passivate); ask {
		sh.onPassivate()
		return
	}
	msg, span, reply := open(wrapped)
	if reply.Wanted() && time.Now().After(reply.env.deadline) {
		return // nobody waits any more; the client's retry brings it again
	}
	if a.sys.struck.any() && !ownResult(wrapped) {
		if refusal := a.sys.struck.refusal(a.addr, msg, time.Now()); refusal != nil {
			reply.Refuse(refusal)
			return
		}
	}
	ctx, sp := a.sys.receiving(span, a.addr, msg)
	defer endSpan(sp)
	defer func() {
		if p := recover(); p != nil {
			sh.onPanic(ctx, msg, reply, p)
		}
	}()
	if b, ok := msg.(broken); ok {
		panic(b.reason)
	}
	sh.actor.Receive(ctx, msg, reply)
	if sh.leaving {
		sh.end(stoppedLeft)
	}
}

// onPassivate asks the actor whether it may go.
func (sh *shell) onPassivate() {
	defer func() {
		if p := recover(); p != nil {
			sh.onPanic(sh.of.sys.base, passivate{}, Reply{}, p)
		}
	}()
	if sh.actor.Passivate(sh.of.sys.base) {
		sh.end(stoppedPassivated)
		return
	}
	sh.of.stay()
}

// onPanic ends the turn, because the actor's state can no longer be trusted, and counts the strike.
func (sh *shell) onPanic(ctx context.Context, msg any, reply Reply, p any) {
	a := sh.of
	count := a.sys.strike(ctx, a.addr, msg, p)
	a.sys.observer.Panicked(a.addr.Kind, messageName(msg))
	a.sys.log.ErrorContext(ctx, "actor panicked", "kind", a.addr.Kind, "id", a.addr.ID,
		"message", messageName(msg), "command", commandKey(msg), "strike", count, "panic", p, "stack", stack())
	refusal := ErrInterrupted
	if a.sys.broke(ctx, a.addr, p) {
		refusal = ErrQuarantined
	}
	if count >= ledger.StrikesOut {
		refusal = ErrPoisoned
	}
	sh.end(stoppedCrashed)
	reply.Refuse(refusal)
}

// end closes the turn for the actor. What is left in the mailbox waits for the next turn.
func (sh *shell) end(why string) {
	sh.over = why
	sh.ended()
	sh.of.sys.observer.Stopped(sh.of.addr.Kind, why)
}

// ended tells an actor that wants to know.
func (sh *shell) ended() {
	stopper, ok := sh.actor.(Stopper)
	if !ok {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			sh.of.sys.log.Error("actor panicked while it stopped", "kind", sh.of.addr.Kind, "id", sh.of.addr.ID, "panic", p)
		}
	}()
	stopper.Stopped()
}

// stack is the trace of a panic, short enough for a log line.
func stack() string {
	const longest = 4 << 10
	s := debug.Stack()
	return string(s[:min(len(s), longest)])
}
