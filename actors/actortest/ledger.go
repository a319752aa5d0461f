package actortest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"weelo/internal/ledger"
)

// Ledger is a durable core whose faults are planted: what breaks in real life is broken on purpose.
// It stands on any store; NewLedger is the one in memory.
type Ledger struct {
	Backend

	mu      sync.Mutex
	commits int
	fault   func(t ledger.Transition) Fault
}

// Backend is the store under a Ledger.
type Backend struct {
	ledger.Writer
	ledger.JointWriter
	ledger.Claimer
	ledger.Timers
	ledger.Outbox
	ledger.Inbox
	ledger.Replies
	// Row reads a row without claiming it; ok is false when there is none.
	Row func(ref ledger.Ref) (row ledger.Claimed, ok bool)
}

// Over plants faults into a store.
func Over(b Backend) *Ledger { return &Ledger{Backend: b} }

// Break asks f before each transition what goes wrong with it; nil: nothing from now on.
func (l *Ledger) Break(f func(t ledger.Transition) Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = f
}

// Commits is how many transitions were written.
func (l *Ledger) Commits() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.commits
}

// Commit implements ledger.Writer.
func (l *Ledger) Commit(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	out := make([]ledger.Outcome, len(ts))
	for i, t := range ts {
		out[i] = l.one(ctx, t)
	}
	return out
}

func (l *Ledger) one(ctx context.Context, t ledger.Transition) ledger.Outcome {
	f := l.wrong(t)
	switch f {
	case LostWrite:
		return ledger.Outcome{Status: ledger.Unknown, Err: errors.New("planted: connection lost before COMMIT")}
	case Refused:
		return ledger.Outcome{Status: ledger.Failed, Err: errors.New("planted: refused")}
	case NoFault, LostReply:
	}
	o := l.Writer.Commit(ctx, []ledger.Transition{t})[0]
	if o.Status == ledger.Committed {
		l.mu.Lock()
		l.commits++
		l.mu.Unlock()
	}
	if f == LostReply {
		return ledger.Outcome{Status: ledger.Unknown, Err: errors.New("planted: connection lost after COMMIT")}
	}
	return o
}

func (l *Ledger) wrong(t ledger.Transition) Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == nil {
		return NoFault
	}
	return l.fault(t)
}

// Fault is what goes wrong with one transition.
type Fault int

// The faults of a writer.
const (
	NoFault   Fault = iota
	LostReply       // it is on disk, and the answer is Unknown
	LostWrite       // it is not on disk, and the answer is Unknown
	Refused         // a definite no: Failed
)

// Unique is a partial unique index over the snapshot: of all rows of Kind for which Key gives a
// non-empty value, each value occurs once.
type Unique struct {
	Constraint string
	Kind       ledger.Kind
	Key        func(snapshot json.RawMessage) string
}

type row struct {
	version, epoch int64
	node           string
	state          json.RawMessage
	timers         map[string]ledger.Timer
}

type letter struct {
	ledger.Message
	at       time.Time // not taken before
	attempts int
}

var (
	_ ledger.Writer  = (*memory)(nil)
	_ ledger.Claimer = (*memory)(nil)
	_ ledger.Timers  = (*memory)(nil)
	_ ledger.Outbox  = (*memory)(nil)
	_ ledger.Inbox   = (*memory)(nil)
	_ ledger.Replies = (*memory)(nil)
)

// NewLedger is a Ledger in memory: rows with version and epoch, events, idempotency, timers, outbox
// and inbox numbers, all or nothing as the stores do it. It keeps no offers.
func NewLedger(unique ...Unique) *Ledger { return overMemory(newMemory(unique)) }

// Unfenced is NewLedger without the comparison of versions and epochs: the control that shows what
// they are for.
func Unfenced() *Ledger {
	m := newMemory(nil)
	m.unfenced = true
	return overMemory(m)
}

func overMemory(m *memory) *Ledger {
	return Over(Backend{Writer: m, JointWriter: m, Claimer: m, Timers: m, Outbox: m, Inbox: m, Replies: m, Row: m.peek})
}

func newMemory(unique []Unique) *memory {
	return &memory{
		rows: map[ledger.Ref]*row{}, idem: map[[2]string]ledger.Idem{}, outbox: map[string]*letter{},
		inbox: map[string][]ledger.InboxEntry{}, unique: unique,
	}
}

// memory is the store under NewLedger.
type memory struct {
	mu       sync.Mutex
	unfenced bool
	rows     map[ledger.Ref]*row
	idem     map[[2]string]ledger.Idem
	outbox   map[string]*letter
	inbox    map[string][]ledger.InboxEntry
	unique   []Unique
}

// Commit implements ledger.Writer.
func (l *memory) Commit(ctx context.Context, ts []ledger.Transition) []ledger.Outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]ledger.Outcome, len(ts))
	for i, t := range ts {
		if out[i] = (ledger.Outcome{Status: ledger.Unknown, Err: ctx.Err()}); ctx.Err() == nil {
			out[i] = l.writeLocked(t)
		}
	}
	return out
}

func (l *memory) writeLocked(t ledger.Transition) ledger.Outcome {
	if t.Idem != nil {
		if first, known := l.idem[[2]string{t.Idem.Scope, t.Idem.Key}]; known {
			if first.Hash != t.Idem.Hash {
				return ledger.Outcome{Status: ledger.Mismatched}
			}
			return ledger.Outcome{Status: ledger.Replayed, Reply: first.Reply}
		}
	}
	if o := l.judgeLocked(t); o.Status != ledger.Committed {
		return o
	}
	return l.storeLocked(t)
}

// judgeLocked says what would become of a transition, but for its command.
func (l *memory) judgeLocked(t ledger.Transition) ledger.Outcome {
	r, exists := l.rows[t.Ref]
	switch {
	case t.Version == 0 && exists:
		return ledger.Outcome{Status: ledger.Taken, Constraint: "primary"}
	case t.Version == 0:
	case !exists:
		return ledger.Outcome{Status: ledger.Missing}
	case r.epoch > t.Epoch && !l.unfenced:
		return ledger.Outcome{Status: ledger.Fenced}
	case r.version != t.Version && !l.unfenced:
		return ledger.Outcome{Status: ledger.Moved}
	}
	if c := l.takenLocked(t); c != "" {
		return ledger.Outcome{Status: ledger.Taken, Constraint: c}
	}
	return ledger.Outcome{Status: ledger.Committed}
}

// storeLocked writes a transition that was judged well.
func (l *memory) storeLocked(t ledger.Transition) ledger.Outcome {
	r, exists := l.rows[t.Ref]
	if !exists {
		r = &row{timers: map[string]ledger.Timer{}}
	}
	r.version++
	r.state = slices.Clone(t.State)
	l.rows[t.Ref] = r
	return ledger.Outcome{Status: ledger.Committed, Numbers: l.restLocked(r, t)}
}

// restLocked writes what belongs to the transition beside the row.
func (l *memory) restLocked(r *row, t ledger.Transition) []ledger.Number {
	for _, c := range t.Timers {
		delete(r.timers, c.Name)
		if !c.Due.IsZero() {
			r.timers[c.Name] = ledger.Timer{Ref: t.Ref, Name: c.Name, Due: c.Due, Number: c.Number}
		}
	}
	for _, m := range t.Outbox {
		at := m.NotBefore
		if at.IsZero() {
			at = t.At
		}
		l.outbox[m.ID] = &letter{Message: m, at: at}
	}
	if t.Idem != nil {
		l.idem[[2]string{t.Idem.Scope, t.Idem.Key}] = *t.Idem
	}
	var numbers []ledger.Number
	for i, e := range t.Events {
		for k, to := range e.Recipients {
			if to == "" || slices.Contains(e.Recipients[:k], to) {
				continue // everybody gets an event once
			}
			seq := int64(len(l.inbox[to]) + 1)
			l.inbox[to] = append(l.inbox[to], ledger.InboxEntry{Seq: seq, Event: e})
			numbers = append(numbers, ledger.Number{Event: i, Recipient: to, Seq: seq})
		}
	}
	return numbers
}

func (l *memory) takenLocked(t ledger.Transition) string {
	for _, u := range l.unique {
		if u.Kind != t.Ref.Kind {
			continue
		}
		key := u.Key(t.State)
		for ref, r := range l.rows {
			if key != "" && ref.Kind == u.Kind && ref != t.Ref && u.Key(r.state) == key {
				return u.Constraint
			}
		}
	}
	return ""
}

// Claim implements ledger.Claimer.
func (l *memory) Claim(_ context.Context, ref ledger.Ref, node string) (ledger.Claimed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.rows[ref]
	if !ok {
		return ledger.Claimed{}, ledger.ErrMissing
	}
	r.epoch++
	r.node = node
	c := ledger.Claimed{Version: r.version, Epoch: r.epoch, State: slices.Clone(r.state)}
	for _, t := range r.timers {
		c.Timers = append(c.Timers, t)
	}
	return c, nil
}

// peek reads a row without claiming it.
func (l *memory) peek(ref ledger.Ref) (c ledger.Claimed, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.rows[ref]
	if !ok {
		return ledger.Claimed{}, false
	}
	return ledger.Claimed{Version: r.version, Epoch: r.epoch, State: slices.Clone(r.state)}, true
}

// Overdue implements ledger.Timers.
func (l *memory) Overdue(_ context.Context, before time.Time, after ledger.Timer, limit int) ([]ledger.Timer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var due []ledger.Timer
	for _, r := range l.rows {
		for _, t := range r.timers {
			if !t.Due.After(before) && byDue(t, after) > 0 {
				due = append(due, t)
			}
		}
	}
	slices.SortFunc(due, byDue)
	return due[:min(limit, len(due))], nil
}

// byDue is the order of overdue timers.
func byDue(a, b ledger.Timer) int {
	return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Ref.Kind, b.Ref.Kind), cmp.Compare(a.Ref.ID, b.Ref.ID), cmp.Compare(a.Name, b.Name))
}

// Take implements ledger.Outbox.
func (l *memory) Take(_ context.Context, channels []string, now time.Time, lease time.Duration, limit int) ([]ledger.Pending, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var taken []ledger.Pending
	for _, m := range l.outbox {
		if len(taken) < limit && slices.Contains(channels, m.Channel) && !m.at.After(now) {
			taken = append(taken, ledger.Pending{Message: m.Message, Attempts: m.attempts})
			m.at = now.Add(lease)
			m.attempts++
		}
	}
	return taken, nil
}

// Done implements ledger.Outbox.
func (l *memory) Done(_ context.Context, id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.outbox, id)
	return nil
}

// Later implements ledger.Outbox.
func (l *memory) Later(_ context.Context, id string, at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m, ok := l.outbox[id]; ok {
		m.at = at
	}
	return nil
}

// Used implements ledger.Replies.
func (l *memory) Used(_ context.Context, scope, key string) (ledger.Idem, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	used, ok := l.idem[[2]string{scope, key}]
	return used, ok, nil
}

// Stream implements ledger.Inbox.
func (l *memory) Stream(context.Context) (string, error) { return "stream-of-this-test", nil }

// Head implements ledger.Inbox.
func (l *memory) Head(_ context.Context, recipient string) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.inbox[recipient])), nil
}

// Read implements ledger.Inbox.
func (l *memory) Read(_ context.Context, recipient string, from int64, limit int) ([]ledger.InboxEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var entries []ledger.InboxEntry
	for _, e := range l.inbox[recipient] {
		if e.Seq >= from && len(entries) < limit {
			entries = append(entries, e)
		}
	}
	return entries, nil
}
