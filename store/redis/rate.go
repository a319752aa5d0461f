package redis

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/limit"
)

var (
	//go:embed rate.lua
	rateText string
	//go:embed tally.lua
	tallyText string

	rateScript  = goredis.NewScript(rateText)
	tallyScript = goredis.NewScript(tallyText)
)

// Rates counts rate limits, one small string per key, by Redis's clock. A key lives until it is as
// good as new.
type Rates struct{ client goredis.UniversalClient }

var (
	_ limit.Limiter = (*Rates)(nil)
	_ limit.Tallies = (*Rates)(nil)
)

// NewRates makes one over a client (single or cluster).
func NewRates(client goredis.UniversalClient) *Rates { return &Rates{client: client} }

// Take implements limit.Limiter.
func (r *Rates) Take(ctx context.Context, l limit.Limit, key string) (time.Duration, error) {
	return r.run(ctx, "take", l, key)
}

// Wait implements limit.Limiter.
func (r *Rates) Wait(ctx context.Context, l limit.Limit, key string) (time.Duration, error) {
	return r.run(reading(ctx), "wait", l, key)
}

// Return implements limit.Limiter.
func (r *Rates) Return(ctx context.Context, l limit.Limit, key string) error {
	_, err := r.run(ctx, "return", l, key)
	return err
}

func (r *Rates) run(ctx context.Context, what string, l limit.Limit, key string) (time.Duration, error) {
	wait, err := rateScript.Run(ctx, r.client, []string{"limit:" + l.Name + ":" + key},
		what, l.Interval().Microseconds(), l.Burst, l.Block.Microseconds()).Int64()
	if err != nil {
		return 0, fmt.Errorf("count against the limit %s: %w", l.Name, err)
	}
	return time.Duration(wait) * time.Microsecond, nil
}

// Add implements limit.Tallies.
func (r *Rates) Add(ctx context.Context, key string, span time.Duration, all, some int) (limit.Tally, error) {
	t, _, err := r.tally(ctx, key, span, all, some)
	return t, err
}

// Begin implements limit.Tallies.
func (r *Rates) Begin(ctx context.Context, key string, span time.Duration) error {
	_, err := r.client.TxPipelined(ctx, func(tx goredis.Pipeliner) error {
		name := "tally:" + key
		tx.Del(ctx, name)
		tx.HSet(ctx, name, "all", 1)
		tx.PExpire(ctx, name, span)
		return nil
	})
	if err != nil {
		return fmt.Errorf("begin a tally: %w", err)
	}
	return nil
}

// Read implements limit.Tallies.
func (r *Rates) Read(ctx context.Context, key string) (limit.Tally, time.Duration, error) {
	return r.tally(reading(ctx), key, 0, 0, 0)
}

func (r *Rates) tally(ctx context.Context, key string, span time.Duration, all, some int) (limit.Tally, time.Duration, error) {
	v, err := tallyScript.Run(ctx, r.client, []string{"tally:" + key}, all, some, ms(span)).Int64Slice()
	if err != nil || len(v) != 3 {
		return limit.Tally{}, 0, fmt.Errorf("count in a tally: %w", err)
	}
	return limit.Tally{All: int(v[0]), Some: int(v[1])}, time.Duration(v[2]) * time.Millisecond, nil
}
