package redis

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/otp"
)

//go:embed limit.lua
var limitText string

var limitScript = goredis.NewScript(limitText)

// Limits counts events over sliding windows, one sorted set per key, by Redis's clock. A set has at
// most as many members as its largest window allows, and lives no longer than that window.
type Limits struct{ client goredis.UniversalClient }

var _ otp.Limits = (*Limits)(nil)

// NewLimits makes one over a client (single or cluster).
func NewLimits(client goredis.UniversalClient) *Limits { return &Limits{client: client} }

// Take counts one event unless a window is full.
func (l *Limits) Take(ctx context.Context, key, id string, windows []otp.Window) (time.Duration, error) {
	return l.run(ctx, key, id, windows)
}

// Wait tells when there is room.
func (l *Limits) Wait(ctx context.Context, key string, windows []otp.Window) (time.Duration, error) {
	return l.run(reading(ctx), key, "", windows)
}

func (l *Limits) run(ctx context.Context, key, id string, windows []otp.Window) (time.Duration, error) {
	args := make([]any, 0, 1+2*len(windows))
	args = append(args, id)
	for _, w := range windows {
		args = append(args, w.Max, ms(w.Per))
	}
	wait, err := limitScript.Run(ctx, l.client, []string{key}, args...).Int64()
	if err != nil {
		return 0, fmt.Errorf("count against a limit: %w", err)
	}
	return time.Duration(wait) * time.Millisecond, nil
}

// Return takes an event back.
func (l *Limits) Return(ctx context.Context, key, id string) error {
	if err := l.client.ZRem(ctx, key, id).Err(); err != nil {
		return fmt.Errorf("return to a limit: %w", err)
	}
	return nil
}
