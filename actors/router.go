package actors

import (
	"context"
	"errors"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
)

// Address names one actor; see protocol.Address.
type Address = protocol.Address

// Router delivers messages to actors wherever they live. Two implementations pass
// actortest.Routers: System (one task) and, later, the clustered one.
//
// A message is delivered at most once. Messages from one sender to one actor arrive in order as long
// as the actor does not crash between them. An error means that the actor has not seen the message,
// with one exception: an Ask that ran out of time (reason NO_ANSWER) may have been handled.
type Router interface {
	// Tell hands over a message and does not wait for the actor. The message belongs to the
	// receiver from now on. Errors: BUSY (queue full, too many actors of the kind),
	// SHUTTING_DOWN, UNKNOWN_KIND.
	Tell(ctx context.Context, to Address, msg any) error
	// Ask is Tell and waiting for the answer, at most until ctx ends (AskTimeout when it has no
	// deadline). It never answers nil without an error.
	Ask(ctx context.Context, to Address, msg any) (any, error)
	// Owner says which task the actor lives on, or would be activated on, and whether that is this one.
	Owner(to Address) (node string, local bool)
}

// AskTimeout bounds an Ask whose context has no deadline.
const AskTimeout = 10 * time.Second

// notTried marks what Ask may send again; see errNotTried.
var notTried = errors.New("actors: the command was not tried")

// askTries is how often an Ask is sent at most.
const askTries = 3

// The refusals of the runtime itself.
var (
	// ErrBusy: a bounded queue is full, so the message was refused before it was sent.
	ErrBusy = fault.New(fault.Unavailable, "BUSY",
		"We are very busy just now. Please try again in a moment.").After(time.Second)
	// ErrShuttingDown: this task hands over to another one.
	ErrShuttingDown = fault.New(fault.Unavailable, "SHUTTING_DOWN",
		"We are restarting. Please try again in a moment.").After(time.Second)
	// ErrInterrupted: the actor stopped before it could answer. What became of the command is known
	// after a retry with the same key.
	ErrInterrupted = fault.New(fault.Unavailable, "INTERRUPTED",
		"That did not go through. Please try again.").After(time.Second)
	// ErrNoAnswer: the caller's deadline passed first.
	ErrNoAnswer = fault.New(fault.Unavailable, "NO_ANSWER",
		"That is taking too long. Please try again.").After(time.Second)
	// ErrPoisoned: the command broke its actor three times and is kept from it.
	ErrPoisoned = fault.New(fault.Internal, "POISONED",
		"Something went wrong on our side and is being looked at.")
	// ErrQuarantined: the actor broke too often, and nothing reaches it until operators release it or, one
	// without a row, until ten minutes have passed. The message had no effect.
	ErrQuarantined = fault.New(fault.Unavailable, "QUARANTINED",
		"Something went wrong on our side and is being looked at. Please try again later.").After(time.Minute)
	// errNotTried is ErrInterrupted for a command that has certainly had no effect: it waited when its
	// actor stopped, or another activation had taken the row over. Ask sends it again by itself.
	errNotTried    = ErrInterrupted.Because(notTried)
	errUnknownKind = fault.New(fault.Internal, "UNKNOWN_KIND",
		"Something went wrong on our side. Please try again.")
)
