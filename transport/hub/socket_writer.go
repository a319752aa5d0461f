package hub

import "time"

func (s *Socket) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticking = false
	if !s.dead && len(s.pending.list) > 0 {
		s.due = true
		s.startLocked()
	}
}

// startLocked starts a writer unless one is at work or there is nothing to do.
func (s *Socket) startLocked() {
	if s.writing || s.dead {
		return
	}
	if len(s.queue) == 0 && !s.due && s.ending == nil {
		return
	}
	s.writing = true
	go s.write()
}

// write is the writer: it takes what waits, writes it outside the lock, and ends when nothing waits.
func (s *Socket) write() {
	var batch [][]byte
	for {
		if batch = s.next(batch[:0]); len(batch) == 0 || !s.writeBatch(batch) {
			return
		}
	}
}

// writeDirect is write for a publisher: it never waits. What the connection does not take at once is
// left to a goroutine, so that a position costs none as long as its reader keeps up.
func (s *Socket) writeDirect() {
	if s.direct == nil {
		go s.write()
		return
	}
	var space [2][]byte
	for {
		batch := s.next(space[:0])
		if len(batch) == 0 {
			return
		}
		for i, m := range batch {
			done, err := s.direct.TryWrite(m)
			if err != nil {
				s.fail()
				return
			}
			if !done {
				s.hub.observer.Frames(s.format, "out", i)
				rest := append([][]byte(nil), batch[i:]...)
				go func() {
					if s.writeBatch(rest) {
						s.write()
					}
				}()
				return
			}
		}
		s.hub.observer.Frames(s.format, "out", len(batch))
		s.reportHanded()
	}
}

// next takes what is to be written. When there is nothing the caller is no longer the writer, and a
// socket that was to end after that is closed.
func (s *Socket) next(batch [][]byte) [][]byte {
	s.mu.Lock()
	batch = s.takeLocked(batch)
	if len(batch) > 0 {
		s.mu.Unlock()
		return batch
	}
	s.writing = false
	end := s.ending
	finished := end != nil && s.killLocked()
	s.mu.Unlock()
	if finished {
		s.closeTransport(end.code, end.reason)
	}
	return batch
}

// takeLocked moves the queue, then the positions that are due, into batch.
func (s *Socket) takeLocked(batch [][]byte) [][]byte {
	if s.dead {
		return batch
	}
	if n := len(s.queue); n > 0 {
		for i := range s.queue {
			batch = s.appendLocked(batch, &s.queue[i])
		}
		clear(s.queue)
		s.queue, s.bytes = s.queue[:0], 0
		if n > MaxQueued/8 {
			s.queue = nil
		}
		s.wakeLocked()
		if len(batch) > 0 {
			return batch
		}
	}
	if !s.due {
		return batch
	}
	s.due = false
	s.flushed = time.Now()
	if len(s.pending.list) == 1 {
		return s.pending.takeAll(batch)
	}
	return s.joined(batch)
}

// joined takes all pending positions as few messages.
func (s *Socket) joined(batch [][]byte) [][]byte {
	all := s.pending.takeAll(nil)
	per := s.codec.MaxJoin()
	for len(all) > 0 {
		n := min(per, len(all))
		if n == 1 {
			batch = append(batch, all[0])
		} else {
			batch = append(batch, s.codec.Join(all[:n]))
			s.hub.observer.Frames(s.format, "coalesced", n-1)
		}
		all = all[n:]
	}
	return batch
}

func (s *Socket) writeBatch(batch [][]byte) bool {
	defer s.writingSince.Store(0)
	for i, m := range batch {
		s.writingSince.Store(time.Now().UnixMilli())
		if err := s.transport.Write(m); err != nil {
			s.fail()
			return false
		}
		batch[i] = nil
	}
	s.hub.observer.Frames(s.format, "out", len(batch))
	s.reportHanded()
	return true
}

// fail ends a socket whose peer is gone.
func (s *Socket) fail() {
	s.mu.Lock()
	first := s.killLocked()
	s.mu.Unlock()
	if first {
		go s.transport.Close(CodeRestart, "write failed")
	}
}

// stuck tells whether one write has taken longer than WriteWait.
func (s *Socket) stuck(now time.Time) bool {
	since := s.writingSince.Load()
	return since != 0 && now.UnixMilli()-since > WriteWait.Milliseconds()
}

// lone tells whether the socket watches exactly one trip and nothing else.
func (s *Socket) loneLocked() bool {
	if len(s.watches) != 1 {
		return false
	}
	for _, w := range s.watches {
		return w.scope.Kind == Trip
	}
	return false
}
