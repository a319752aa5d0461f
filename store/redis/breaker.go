package redis

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// The breaker of security.md §4: it opens when half of the last 20 commands within 10 s failed. A Redis that
// is back is found within the pause.
const (
	breakerSize  = 20
	breakerSpan  = 10 * time.Second
	breakerPause = time.Second
)

// errAway is what a command gets while its server is left alone.
var errAway = errors.New("redis fails, it is left alone for a moment")

// breaker leaves a server alone that fails or hangs, so that nobody waits for each command's time-out: after
// the pause one command at a time tries it, until one succeeds. One per server. What a server refuses is
// no failure of it.
type breaker struct {
	now func() time.Time

	mu        sync.Mutex
	results   [breakerSize]outcome
	next, n   int
	openUntil time.Time // zero: closed
	probing   bool
}

type outcome struct {
	at     time.Time
	failed bool
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
	if b.openUntil.IsZero() {
		return true
	}
	if b.probing || b.now().Before(b.openUntil) {
		return false
	}
	b.probing = true
	return true
}

// record takes in how a command ended. Of one that its caller called off nothing is known.
func (b *breaker) record(err error) {
	failed := isAway(err)
	unknown := errors.Is(err, context.Canceled)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if !b.openUntil.IsZero() {
		if !b.probing {
			return // it began before the breaker opened
		}
		b.probing = false
		switch {
		case unknown:
		case failed:
			b.openUntil = now.Add(breakerPause)
		default:
			b.openUntil, b.n, b.next = time.Time{}, 0, 0
		}
		return
	}
	if unknown {
		return
	}
	b.results[b.next] = outcome{now, failed}
	b.next = (b.next + 1) % breakerSize
	b.n = min(b.n+1, breakerSize)
	recent, fails := 0, 0
	for _, r := range b.results[:b.n] {
		if now.Sub(r.at) < breakerSpan {
			recent++
			if r.failed {
				fails++
			}
		}
	}
	if recent == breakerSize && 2*fails >= breakerSize {
		b.openUntil = now.Add(breakerPause)
	}
}

// isAway tells a server that cannot be reached or does not answer in time from one that answers no.
func isAway(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, goredis.ErrPoolTimeout)
}
