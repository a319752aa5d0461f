package main

import (
	"context"
	"log/slog"
	"time"

	"weelo/internal/limit"
)

// rollEvery is how often a task says that it runs: two beats may be lost before it is not counted any more.
const rollEvery = 5 * time.Second

// roll keeps count of the tasks on one Redis, for what each of them may let through while that is away.
type roll struct {
	list  limit.Roll
	tasks limit.Tasks
	log   *slog.Logger
}

// Run says that this task runs until ctx ends, and then that it does not. A list that cannot be reached leaves the
// last count in force.
func (r *roll) Run(ctx context.Context) error {
	tick := time.NewTicker(rollEvery)
	defer tick.Stop()
	for {
		r.beat(ctx)
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			if err := r.list.Leave(last); err != nil {
				r.log.DebugContext(ctx, "this task is still counted for a while", "error", err)
			}
			return nil
		case <-tick.C:
		}
	}
}

func (r *roll) beat(ctx context.Context) {
	n, err := r.list.Beat(ctx)
	if err != nil {
		r.log.DebugContext(ctx, "tasks not counted", "error", err) // health names a Redis that is away
		return
	}
	r.tasks.Saw(n)
}
