package redis

import (
	"context"
	"errors"
	"io"
	"slices"

	goredis "github.com/redis/go-redis/v9"
)

// oneshot keeps the library's cluster client from sending a command again whose connection ended before the answer:
// what counts, issues or consumes something may have been done. A single client is told so by its options
// (MaxRetries), a cluster client asks the error. It stands in front of each node.
type oneshot struct{}

var _ goredis.Hook = oneshot{}

// fateUnknown hides from the library that a connection ended. It has no Unwrap on purpose.
type fateUnknown struct{ why error }

func (e *fateUnknown) Error() string { return "not known whether it was done: " + e.why.Error() }

// DialHook passes through: what was not sent may be tried again.
func (oneshot) DialHook(next goredis.DialHook) goredis.DialHook { return next }

// ProcessHook stands in front of one command.
func (oneshot) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		if cutOff(err) && !isReading(ctx, cmd) {
			err = &fateUnknown{err}
			cmd.SetErr(err)
		}
		return err
	}
}

// ProcessPipelineHook stands in front of a pipeline.
func (oneshot) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		err := next(ctx, cmds)
		if cutOff(err) && slices.ContainsFunc(cmds, func(cmd goredis.Cmder) bool { return !isReading(ctx, cmd) }) {
			err = &fateUnknown{err}
			for _, cmd := range cmds {
				if cutOff(cmd.Err()) {
					cmd.SetErr(err)
				}
			}
		}
		return err
	}
}

// cutOff tells whether a connection ended before the answer.
func cutOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
