package actors

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Self is an activation's hold on itself. Its messages reach this activation or nobody: they are
// dropped once it has ended.
type Self struct {
	of    *activation
	shell *shell
	turn  uint64
}

// Address is the actor's own.
func (s *Self) Address() Address { return s.of.addr }

// ID is the second half of the address.
func (s *Self) ID() string { return s.of.addr.ID }

// Router sends to other actors.
func (s *Self) Router() Router { return s.of.sys }

// Node is this task's name.
func (s *Self) Node() string { return s.of.sys.node }

// Draining says that the task hands over: whoever waits for nothing but his own socket should go.
func (s *Self) Draining() bool { return s.of.sys.closed.Load() }

// Crowded says that three quarters of the room for this kind are taken: whoever is idle should go,
// before somebody who is needed is refused.
func (s *Self) Crowded() bool {
	k := s.of.kind
	return k.live.Load()*4 >= int64(k.MaxLive)*3
}

// Log is the system's logger with the actor's address.
func (s *Self) Log() *slog.Logger {
	return s.of.sys.log.With("component", "actors", "kind", s.of.addr.Kind, "id", s.of.addr.ID)
}

// Tell sends the activation a message from any goroutine.
func (s *Self) Tell(msg any) { s.of.acceptInward(s.turn, &inward{msg: msg}) }

// After sends the activation a message once d has passed. Stop the timer to call it off.
func (s *Self) After(d time.Duration, msg any) *time.Timer {
	return time.AfterFunc(d, func() { s.Tell(msg) })
}

// Leave ends the activation after the current message; messages behind it start a new one. Call it
// only inside Receive.
func (s *Self) Leave() { s.shell.leaving = true }

// Go runs slow work off the actor's turn, for at most limit, and sends its result back as a
// message. The work keeps the trace and no deadline of ctx. A panic in it ends the activation.
func (s *Self) Go(ctx context.Context, limit time.Duration, work func(ctx context.Context) any) {
	span := tracedBy(ctx)
	s.of.sys.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		ctx, working := s.of.sys.working(ctx, s.of.addr)
		defer endSpan(working)
		s.of.acceptInward(s.turn, &inward{msg: s.attempt(ctx, work), span: span, result: true})
	})
}

// attempt runs the work and turns its panic into a message that breaks the actor in its own turn,
// where panics are counted.
func (s *Self) attempt(ctx context.Context, work func(ctx context.Context) any) (result any) {
	defer func() {
		if p := recover(); p != nil {
			s.of.sys.log.ErrorContext(ctx, "work of an actor panicked", "kind", s.of.addr.Kind, "id", s.of.addr.ID, "panic", p, "stack", stack())
			result = broken{reason: p}
		}
	}()
	return work(ctx)
}

// broken is the result of work that panicked.
type broken struct{ reason any }

// work runs something off the actor's turn that has nothing to come back with. It goes on when the
// activation ends.
func (s *Self) work(ctx context.Context, limit time.Duration, do func(ctx context.Context)) {
	s.of.sys.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		ctx, working := s.of.sys.working(ctx, s.of.addr)
		defer endSpan(working)
		s.attempt(ctx, func(ctx context.Context) any { do(ctx); return nil })
	})
}

// untraced drops the sender's trace, for upkeep that must not appear in it.
func untraced(ctx context.Context) context.Context {
	return trace.ContextWithSpanContext(ctx, trace.SpanContext{})
}
