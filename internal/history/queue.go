package history

import (
	"sync"
	"time"
)

// queue holds the batches that wait for their group. Only the first of a group, and the one that
// fills it, wake the recorder: a wake-up for each batch would cost as much as the batch.
type queue struct {
	max, full int           // batches; rows that make a group
	wake      chan struct{} // holds a token when there is something to look at

	mu      sync.Mutex
	jobs    []*job
	rows    int
	stopped bool
}

func newQueue(batches, rows int) *queue {
	return &queue{max: batches, full: rows, wake: make(chan struct{}, 1)}
}

// add refuses when the queue is full or stopped.
func (q *queue) add(j *job) bool {
	q.mu.Lock()
	if q.stopped || len(q.jobs) >= q.max {
		q.mu.Unlock()
		return false
	}
	before := q.rows
	q.jobs, q.rows = append(q.jobs, j), before+len(j.fixes)
	filled := before < q.full && q.rows >= q.full
	first := len(q.jobs) == 1
	q.mu.Unlock()
	if first || filled {
		q.ring()
	}
	return true
}

func (q *queue) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// state tells how long the oldest has waited (0: there is none), and whether a group is full.
func (q *queue) state(now time.Time) (oldest time.Duration, waiting, full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return 0, false, false
	}
	return now.Sub(q.jobs[0].queued), true, q.rows >= q.full
}

// take removes one group, oldest first.
func (q *queue) take() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, rows := 0, 0
	for n < len(q.jobs) && rows < q.full {
		rows += len(q.jobs[n].fixes)
		n++
	}
	group := q.jobs[:n:n]
	q.jobs, q.rows = append([]*job(nil), q.jobs[n:]...), q.rows-rows
	if len(q.jobs) > 0 {
		q.ring()
	}
	return group
}

// stop refuses whatever comes from now on.
func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.jobs)
}
