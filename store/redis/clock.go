package redis

import (
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Clock is the one that codes, cool-downs and limits are measured by. In a cluster any node's stands for all.
type Clock struct{ client goredis.UniversalClient }

// NewClock makes one over a client (single or cluster).
func NewClock(client goredis.UniversalClient) *Clock { return &Clock{client: client} }

// Now is Redis's time.
func (c *Clock) Now(ctx context.Context) (time.Time, error) {
	now, err := c.client.Time(ctx).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("redis's time: %w", err)
	}
	return now, nil
}
