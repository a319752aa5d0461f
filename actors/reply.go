package actors

import (
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"

	"weelo/actors/protocol"
)

// envelope wraps the messages that need more than themselves: an answer, or a trace. A message with
// neither travels bare, so that a position costs no allocation on its way.
type envelope struct {
	msg      any
	span     trace.SpanContext // of the sender, when it is sampled
	answer   chan answer       // nil for a Tell; buffered for one, so that answering never blocks
	deadline time.Time         // of the asker; zero for a Tell
}

type answer struct {
	value any
	err   error
}

// inward wraps what an activation sends to itself: timers and the results of its own I/O. It is
// never handed to another activation.
type inward struct {
	msg    any
	span   trace.SpanContext
	result bool // of its own I/O
}

// ownResult tells the result of an actor's own I/O from what is sent to it. The actor waits for it, and for
// ever if it were kept from it.
func ownResult(wrapped any) bool {
	in, ok := wrapped.(*inward)
	return ok && in.result
}

// Reply is the way back to whoever asked. It may be kept and used after Receive has returned, from
// any goroutine; the first use counts. For a Tell it does nothing.
type Reply struct{ env *envelope }

// Wanted says whether somebody waits.
func (r Reply) Wanted() bool { return r.env != nil && r.env.answer != nil }

// left is how long the asker still waits, at most limit; for a Tell it is the limit.
func (r Reply) left(limit time.Duration) time.Duration {
	if !r.Wanted() {
		return limit
	}
	return min(limit, time.Until(r.env.deadline))
}

// Answer sends the answer. nil is answered as protocol.Done, because nobody should have to tell an
// empty answer from a missing one.
func (r Reply) Answer(value any) {
	if value == nil {
		value = protocol.Done{}
	}
	r.send(answer{value: value})
}

// Refuse answers with an error, a *fault.Error where people are to read it.
func (r Reply) Refuse(err error) {
	if err == nil {
		err = fmt.Errorf("actors: refused without a reason")
	}
	r.send(answer{err: err})
}

// answerOr refuses when err is not nil and answers otherwise.
func (r Reply) answerOr(value any, err error) {
	if err != nil {
		r.Refuse(err)
		return
	}
	r.Answer(value)
}

func (r Reply) send(a answer) {
	if !r.Wanted() {
		return
	}
	select {
	case r.env.answer <- a:
	default: // already answered
	}
}

// open takes a message out of whatever wraps it.
func open(wrapped any) (msg any, span trace.SpanContext, reply Reply) {
	switch w := wrapped.(type) {
	case *envelope:
		return w.msg, w.span, Reply{env: w}
	case *inward:
		return w.msg, w.span, Reply{}
	default:
		return wrapped, trace.SpanContext{}, Reply{}
	}
}

// refuse answers a message that no actor will see and tells whether somebody was waiting.
func refuse(wrapped any, err error) bool {
	_, _, reply := open(wrapped)
	reply.Refuse(err)
	return reply.Wanted()
}
