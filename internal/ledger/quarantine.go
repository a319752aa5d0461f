package ledger

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// StrikesOut is after how many panics a command is kept from its actor.
	StrikesOut = 3
	// PanicsOut is after how many panics within PanicWindow, whatever caused them, an actor is taken out:
	// nothing reaches it any more.
	PanicsOut   = 10
	PanicWindow = 10 * time.Minute
	// WholeActor stands where the id of a command does when the actor itself was taken out. No command has
	// this id.
	WholeActor = ""
)

// OutAfter is how many strikes put a command into quarantine. One against the whole actor does: it is
// given when the actor is taken out.
func OutAfter(command string) int {
	if command == WholeActor {
		return 1
	}
	return StrikesOut
}

// Quarantine counts the times a command made its aggregate's actor panic. After StrikesOut a command
// is refused until operators release it; the aggregate goes on serving others, unless its actor is taken out
// as a whole. Only commands with an id are kept here: a message without one has no sender to refuse, and is
// tried again after a while.
type Quarantine interface {
	// Strike counts one more panic and tells how many there were since the last release.
	Strike(ctx context.Context, h Harm) (Struck, error)
	// Strikes tells which commands did harm to the aggregate, the latest first, at most MaxStruck.
	Strikes(ctx context.Context, ref Ref) ([]Struck, error)
	// Released tells the releases at or after a time, the earliest first, at most MaxReleases.
	Released(ctx context.Context, since time.Time) ([]Release, error)
}

const (
	// MaxStruck bounds the harmful commands that are told of one aggregate.
	MaxStruck = 100
	// ReleaseLag is how long tasks are given to learn of a release before a letter comes again.
	ReleaseLag = 3 * time.Second
	// QuarantineRetention is how long a command that a client would have to bring again is kept after
	// its last strike, release or discard, and MaxQuarantined how many of all are.
	QuarantineRetention = 30 * 24 * time.Hour
	MaxQuarantined      = 10_000
	// MaxReleases bounds the releases that are told at once.
	MaxReleases = 1000
	// maxHarm bounds the text of a panic that is kept, in characters.
	maxHarm = 500
)

// Harm is one panic of an aggregate's actor and the command that caused it; or the last of the panics that
// the actor was taken out for.
type Harm struct {
	Ref       Ref
	CommandID string // WholeActor: the actor is out
	Message   string // the kind of command, for people
	Reason    string // what the actor panicked with
	At        time.Time
}

// Storable is the harm as every store keeps it: a panic may say anything, at any length.
func (h Harm) Storable() Harm {
	clean := func(s string) string {
		s = strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "")
		if utf8.RuneCountInString(s) > maxHarm {
			s = string([]rune(s)[:maxHarm])
		}
		return s
	}
	h.Message, h.Reason, h.At = clean(h.Message), clean(h.Reason), h.At.UTC().Truncate(time.Microsecond)
	return h
}

// Struck is a command that made its aggregate's actor panic.
type Struck struct {
	CommandID string
	Strikes   int // since the last release
	Releases  int // how often it was released
	Last      time.Time
}

// Release says that a command may run again. Releases counts them: who remembers strikes of an earlier
// count forgets them.
type Release struct {
	Ref       Ref
	CommandID string
	Releases  int
	At        time.Time
}

// QuarantineDesk is what operators do with harmful commands.
type QuarantineDesk interface {
	// List gives what a query chooses, the highest number first.
	List(ctx context.Context, q QuarantineQuery) ([]Quarantined, error)
	// Release lets a command run again, and has a letter handed out again ReleaseLag after at.
	// ErrNoCommand, ErrNotQuarantined, ErrDiscarded.
	Release(ctx context.Context, id int64, at time.Time) (Quarantined, error)
	// Discard gives a command up for good; a letter is taken out of the outbox. ErrNoCommand,
	// ErrNotQuarantined, ErrTimer, ErrActor.
	Discard(ctx context.Context, id int64, at time.Time) (Quarantined, error)
	// Prune removes, the oldest first and at most limit, what did no harm since before and what is more
	// than the newest most. What the product itself would deliver again stays.
	Prune(ctx context.Context, before time.Time, most, limit int) (int, error)
}

// The refusals of a QuarantineDesk.
var (
	ErrNoCommand      = errors.New("ledger: no such command is or was quarantined")
	ErrNotQuarantined = errors.New("ledger: the command is not quarantined")
	ErrDiscarded      = errors.New("ledger: the command was discarded")
	ErrTimer          = errors.New("ledger: a timer cannot be discarded: what waits for it would wait for ever")
	ErrActor          = errors.New("ledger: an actor cannot be discarded: its aggregate would be lost")
)

// Standing is where a harmful command stands.
type Standing string

// A command is struck, then quarantined, then either released, from where it may be struck again, or
// discarded.
const (
	StandsStruck      Standing = "struck"      // it broke its actor, but not often enough to be kept from it
	StandsQuarantined Standing = "quarantined" // it is refused
	StandsReleased    Standing = "released"    // it may run, and did no harm since
	StandsDiscarded   Standing = "discarded"   // it is refused, and nobody expects it to run any more
)

// QuarantineQuery chooses harmful commands.
type QuarantineQuery struct {
	Standing Standing // "": any
	Before   int64    // numbers below it only; 0: from the newest
	Limit    int      // 1..MaxStruck
}

// Carrier is who brings a command again.
type Carrier string

// A command that broke its actor comes again with whoever sent it.
const (
	CarriedByTimer  Carrier = "timer"  // an armed timer of the aggregate: again and again by itself
	CarriedByOutbox Carrier = "outbox" // a durable message of another aggregate: again and again by itself
	CarriedByClient Carrier = "client" // whoever asked: when he repeats his request
	CarriedByAll    Carrier = "actor"  // everybody who sends to the actor: it is the actor itself that is out
)

// Quarantined is a harmful command as operators see it.
type Quarantined struct {
	ID int64 // by which operators name it; a later one has a higher number
	Harm
	Strikes   int // since the last release
	First     time.Time
	Releases  int
	Released  time.Time // zero: never
	Discarded time.Time // zero: not
	Carrier   Carrier   // as of now
}

// Standing tells where the command stands.
func (q Quarantined) Standing() Standing {
	switch {
	case !q.Discarded.IsZero():
		return StandsDiscarded
	case q.Strikes >= OutAfter(q.CommandID):
		return StandsQuarantined
	case q.Strikes > 0 || q.Releases == 0:
		return StandsStruck
	}
	return StandsReleased
}

// Release is the command after a release. One that may run already stays as it is. Pure.
func (q Quarantined) Release(at time.Time) (Quarantined, error) {
	switch q.Standing() {
	case StandsReleased:
		return q, nil
	case StandsDiscarded:
		return q, ErrDiscarded
	case StandsStruck:
		return q, ErrNotQuarantined
	default:
		q.Strikes, q.Releases, q.Released = 0, q.Releases+1, at
		return q, nil
	}
}

// Discard is the command after it was given up. One that was stays as it is. Pure.
func (q Quarantined) Discard(at time.Time) (Quarantined, error) {
	switch q.Standing() {
	case StandsDiscarded:
		return q, nil
	case StandsStruck, StandsReleased:
		return q, ErrNotQuarantined
	case StandsQuarantined:
	}
	switch q.Carrier {
	case CarriedByTimer:
		return q, ErrTimer
	case CarriedByAll:
		return q, ErrActor
	case CarriedByOutbox, CarriedByClient:
	}
	q.Discarded = at
	return q, nil
}
