package limit

import (
	"context"
	"sync"
)

// Roll is the list on which the tasks that run say so (store/redis). A task that has not said so for a while is
// off it.
type Roll interface {
	// Beat says that this task runs, and counts those that do.
	Beat(ctx context.Context) (tasks int, err error)
	// Leave takes this task off the list.
	Leave(ctx context.Context) error
}

// maxTasks bounds the number that is believed.
const maxTasks = 1000

// Tasks is how many tasks share what is counted while the shared store is away. It remembers the largest of the
// last few counts: a store that comes back empty and goes away again does not make a task believe that it is alone.
// The zero Tasks is one task. It is safe for concurrent use.
type Tasks struct {
	mu   sync.Mutex
	last [3]int
	next int
}

// Saw takes in one count.
func (t *Tasks) Saw(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last[t.next] = min(n, maxTasks)
	t.next = (t.next + 1) % len(t.last)
}

// Count is at least 1.
func (t *Tasks) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(1, t.last[0], t.last[1], t.last[2])
}
