package hub

import (
	"context"
	"time"
)

// Drain asks every socket to reconnect elsewhere and closes it with 1012, spread evenly over the
// given time so that the other tasks are not stormed. wait is what a client is told to wait before it
// reconnects. Drain returns when all were told or ctx ends.
func (h *Hub) Drain(ctx context.Context, over, wait time.Duration) error {
	h.draining.Store(true)
	var all []*Socket
	h.each(func(s *Socket) { all = append(all, s) })
	if len(all) == 0 {
		return nil
	}
	pause := over / time.Duration(len(all))
	batch := 1
	if pause < 10*time.Millisecond { // do not arm a timer for each of many
		batch = max(1, int(10*time.Millisecond/max(pause, time.Microsecond)))
		pause *= time.Duration(batch)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, s := range all {
		if i%batch == 0 {
			select {
			case <-ctx.Done():
				h.endAll(all[i:])
				return ctx.Err()
			case <-timer.C:
				timer.Reset(pause)
			}
		}
		s.goAway(wait)
	}
	return nil
}

// Draining tells whether new sockets should go elsewhere.
func (h *Hub) Draining() bool { return h.draining.Load() }

func (h *Hub) endAll(rest []*Socket) {
	for _, s := range rest {
		s.goAway(0)
	}
}

func (s *Socket) goAway(wait time.Duration) {
	s.SendAll(s.codec.GoAway(wait))
	s.End(CodeRestart, "restart")
}
