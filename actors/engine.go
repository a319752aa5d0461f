package actors

import (
	"context"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
)

// newEngine starts the actor library with its talk turned down to warnings.
func newEngine(log *slog.Logger) *actor.ActorSystem {
	library := slog.New(atLeast{log.Handler(), slog.LevelWarn}).With("component", "protoactor")
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return library }))
}

// onEngineEvent counts the library's own dead letters. The runtime never sends to a stopped actor,
// so there should be none.
func (s *System) onEngineEvent(event any) {
	if dead, ok := event.(*actor.DeadLetterEvent); ok {
		if _, library := dead.Message.(actor.SystemMessage); !library {
			s.observer.DeadLetter("engine")
		}
	}
}

// atLeast is a handler that drops what is below its level.
type atLeast struct {
	slog.Handler
	level slog.Level
}

// Enabled implements slog.Handler.
func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (h atLeast) WithAttrs(as []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(as), h.level}
}

// WithGroup implements slog.Handler.
func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}
