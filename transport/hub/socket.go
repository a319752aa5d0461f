package hub

import (
	"sync"
	"sync/atomic"
	"time"

	"weelo/internal/token"
)

// Socket is one authenticated connection as the hub sees it. It has no goroutine of its own: one is
// started when there is something to write and ends when there is nothing left, so that an idle
// socket costs little.
type Socket struct {
	hub       *Hub
	who       token.Identity
	device    string // tells two sockets of one user apart
	conn      string // the id given at Attach
	format    string
	codec     Codec
	transport Transport
	direct    DirectWriter // nil: the transport cannot

	writingSince atomic.Int64 // Unix ms of the write that is under way; 0: none
	done         chan struct{}

	mu        sync.Mutex
	queue     []queued // messages and offers in order; all but positions
	bytes     int      // sum of their lengths
	writing   bool     // a writer goroutine is at work
	pending   waiting  // newest position per trip
	due       bool     // pending may be written now
	ticking   bool     // a tick will make pending due
	flushed   time.Time
	room      chan struct{} // closed when the queue shrank; nil: nobody waits
	ending    *ending       // after the queue is empty, close with this
	dead      bool          // detached or killed: nothing more is accepted
	forgotten bool          // detached
	watches   map[string]*watch

	numbers numbers
	soft    [][]byte // soft messages that came before the socket had begun; at most maxSoft
	offers  shown

	handed []string // the writer's own: offers among what it is writing
}

type ending struct {
	code   int
	reason string
}

func newSocket(h *Hub, a Attachment) *Socket {
	s := &Socket{
		hub: h, who: a.Identity, device: a.Device, conn: a.Conn, format: a.Codec.Format(),
		codec: a.Codec, transport: a.Transport, done: make(chan struct{}),
	}
	if s.device == "" {
		s.device = a.Identity.Device
	}
	if s.device == "" {
		s.device = a.Identity.SessionID
	}
	s.direct, _ = a.Transport.(DirectWriter)
	s.numbers.holding = true
	return s
}

// Identity is who the socket speaks for.
func (s *Socket) Identity() token.Identity { return s.who }

// Done is closed when the socket was detached or killed.
func (s *Socket) Done() <-chan struct{} { return s.done }

// Send puts a complete message into the queue. It never blocks: a socket whose queue is full is
// closed with 4410 and false is answered.
func (s *Socket) Send(message []byte) bool {
	s.mu.Lock()
	ok := s.pushLocked(message)
	s.startLocked()
	s.mu.Unlock()
	return ok
}

// Answer is Send for the goroutine that reads the connection: it writes the message itself, without
// waiting, as long as the peer keeps up, which saves a goroutine for each answer.
func (s *Socket) Answer(message []byte) bool {
	s.mu.Lock()
	ok := s.pushLocked(message)
	writer := ok && !s.writing && !s.dead
	if writer {
		s.writing = true
	}
	s.mu.Unlock()
	if writer {
		s.writeDirect()
	}
	return ok
}

// SendAll is Send for several messages that belong together.
func (s *Socket) SendAll(messages [][]byte) bool {
	s.mu.Lock()
	ok := s.pushAllLocked(messages)
	s.startLocked()
	s.mu.Unlock()
	return ok
}

// notify is SendAll for what is not kept anywhere: before the socket has begun it waits, in bounds.
func (s *Socket) notify(messages [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.numbers.holding {
		s.pushAllLocked(messages)
		s.startLocked()
	} else if len(s.soft)+len(messages) <= maxSoft && !s.dead {
		s.soft = append(s.soft, messages...)
	}
}

// End closes the socket with a code after what waits in its queue was written.
func (s *Socket) End(code int, reason string) {
	s.mu.Lock()
	if !s.dead && s.ending == nil {
		s.ending = &ending{code, reason}
		s.startLocked()
	}
	s.mu.Unlock()
}

// Kill closes the socket with a code at once; what waits in its queue is lost.
func (s *Socket) Kill(code int, reason string) {
	s.mu.Lock()
	first := s.killLocked()
	s.mu.Unlock()
	if first {
		s.closeTransport(code, reason)
	}
}

// killLocked stops everything that could be sent and tells whether it was the first to do so.
func (s *Socket) killLocked() bool {
	if s.dead {
		return false
	}
	s.dead = true
	s.queue, s.bytes, s.pending, s.soft, s.offers = nil, 0, waiting{}, nil, shown{}
	s.numbers.stopLocked()
	s.wakeLocked()
	close(s.done)
	return true
}

// forget is Detach's part under the socket's lock; it tells whether it was the first.
func (s *Socket) forget() bool {
	s.mu.Lock()
	first := !s.forgotten
	s.forgotten = true
	s.killLocked()
	gone := s.watches
	s.watches = nil
	s.mu.Unlock()
	for _, w := range gone {
		s.hub.leave(w)
	}
	return first
}

// closeTransport runs in its own goroutine: closing may wait for the peer, the caller must not.
func (s *Socket) closeTransport(code int, reason string) {
	s.hub.observer.Closed(s.format, code)
	go s.transport.Close(code, reason)
}

func (s *Socket) pushLocked(message []byte) bool { return s.enqueueLocked(queued{message: message}) }

func (s *Socket) enqueueLocked(q queued) bool {
	if s.dead || s.ending != nil {
		return false
	}
	if len(s.queue) >= MaxQueued || s.bytes+q.size() > MaxQueuedBytes {
		s.hub.observer.Frames(s.format, "dropped", 1+len(s.queue))
		if s.killLocked() {
			s.closeTransport(CodeSlow, "too slow")
		}
		return false
	}
	s.queue = append(s.queue, q)
	s.bytes += q.size()
	return true
}

func (s *Socket) pushAllLocked(messages [][]byte) bool {
	for _, m := range messages {
		if !s.pushLocked(m) {
			return false
		}
	}
	return true
}

// positionLocked offers the newest position of a trip; a lone one is not delayed. It tells whether
// the caller has become the writer and must write (writeDirect, or go write).
func (s *Socket) positionLocked(trip string, message []byte, now time.Time, lone bool) (writer bool) {
	if s.dead || s.ending != nil {
		return false
	}
	if s.pending.put(trip, message) {
		s.hub.observer.Frames(s.format, "coalesced", 1)
	} else if len(s.pending.list) > maxWaiting {
		s.hub.observer.Frames(s.format, "dropped", 1)
		s.pending.takeTrip(s.pending.list[0].trip)
	}
	// What is pending is written now when the last such write is a tick ago, else at the tick's end.
	switch wait := Tick - now.Sub(s.flushed); {
	case lone || wait <= 0:
		s.due = true
		if !s.writing {
			s.writing = true
			return true
		}
	case !s.ticking:
		s.ticking = true
		time.AfterFunc(wait, s.tick)
	}
	return false
}

// wakeLocked lets go whoever waits for room in the queue.
func (s *Socket) wakeLocked() {
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// roomLocked gives a channel that is closed when the queue has shrunk.
func (s *Socket) roomLocked() <-chan struct{} {
	if s.room == nil {
		s.room = make(chan struct{})
	}
	return s.room
}
