package actors

import (
	"context"
	"sync"
)

// inflight counts goroutines that somebody may want to wait for while new ones still come, which a
// sync.WaitGroup does not allow.
type inflight struct {
	mu    sync.Mutex
	count int
	zero  chan struct{} // closed when count falls to 0; nil while nobody waits
}

// Go runs do and counts it until it returns.
func (f *inflight) Go(do func()) {
	f.mu.Lock()
	f.count++
	f.mu.Unlock()
	go func() {
		defer f.done()
		do()
	}()
}

func (f *inflight) done() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count--; f.count == 0 && f.zero != nil {
		close(f.zero)
		f.zero = nil
	}
}

// wait returns at the first moment without any, or with ctx's error.
func (f *inflight) wait(ctx context.Context) error {
	f.mu.Lock()
	if f.count == 0 {
		f.mu.Unlock()
		return nil
	}
	if f.zero == nil {
		f.zero = make(chan struct{})
	}
	zero := f.zero
	f.mu.Unlock()
	select {
	case <-zero:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
