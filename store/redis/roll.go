package redis

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/limit"
)

//go:embed roll.lua
var rollText string

var rollScript = goredis.NewScript(rollText)

// rollKey holds the tasks that run. It is no membership: nothing is decided by it but how large a part of a limit
// is one task's.
const rollKey = "weelo:tasks"

// RollLife is how long a task is counted after its last beat.
const RollLife = 15 * time.Second

// Roll is where the tasks on one Redis say that they run.
type Roll struct {
	client goredis.UniversalClient
	id     string
	life   time.Duration
}

var _ limit.Roll = (*Roll)(nil)

// NewRoll makes one of a task over a client (single or cluster); id is of this process alone.
func NewRoll(client goredis.UniversalClient, id string) *Roll {
	return &Roll{client: client, id: id, life: RollLife}
}

// Beat implements limit.Roll.
func (r *Roll) Beat(ctx context.Context) (int, error) {
	n, err := rollScript.Run(ctx, r.client, []string{rollKey}, r.id, ms(r.life)).Int()
	if err != nil {
		return 0, fmt.Errorf("count the tasks: %w", err)
	}
	return n, nil
}

// Leave implements limit.Roll.
func (r *Roll) Leave(ctx context.Context) error {
	if err := r.client.ZRem(ctx, rollKey, r.id).Err(); err != nil {
		return fmt.Errorf("leave the tasks: %w", err)
	}
	return nil
}
