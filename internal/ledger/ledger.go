// Package ledger is the durable core's vocabulary: what an actor hands to the writer, and what the
// writer answers. It is pure; the stores implement its ports, the actors use them.
//
// The invariants every implementation keeps (store/storetest proves them on each):
//   - At most one activation of an aggregate can commit: every write compares version and owner
//     epoch with "=". A claim raises the epoch, so every older activation is refused from then on.
//   - What Committed answers is on disk. What is not certain is answered Unknown, never Committed.
//   - A transition is all or nothing: row, events, idempotency record, timers, outbox and inbox.
//   - Inbox numbers of one recipient are dense and become visible in order.
//   - A command id has one effect per scope; a repeat gets the first reply back.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// ErrMissing: there is no such aggregate.
var ErrMissing = errors.New("ledger: no such aggregate")

// ErrBusy is the Err of a Failed outcome: the writer's queue is full, or the transition waited in it
// for too long. Nothing was tried; the caller may try again.
var ErrBusy = errors.New("ledger: the writer is busy")

// ErrMalformed is the Err of a Failed outcome: the transition cannot be stored as it is.
var ErrMalformed = errors.New("ledger: malformed transition")

// Kind names a kind of fenced aggregate. It is also the table's name, but for an order, whose table
// is customer_order (order is a word of SQL).
type Kind string

// The fenced aggregates. Every lane locks in this order: orders by id, then trips by id.
const (
	Order Kind = "order"
	Trip  Kind = "trip"
)

// Ref names one aggregate.
type Ref struct {
	Kind Kind
	ID   string // a bare UUID
}

// Transition is one decided step of one aggregate that wants to become durable.
type Transition struct {
	Ref     Ref
	Version int64 // the version the decision was made on; 0 gives birth: the row is inserted at version 1, epoch 0
	Epoch   int64 // the epoch of the claim the decision was made under; ignored at birth
	State   json.RawMessage
	Events  []Event
	Idem    *Idem
	Timers  []TimerChange
	Outbox  []Message
	// Offers and CloseOffers change who is offered an order; of an order's transition only.
	Offers      []OfferChange
	CloseOffers *OfferClosing
	// Contended says that the step may hit a unique index: it then runs in a transaction of its own,
	// so that its refusal cannot abort its neighbours. A birth is always contended.
	Contended bool
	At        time.Time // the "now" the decision was made with
	// Trace is the span that asked for the step, if that trace is recorded: the commit becomes its
	// child. Zero: the span of Commit's context.
	Trace trace.SpanContext
}

// Event is one line of an aggregate's history, and, for each recipient, one inbox entry.
// Its place in the history is (aggregate, Version+1, index in Transition.Events).
type Event struct {
	ID             string // stable: the same event has the same id on every channel
	Type           string // trip_status, trip_assigned … (design §7)
	PayloadVersion int    // starts at 1
	At             time.Time
	Expires        time.Time // zero: never
	TripID         string
	OrderID        string
	Data           json.RawMessage
	Recipients     []string // user ids; none: history only
}

// Idem is the idempotency record of one command. Scope is the principal (a user id) or the
// receiving aggregate; Key the client's key or a deterministic one. Hash is of the request body:
// the same key with another hash is refused with Mismatch.
type Idem struct {
	Scope string
	Key   string
	Hash  string
	Reply json.RawMessage
}

// TimerChange arms, moves or cancels one named timer of the aggregate. A fired timer whose Number
// is not the armed one is ignored by the actor.
type TimerChange struct {
	Name   string
	Due    time.Time // zero cancels
	Number int64
}

// Timer is an armed timer as stored.
type Timer struct {
	Ref    Ref
	Name   string
	Due    time.Time
	Number int64
}

// Message is a durable message: written with the transition, sent until the receiver has committed
// it (its idempotency record is (receiver, ID)) or until Deadline.
type Message struct {
	ID       string // also the command id at the receiver
	Channel  string // "actor", "sms", "push"
	To       string // for "actor": kind/id
	Type     string // names the body
	Body     json.RawMessage
	Deadline time.Time // zero: never
	// NotBefore keeps the message from Take until then; zero: the transition's At. A sender that
	// tries at once by itself sets it 2 s ahead, so that the relay only sends what got stuck.
	NotBefore time.Time
}

// Status is how a transition ended.
type Status int

// The outcomes. Only Committed changed anything.
const (
	// Unknown: the connection was lost around COMMIT. The actor stops without answering and reloads.
	Unknown Status = iota
	// Committed: on disk.
	Committed
	// Fenced: another activation has claimed the row since. Stop, leave the activation table.
	Fenced
	// Moved: same epoch, newer version (a command over several aggregates). Reload and decide again.
	Moved
	// Replayed: the command id was used before with the same hash; Outcome.Reply is the first reply.
	Replayed
	// Mismatched: the command id was used before with another hash.
	Mismatched
	// Taken: a unique index refused it; Outcome.Constraint names it.
	Taken
	// Missing: there is no such row.
	Missing
	// Broken: same epoch and version and yet no row was written: a bug. Count, stop, reload.
	Broken
	// Failed: a definite no (after retries for deadlocks); nothing changed.
	Failed
	// Aborted: another transition of the same transaction was refused (see JointWriter); nothing
	// changed.
	Aborted
)

// Outcome answers one transition, at the same index.
type Outcome struct {
	Status     Status
	Numbers    []Number        // of a Committed one: the inbox numbers its events got
	Offers     []OfferVersion  // of a Committed one: every offer that it changed, by recipient
	Reply      json.RawMessage // of a Replayed one
	Constraint string          // of a Taken one
	Err        error           // of an Unknown or Failed one, for logs
}

// Number says which number an event got in one recipient's inbox.
type Number struct {
	Event     int // index in Transition.Events
	Recipient string
	Seq       int64
}

// Claimed is an aggregate as a claim loaded it.
type Claimed struct {
	Version int64
	Epoch   int64
	State   json.RawMessage
	Timers  []Timer
}

// Writer makes transitions durable. Commit answers each transition at its own index and never
// panics; its error-free signature is deliberate: every failure belongs to a transition. At most one
// transition of an aggregate may be in one call. What must stand or fall together goes through a
// JointWriter.
type Writer interface {
	Commit(ctx context.Context, ts []Transition) []Outcome
}

// Claimer fences and loads in one statement. ErrMissing when there is no such row.
type Claimer interface {
	Claim(ctx context.Context, ref Ref, node string) (Claimed, error)
}

// Timers finds what is overdue (due at or before the given time) for the sweeper: oldest first, by due,
// kind, aggregate and name, from the one behind after; a zero after begins with the oldest.
type Timers interface {
	Overdue(ctx context.Context, before time.Time, after Timer, limit int) ([]Timer, error)
}

// Outbox is the relay's view of durable messages. Take leases up to limit messages of the channels
// until now+lease (SKIP LOCKED where the store has it), oldest first, and drops those past their
// deadline; Done deletes one; Later gives it back until at. Done and Later of a message that is gone
// are no errors: somebody else has settled it.
type Outbox interface {
	Take(ctx context.Context, channels []string, now time.Time, lease time.Duration, limit int) ([]Pending, error)
	Done(ctx context.Context, id string) error
	Later(ctx context.Context, id string, at time.Time) error
}

// Pending is a leased durable message and how often it was tried before.
type Pending struct {
	Message
	Attempts int
}

// InboxEntry is one durable event as one recipient sees it.
type InboxEntry struct {
	Seq   int64
	Event Event
}

// Inbox reads the durable events of one recipient.
type Inbox interface {
	// Stream is one random id per database, changed after a restore.
	Stream(ctx context.Context) (string, error)
	// Head is the recipient's highest number, 0 when there is none.
	Head(ctx context.Context, recipient string) (int64, error)
	// Read gives entries with number >= from, in order, at most limit. The first one's number may be
	// greater than from when retention removed older ones.
	Read(ctx context.Context, recipient string, from int64, limit int) ([]InboxEntry, error)
}

// History reads an aggregate's own events (ops, explain, the timeline of a trip).
type History interface {
	Events(ctx context.Context, ref Ref, afterVersion int64, limit int) ([]Recorded, error)
}

// Recorded is an event with its place in the aggregate's history.
type Recorded struct {
	Version int64
	Ordinal int
	Event   Event
}

// Replies reads the idempotency records of commands, for what is about to be answered without a
// write: a refusal of a command that was already done must not be told to whoever repeats it.
type Replies interface {
	// Used gives the record of a command id; ok is false when the id was never used, or so long ago
	// that its record is gone.
	Used(ctx context.Context, scope, key string) (used Idem, ok bool, err error)
}

// Retention says how long what is only needed for a while is kept. Zero takes the default.
type Retention struct {
	Inbox time.Duration // default 24 h: a client away for longer resynchronises
	Idem  time.Duration // default 72 h: a retry later than that is a new command
	Offer time.Duration // since it was closed; default 30 d: as long as fixes, for explaining an order
}

// WithDefaults fills what is zero.
func (r Retention) WithDefaults() Retention {
	if r.Inbox == 0 {
		r.Inbox = 24 * time.Hour
	}
	if r.Idem == 0 {
		r.Idem = 72 * time.Hour
	}
	if r.Offer == 0 {
		r.Offer = 30 * 24 * time.Hour
	}
	return r
}

// Pruned counts the rows that one pruning removed.
type Pruned struct {
	Inbox int64
	Idem  int64
	Offer int64
}

// Pruner removes what is older than the retention, in bounded batches, so that no commit waits
// long behind it. Events are the history and stay; inbox numbers are never used again.
type Pruner interface {
	Prune(ctx context.Context, now time.Time, r Retention) (Pruned, error)
}

// Flush is what a writer tells its observer after each flush.
type Flush struct {
	Lane     string        // "plain", "alone" or "joint"
	Size     int           // transitions in it
	Waited   time.Duration // of the transition that waited longest, before the flush began
	Took     time.Duration // from the first statement to the answer of COMMIT
	Statuses [Aborted + 1]int
}
