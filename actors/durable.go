package actors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/ledger"
)

const (
	// maxWaiting bounds the commands that wait while a commit is in flight.
	maxWaiting = 32
	// maxRedecide is how often a command is decided again because the row had moved.
	maxRedecide = 3
	// commitLimit bounds one commit. It is the writer that answers Unknown in time; this is the net
	// under it.
	commitLimit = 15 * time.Second
	// claimLimit bounds a reload.
	claimLimit = 5 * time.Second
	// keptReplies is how many answers by command id an activation remembers.
	keptReplies = 32
)

var (
	// ErrNotFound: no such row. A claim that finds none leaves no activation.
	ErrNotFound = fault.New(fault.NotFound, "NOT_FOUND", "This was not found.")
	// ErrKeyReused: the idempotency key was used before for another request.
	ErrKeyReused = fault.New(fault.Conflict, "IDEMPOTENCY_KEY_REUSED", "This request was already used for something else.")
)

// Ledger is what durable actors need of the durable core.
type Ledger struct {
	Writer  ledger.Writer
	Joint   ledger.JointWriter // for steps that are committed with others'; nil: none are
	Claimer ledger.Claimer
	Outbox  ledger.Outbox // where messages that arrived at once are crossed off
	// Replies is asked before a command with a key is refused or answered without a write. Nil: such
	// an answer is made from the present state.
	Replies ledger.Replies
	// Now is the task's clock corrected by its offset to the database. Nil: time.Now.
	Now func() time.Time
}

func (l Ledger) now() time.Time {
	if l.Now == nil {
		return time.Now()
	}
	return l.Now()
}

// Step is what a command leads to. It changes nothing until it is committed.
type Step[S any] struct {
	// Transition is what to write; Ref, Version, Epoch, Idem and At are filled in by the shell.
	// Nil: nothing to write, the answer is made from the present state.
	Transition *ledger.Transition
	// With is committed together with Transition, all or none: births and steps of other aggregates. Ref,
	// Version and Epoch are the behaviour's, as it read them; At is filled in. Needs a Transition.
	With     []ledger.Transition
	State    S // after the step
	Replayed bool
}

// Request is a message understood as a command.
type Request struct {
	Do    any    // passed to Behaviour.Decide
	Scope string // of the idempotency key: the principal
	Key   string // "" without one
	Hash  string
}

// Behaviour is what makes a durable actor the actor of its domain. Its methods run in the actor's
// turn and do no I/O.
type Behaviour[S any] interface {
	// Load reads the row's snapshot.
	Load(snapshot json.RawMessage) (S, error)
	// Request says which command a message is; false: none, it goes to Soft.
	Request(msg any) (Request, bool)
	// Decide is pure: what the command does to the state, or a refusal.
	Decide(s S, command any, now time.Time) (Step[S], error)
	// Answer makes a command's answer from the state it led to.
	Answer(s S, version int64, replayed bool) any
	// Encode and Decode turn an answer into what the idempotency record keeps, and back.
	Encode(answer any) (json.RawMessage, error)
	Decode(kept json.RawMessage) (any, error)
	// Soft handles everything else, queries above all, from the last committed state.
	Soft(ctx context.Context, d *Durable[S], msg any, reply Reply)
	// Loaded: the state was read from the store, at activation or again.
	Loaded(ctx context.Context, d *Durable[S])
	// Committed: a step is on disk and the answer is out; effects and fan-out go here.
	Committed(ctx context.Context, d *Durable[S], before S, done Committed)
}

// Committed is a transition with what the writer said of it.
type Committed struct {
	ledger.Transition
	Numbers  []ledger.Number
	Versions []ledger.OfferVersion // of the offers it changed
	With     []Committed           // what was committed together with it, in the order of Step.With
}

// Durable is the shell of a fenced aggregate. It keeps these promises for any Behaviour:
//
//   - It owns the row by a claim made before the first message, and every write is refused once
//     somebody else has claimed it. Then it stops.
//   - One transition is in flight. Commands meanwhile wait (32, then BUSY); queries are answered from
//     the last committed state.
//   - No answer, message or event leaves before the commit. When the outcome is unknown it
//     answers ErrInterrupted (503), neither yes nor no, and stops; the next activation reads the truth.
//   - Timers are the row's; a firing with another number than the armed one does nothing.
type Durable[S any] struct {
	self *Self
	ref  ledger.Ref
	led  Ledger
	b    Behaviour[S]

	state   S
	version int64
	epoch   int64
	clock   clock
	kept    replies

	flight  *flight[S]
	waiting []ask
	hinted  int64 // the version that somebody else wrote, as heard during a flight
}

// ask is a command and who waits for its answer.
type ask struct {
	ctx   context.Context
	req   Request
	reply Reply
	tries int       // decided on a row that had moved
	fresh bool      // its key was never used, as the store says
	ready *prepared // what its preparation brought; nil: none yet, or none needed
}

// flight is the transition being committed. step is nil while something is read from the store.
type flight[S any] struct {
	ask
	step *Step[S]
}

// outcome comes back from the writer: that of the step, then those of its With.
type outcome[S any] struct {
	of  *flight[S]
	all []ledger.Outcome
}

// CommandID lets a command whose outcome breaks the actor be quarantined like any other.
func (o *outcome[S]) CommandID() string { return o.of.req.Key }

// MessageName names it in traces.
func (*outcome[S]) MessageName() string { return "outcome" }

// MessageName names it in traces.
func (*reloaded[S]) MessageName() string { return "reloaded" }

// reloaded comes back from a second claim.
type reloaded[S any] struct {
	of  *flight[S]
	row ledger.Claimed
	err error
}

// NewDurable claims the row and makes its actor. It is called by Kind.New. ErrNotFound when there
// is no such row, Unavailable when the store cannot be asked.
func NewDurable[S any](ctx context.Context, self *Self, ref ledger.Ref, led Ledger, b Behaviour[S]) (*Durable[S], error) {
	d := &Durable[S]{self: self, ref: ref, led: led, b: b}
	d.clock = clock{self: self, now: led.now, armed: map[string]armed{}}
	row, err := led.Claimer.Claim(ctx, ref, self.Node())
	if errors.Is(err, ledger.ErrMissing) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, ErrInterrupted.Because(err)
	}
	if err := d.take(ctx, row); err != nil {
		return nil, err
	}
	return d, nil
}

// take makes a claimed row the actor's state.
func (d *Durable[S]) take(ctx context.Context, row ledger.Claimed) error {
	state, err := d.b.Load(row.State)
	if err != nil {
		return fault.From(err)
	}
	d.state, d.version, d.epoch = state, row.Version, row.Epoch
	d.clock.load(row.Timers)
	d.b.Loaded(ctx, d)
	return nil
}

// State is the last committed one.
func (d *Durable[S]) State() S { return d.state }

// Version is the last committed one.
func (d *Durable[S]) Version() int64 { return d.version }

// Self is the activation.
func (d *Durable[S]) Self() *Self { return d.self }

// Now is the corrected clock.
func (d *Durable[S]) Now() time.Time { return d.led.now() }

// Receive implements Actor.
func (d *Durable[S]) Receive(ctx context.Context, msg any, reply Reply) {
	switch m := msg.(type) {
	case *outcome[S]:
		d.onOutcome(m)
	case *reloaded[S]:
		d.onReloaded(m)
	case *recalled[S]:
		d.onRecalled(m)
	case *readied[S]:
		d.onReadied(m)
	case protocol.Hint:
		d.onHint(ctx, m)
	case protocol.TimerDue:
		d.onTimerDue(ctx, m)
	default:
		if req, ok := d.b.Request(msg); ok {
			d.Submit(ctx, d.addressed(msg, req), reply)
			return
		}
		d.b.Soft(ctx, d, msg, reply)
	}
}

// stayer is a Behaviour whose idle actor may be worth its memory: coming back costs a claim.
type stayer[S any] interface {
	// Stays says so of a state.
	Stays(s S) bool
}

// Passivate implements Actor: not while something is in flight, and not while the behaviour stays and
// there is room. Timers do not hold it: they are rows.
func (d *Durable[S]) Passivate(context.Context) bool {
	if d.flight != nil || len(d.waiting) > 0 {
		return false
	}
	b, ok := d.b.(stayer[S])
	return !ok || !b.Stays(d.state) || d.self.Draining() || d.self.Crowded()
}

// Stopped implements Stopper.
func (d *Durable[S]) Stopped() {
	d.clock.stop()
	if d.flight != nil {
		d.flight.reply.Refuse(ErrInterrupted)
	}
	for _, w := range d.waiting {
		w.reply.Refuse(errNotTried)
	}
	d.flight, d.waiting = nil, nil
}

// Submit decides a command now or when its turn has come.
func (d *Durable[S]) Submit(ctx context.Context, req Request, reply Reply) {
	a := ask{ctx: ctx, req: req, reply: reply}
	if d.flight != nil {
		if len(d.waiting) >= maxWaiting {
			reply.Refuse(ErrBusy)
			return
		}
		d.waiting = append(d.waiting, a)
		return
	}
	d.decide(a)
}

// timerTaker is a Behaviour that has timers which are no commands but the beginning of some work.
type timerTaker[S any] interface {
	// TimerDue reports whether it took the firing of an armed timer.
	TimerDue(ctx context.Context, d *Durable[S], m protocol.TimerDue) bool
}

// onTimerDue turns the firing of the armed timer into its command.
func (d *Durable[S]) onTimerDue(ctx context.Context, m protocol.TimerDue) {
	if !d.clock.isArmed(m) {
		return
	}
	if b, ok := d.b.(timerTaker[S]); ok && b.TimerDue(ctx, d, m) {
		return
	}
	d.Submit(ctx, Request{Do: m}, Reply{})
}

// onHint reads the row again when somebody else has written it, at once or after what is in flight.
func (d *Durable[S]) onHint(ctx context.Context, m protocol.Hint) {
	switch {
	case m.Version <= d.version:
	case d.flight != nil:
		d.hinted = max(d.hinted, m.Version)
	default:
		d.reload(&flight[S]{ask: ask{ctx: ctx}})
	}
}

// decide runs the domain and, when there is something to write, sends it to the writer.
func (d *Durable[S]) decide(a ask) {
	if kept, known := d.kept.find(a.req); known {
		a.reply.answerOr(kept.answer, kept.err)
		return
	}
	now := d.led.now()
	if due, ok := a.req.Do.(protocol.TimerDue); ok && !d.clock.isArmed(due) {
		return // it waited, and the state has moved on
	}
	if d.prepare(a, now) {
		return
	}
	step, err := d.decided(a, now)
	if (err != nil || step.Transition == nil) && a.req.Key != "" && !a.fresh && d.led.Replies != nil {
		d.recall(&flight[S]{ask: a}) // perhaps it was done, and this is the repeat
		return
	}
	if err != nil {
		a.reply.Refuse(err)
		return
	}
	if len(step.With) > 0 && (step.Transition == nil || d.led.Joint == nil) {
		a.reply.Refuse(fmt.Errorf("actors: %s: a step with others needs a transition of its own and a joint writer", d.ref.Kind))
		return
	}
	if step.Transition == nil {
		a.reply.Answer(d.b.Answer(d.state, d.version, step.Replayed))
		return
	}
	t := *step.Transition
	t.Ref, t.Version, t.Epoch, t.At, t.Trace = d.ref, d.version, d.epoch, now, tracedBy(a.ctx)
	t.Outbox = postponed(t.Outbox, now)
	if a.req.Key != "" {
		answer, err := d.b.Encode(d.b.Answer(step.State, d.version+1, false))
		if err != nil {
			a.reply.Refuse(fault.From(err))
			return
		}
		t.Idem = &ledger.Idem{Scope: a.req.Scope, Key: a.req.Key, Hash: a.req.Hash, Reply: answer}
	}
	step.Transition, step.With = &t, d.joined(a, step.With, now)
	d.commit(&flight[S]{ask: a, step: &step})
}

// commit hands the transition over. The client going away does not call it off.
func (d *Durable[S]) commit(f *flight[S]) {
	d.flight = f
	led, step := d.led, *f.step
	d.self.Go(f.ctx, commitLimit, func(ctx context.Context) any {
		return &outcome[S]{of: f, all: write(ctx, led, step)}
	})
}

// next decides what waited, until something is in flight again.
func (d *Durable[S]) next() {
	if hinted := d.hinted; d.flight == nil && hinted > d.version {
		d.hinted = 0
		d.reload(&flight[S]{ask: ask{ctx: context.Background()}})
	}
	for d.flight == nil && len(d.waiting) > 0 {
		a := d.waiting[0]
		d.waiting = d.waiting[1:]
		d.decide(a)
	}
}
