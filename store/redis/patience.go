package redis

import (
	"context"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Timeout is how long a command may take when nothing else is said. Measured with steps of a limit on two cores: with
// five times as much to do as they can and up to 64 steps at once, none of 375,000 took more than 156 ms; beside 24 busy
// loops none of 10,000 took more than 296 ms, but of logins of ten steps one in twenty had one of more than 250 ms, and
// would have been a 503. So it is half a second, not the quarter of security.md §4.
const Timeout = 500 * time.Millisecond

// batchTimes is how many times as long a pipeline may take: it may carry everybody's presence.
const batchTimes = 4

// patience bounds every command, and tries a read once more whose server did not answer in time or went away. What
// counts, issues or consumes something is not repeated: nobody knows whether it was done.
type patience struct{ each time.Duration }

var _ goredis.Hook = patience{}

// DialHook passes through: a connection is made within its command's time.
func (patience) DialHook(next goredis.DialHook) goredis.DialHook { return next }

// ProcessHook bounds one command.
func (p patience) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		return twice(ctx, isReading(ctx, cmd), func() error { return within(ctx, p.each, func(ctx context.Context) error { return next(ctx, cmd) }) })
	}
}

// ProcessPipelineHook bounds a pipeline.
func (p patience) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		reading := !slices.ContainsFunc(cmds, func(cmd goredis.Cmder) bool { return !isReading(ctx, cmd) })
		return twice(ctx, reading, func() error {
			return within(ctx, batchTimes*p.each, func(ctx context.Context) error { return next(ctx, cmds) })
		})
	}
}

func within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}

// twice does something again that may be repeated, if whoever asked still waits for it.
func twice(ctx context.Context, repeatable bool, do func() error) error {
	err := do()
	if err == nil || !repeatable || !isAway(err) || ctx.Err() != nil {
		return err
	}
	return do()
}

// reads are the commands of this package that change nothing.
var reads = []string{"get", "hget", "hgetall", "hmget", "smembers", "exists", "pttl", "time", "ping", "info"}

func isReading(ctx context.Context, cmd goredis.Cmder) bool {
	return ctx.Value(readingKey{}) != nil || slices.Contains(reads, strings.ToLower(cmd.Name()))
}

type readingKey struct{}

// reading says that a script only looks, and may be repeated.
func reading(ctx context.Context) context.Context { return context.WithValue(ctx, readingKey{}, true) }
