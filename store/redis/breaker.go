package redis

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	circuit "weelo/internal/breaker"
)

// serverRule is security.md §4's for Redis: one that is back is found within the pause.
var serverRule = circuit.Rule{Span: 10 * time.Second, Pause: time.Second}

// errAway is what a command gets while its server is left alone.
var errAway = errors.New("redis fails, it is left alone for a moment")

// breaker leaves a server alone that fails or hangs, so that nobody waits for each command's time-out: after
// the pause one command at a time tries it, until one succeeds. One per server. What a server refuses is
// no failure of it.
type breaker struct {
	now func() time.Time

	mu    sync.Mutex
	state circuit.Breaker
}

var _ goredis.Hook = (*breaker)(nil)

func newBreaker() *breaker { return &breaker{now: time.Now} }

// DialHook passes through: a connection that cannot be made fails its command.
func (b *breaker) DialHook(next goredis.DialHook) goredis.DialHook { return next }

// ProcessHook stands in front of one command.
func (b *breaker) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if !b.allow() {
			cmd.SetErr(errAway)
			return errAway
		}
		err := next(ctx, cmd)
		b.record(err)
		return err
	}
}

// ProcessPipelineHook stands in front of a pipeline, which counts as one command.
func (b *breaker) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		if !b.allow() {
			for _, cmd := range cmds {
				cmd.SetErr(errAway)
			}
			return errAway
		}
		err := next(ctx, cmds)
		b.record(err)
		return err
	}
}

// allow tells whether a command may go. What was allowed is recorded.
func (b *breaker) allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state.Allow(b.now())
}

// record takes in how a command ended. Of one that its caller called off nothing is known.
func (b *breaker) record(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(err, context.Canceled) {
		b.state.Unknown()
		return
	}
	b.state.Record(serverRule, isAway(err), b.now())
}

// isAway tells a server that cannot be reached or does not answer in time from one that answers no.
func isAway(err error) bool {
	var network net.Error
	var unknown *fateUnknown
	return errors.As(err, &unknown) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, goredis.ErrPoolTimeout)
}
