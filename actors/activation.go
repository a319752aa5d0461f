package actors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// errGone: the activation left the table; look again.
var errGone = errors.New("actors: activation gone")

// phase is where an activation stands.
type phase uint8

const (
	starting phase = iota // New runs; messages wait in pending
	active                // messages go to the mailbox
	stopping              // nothing more goes to the mailbox; messages wait in pending for the next turn
)

// activation is the table's entry of one address, over all the turns of its life: a crash ends one
// turn, and the next message starts the next one in the same entry.
//
// The count `queued` makes the hand-over safe: a message is counted before it enters the mailbox,
// under mu and only while active, so in phase stopping the count only falls, and the turn ends at 0
// with an empty mailbox. The library would drop what is left in a mailbox silently.
type activation struct {
	sys  *System
	kind *kind
	addr Address

	mu      sync.Mutex
	phase   phase
	gone    bool
	turn    uint64 // counts activations of this entry; an older turn's inward messages are dropped
	pid     *actor.PID
	queued  int   // in the mailbox or being handled
	salvage []any // taken out of a broken turn's mailbox, for the next turn
	pending []any // waiting for the next turn, after salvage

	used      bool      // since the last sweep
	idleSince time.Time // zero: not idle at the last sweep
}

func newActivation(s *System, k *kind, to Address) *activation {
	return &activation{sys: s, kind: k, addr: to}
}

// passivate is the sweeper's question to an idle actor: an ordinary message, so whatever was sent
// before it is handled before it.
type passivate struct{}

// accept takes a message from outside.
func (a *activation) accept(wrapped any) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return errGone
	}
	a.used = true
	if a.phase == active {
		if a.queued >= a.kind.Queue {
			return ErrBusy
		}
		a.postLocked(wrapped)
		return nil
	}
	if len(a.pending) >= a.kind.Queue {
		return ErrBusy
	}
	a.pending = append(a.pending, wrapped)
	return nil
}

// acceptInward takes what a turn sends to itself. It is not bounded here: a turn has a bounded
// number of timers and calls in flight. Of an ended turn it is dropped.
func (a *activation) acceptInward(turn uint64, m *inward) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.gone || a.turn != turn:
	case a.phase == starting:
		a.pending = append(a.pending, m)
	case a.queued > 0 || a.phase == active: // a stopping turn with an empty mailbox has ended
		a.postLocked(m)
	}
}

func (a *activation) postLocked(wrapped any) {
	a.queued++
	a.sys.engine.Root.Send(a.pid, wrapped)
}

// begin starts a turn off everybody's way. cause is the message that wanted it, for the trace.
func (a *activation) begin(cause any) {
	a.mu.Lock()
	a.turn++
	turn := a.turn
	a.mu.Unlock()
	a.sys.work.Go(func() { a.start(turn, cause) })
}

func (a *activation) start(turn uint64, cause any) {
	a.kind.starts <- struct{}{}
	defer func() { <-a.kind.starts }()
	began := time.Now()
	sh := &shell{of: a}
	sh.self = &Self{of: a, shell: sh, turn: turn}
	err := sh.construct(cause)
	a.sys.observer.Activated(a.addr.Kind, time.Since(began), err)

	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil && a.sys.closed.Load() {
		sh.ended()
		err = ErrShuttingDown
	}
	if err != nil {
		a.turn++ // inward messages of New are void
		a.leaveTableLocked(err)
		return
	}
	a.pid = a.sys.engine.Root.Spawn(sh.props())
	a.phase = active
	a.flushLocked()
}

// flushLocked moves everything that waited into the mailbox.
func (a *activation) flushLocked() {
	waiting := a.pending
	a.pending = nil
	for _, w := range waiting {
		a.postLocked(w)
	}
}

// leaveTableLocked ends the entry. Whoever still waits gets err.
func (a *activation) leaveTableLocked(err error) {
	a.gone = true
	a.sys.table.remove(a.addr)
	a.kind.live.Add(-1)
	for _, w := range append(a.salvage, a.pending...) {
		if _, own := w.(*inward); own {
			continue
		}
		if !refuse(w, err) {
			a.sys.observer.DeadLetter(a.addr.Kind)
		}
	}
	a.salvage, a.pending = nil, nil
}

// endTurnLocked is called when a stopping turn's mailbox is empty.
func (a *activation) endTurnLocked() {
	a.turn++
	if waiting := append(a.salvage, a.pending...); len(waiting) > 0 && !a.sys.closed.Load() {
		a.salvage, a.pending = nil, waiting
		a.phase = starting
		turn := a.turn
		a.sys.work.Go(func() { a.start(turn, waiting[0]) })
		return
	}
	a.leaveTableLocked(ErrShuttingDown)
}

// askToLeave sends the passivation question to an actor that was idle since before; drain asks
// every actor.
func (a *activation) askToLeave(now time.Time, idle time.Duration, drain bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone || a.phase != active || (!drain && !a.idleLocked(now, idle)) {
		return
	}
	a.phase = stopping
	a.postLocked(passivate{})
}

// idleLocked keeps the idle clock: it starts at the first sweep that finds the actor unused. What an
// actor sends to itself does not make it used.
func (a *activation) idleLocked(now time.Time, idle time.Duration) bool {
	if a.used {
		a.used, a.idleSince = false, time.Time{}
		return false
	}
	if a.idleSince.IsZero() {
		a.idleSince = now
	}
	return a.queued == 0 && now.Sub(a.idleSince) >= idle
}

// stay undoes askToLeave for an actor that said not now.
func (a *activation) stay() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase = active
	a.idleSince = time.Time{}
	a.flushLocked()
}

// depth is how many messages wait for the actor.
func (a *activation) depth() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.queued + len(a.pending)
}

// construct calls New, turning a panic into an error. Of an actor that is out it does not.
func (sh *shell) construct(cause any) (err error) {
	a := sh.of
	ctx, cancel := context.WithTimeout(a.sys.base, a.kind.StartTimeout)
	defer cancel()
	ctx, span := a.sys.activating(ctx, cause, a.addr)
	defer endSpan(span)
	defer func() {
		if p := recover(); p != nil {
			err = ErrInterrupted.Because(fmt.Errorf("panic in New: %v", p))
			a.sys.observer.Panicked(a.addr.Kind, "New")
			if a.sys.broke(ctx, a.addr, p) {
				err = ErrQuarantined
			}
			a.sys.log.ErrorContext(ctx, "actor could not start", "kind", a.addr.Kind, "id", a.addr.ID, "panic", p, "stack", stack())
		}
	}()
	a.sys.remember(ctx, a.addr)
	if a.sys.struck.any() && a.sys.struck.actorOut(a.addr, time.Now()) {
		return ErrQuarantined
	}
	sh.actor, err = a.kind.New(ctx, sh.self)
	if err == nil && sh.actor == nil {
		err = fmt.Errorf("actors: New of kind %s gave neither an actor nor an error", a.addr.Kind)
	}
	return err
}
