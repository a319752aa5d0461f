package actortest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"weelo/internal/ledger"
)

// Ledger is the durable core in memory, for tests in a synctest bubble: rows with version and epoch,
// events, idempotency, timers, outbox and inbox numbers, all or nothing as the stores do it. What
// breaks in real life is broken on purpose through its fields; set them before use or under Hold.
type Ledger struct {
	mu       sync.Mutex
	rows     map[ledger.Ref]*row
	idem     map[[2]string]ledger.Idem
	outbox   map[string]*letter
	inbox    map[string][]ledger.InboxEntry
	unique   []Unique
	commits  int
	conflict int

	// Fault is asked before each transition; nil: nothing goes wrong.
	Fault func(t ledger.Transition) Fault
	// NoFence switches the comparison of epochs off: the control that shows what the fence is for.
	NoFence bool
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
	events         []ledger.Recorded
}

type letter struct {
	ledger.Message
	at       time.Time // not taken before
	attempts int
}

var (
	_ ledger.Writer  = (*Ledger)(nil)
	_ ledger.Claimer = (*Ledger)(nil)
	_ ledger.Timers  = (*Ledger)(nil)
	_ ledger.Outbox  = (*Ledger)(nil)
	_ ledger.Inbox   = (*Ledger)(nil)
	_ ledger.History = (*Ledger)(nil)
)

// NewLedger makes an empty one.
func NewLedger(unique ...Unique) *Ledger {
	return &Ledger{
		rows: map[ledger.Ref]*row{}, idem: map[[2]string]ledger.Idem{}, outbox: map[string]*letter{},
		inbox: map[string][]ledger.InboxEntry{}, unique: unique,
	}
}

// Hold runs f while nothing else uses the ledger.
func (l *Ledger) Hold(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
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
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		return ledger.Outcome{Status: ledger.Unknown, Err: ctx.Err()}
	}
	fault := NoFault
	if l.Fault != nil {
		fault = l.Fault(t)
	}
	switch fault {
	case LostWrite:
		return ledger.Outcome{Status: ledger.Unknown, Err: errors.New("planted: connection lost before COMMIT")}
	case Refused:
		return ledger.Outcome{Status: ledger.Failed, Err: errors.New("planted: refused")}
	case NoFault, LostReply:
	}
	o := l.writeLocked(t)
	if fault == LostReply {
		return ledger.Outcome{Status: ledger.Unknown, Err: errors.New("planted: connection lost after COMMIT")}
	}
	return o
}

func (l *Ledger) writeLocked(t ledger.Transition) ledger.Outcome {
	if t.Idem != nil {
		if first, used := l.idem[[2]string{t.Idem.Scope, t.Idem.Key}]; used {
			if first.Hash != t.Idem.Hash {
				return ledger.Outcome{Status: ledger.Mismatched}
			}
			return ledger.Outcome{Status: ledger.Replayed, Reply: first.Reply}
		}
	}
	r, exists := l.rows[t.Ref]
	switch {
	case t.Version == 0 && exists:
		return ledger.Outcome{Status: ledger.Taken, Constraint: "primary"}
	case t.Version == 0:
		r = &row{timers: map[string]ledger.Timer{}}
	case !exists:
		return ledger.Outcome{Status: ledger.Missing}
	case r.epoch > t.Epoch && !l.NoFence:
		return ledger.Outcome{Status: ledger.Fenced}
	case r.version != t.Version && !l.NoFence:
		l.conflict++
		return ledger.Outcome{Status: ledger.Moved}
	}
	if c := l.takenLocked(t); c != "" {
		return ledger.Outcome{Status: ledger.Taken, Constraint: c}
	}
	r.version++
	r.state = slices.Clone(t.State)
	l.rows[t.Ref] = r
	l.commits++
	return ledger.Outcome{Status: ledger.Committed, Numbers: l.restLocked(r, t)}
}

// restLocked writes what belongs to the transition beside the row.
func (l *Ledger) restLocked(r *row, t ledger.Transition) []ledger.Number {
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
		r.events = append(r.events, ledger.Recorded{Version: r.version, Ordinal: i, Event: e})
		for _, to := range e.Recipients {
			seq := int64(len(l.inbox[to]) + 1)
			l.inbox[to] = append(l.inbox[to], ledger.InboxEntry{Seq: seq, Event: e})
			numbers = append(numbers, ledger.Number{Event: i, Recipient: to, Seq: seq})
		}
	}
	return numbers
}

func (l *Ledger) takenLocked(t ledger.Transition) string {
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
func (l *Ledger) Claim(_ context.Context, ref ledger.Ref, node string) (ledger.Claimed, error) {
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

// Row reads a row without claiming it; ok is false when there is none.
func (l *Ledger) Row(ref ledger.Ref) (c ledger.Claimed, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.rows[ref]
	if !ok {
		return ledger.Claimed{}, false
	}
	return ledger.Claimed{Version: r.version, Epoch: r.epoch, State: slices.Clone(r.state)}, true
}

// Overdue implements ledger.Timers.
func (l *Ledger) Overdue(_ context.Context, before time.Time, limit int) ([]ledger.Timer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var due []ledger.Timer
	for _, r := range l.rows {
		for _, t := range r.timers {
			if !t.Due.After(before) {
				due = append(due, t)
			}
		}
	}
	slices.SortFunc(due, func(a, b ledger.Timer) int { return a.Due.Compare(b.Due) })
	return due[:min(limit, len(due))], nil
}

// Take implements ledger.Outbox.
func (l *Ledger) Take(_ context.Context, channels []string, now time.Time, lease time.Duration, limit int) ([]ledger.Pending, error) {
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
func (l *Ledger) Done(_ context.Context, id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.outbox, id)
	return nil
}

// Later implements ledger.Outbox.
func (l *Ledger) Later(_ context.Context, id string, at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m, ok := l.outbox[id]; ok {
		m.at = at
	}
	return nil
}

// Unsent is how many durable messages are still in the outbox.
func (l *Ledger) Unsent() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.outbox)
}

// Stream implements ledger.Inbox.
func (l *Ledger) Stream(context.Context) (string, error) { return "stream-of-this-test", nil }

// Head implements ledger.Inbox.
func (l *Ledger) Head(_ context.Context, recipient string) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.inbox[recipient])), nil
}

// Read implements ledger.Inbox.
func (l *Ledger) Read(_ context.Context, recipient string, from int64, limit int) ([]ledger.InboxEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.inbox[recipient]
	start := min(int(max(from-1, 0)), len(all))
	return slices.Clone(all[start:min(start+limit, len(all))]), nil
}

// Events implements ledger.History.
func (l *Ledger) Events(_ context.Context, ref ledger.Ref, after int64, limit int) ([]ledger.Recorded, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var events []ledger.Recorded
	if r, ok := l.rows[ref]; ok {
		for _, e := range r.events {
			if e.Version > after && len(events) < limit {
				events = append(events, e)
			}
		}
	}
	return events, nil
}
