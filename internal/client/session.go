package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"weelo/transport/wire"
)

// Config is what a Session needs. BaseURL and Token are required.
type Config struct {
	BaseURL string
	// Token gives an access token. It is called before each connect; refused is true when the last
	// token was, so that a new one is to be fetched.
	Token  func(ctx context.Context, refused bool) (string, error)
	Device string
	HTTP   *http.Client
	// Resume continues where an earlier Session ended (see Session.Position).
	Resume *wire.Resume
	Queue  int           // capacity of Frames; 0: 256
	Random *rand.Rand    // for the jitter; nil: the global source
	Min    time.Duration // first back-off, 0: 1 s
	Max    time.Duration // largest back-off, 0: 60 s
}

// Session is a connection that comes back. Make it with NewSession and run Run; read Frames all the
// time.
type Session struct {
	cfg    Config
	frames chan Frame

	mu        sync.Mutex
	conn      *Conn // nil while disconnected
	changed   chan struct{}
	stream    string
	seq       int64 // the last event handed over
	resuming  bool  // the next connect asks for a resume
	resyncing bool  // a snapshot is on its way; stream and seq are those before it
	watches   map[string][2]string
	waiting   map[string]chan *wire.Received // batches by id
	batch     int64
	fixes     int64
	connects  int
}

// NewSession makes a session that is not connected yet.
func NewSession(c Config) *Session {
	if c.Queue <= 0 {
		c.Queue = 256
	}
	if c.Min <= 0 {
		c.Min = time.Second
	}
	if c.Max <= 0 {
		c.Max = time.Minute
	}
	s := &Session{
		cfg: c, frames: make(chan Frame, c.Queue), changed: make(chan struct{}),
		watches: map[string][2]string{}, waiting: map[string]chan *wire.Received{},
	}
	if c.Resume != nil {
		s.stream, s.seq, s.resuming = c.Resume.Stream, c.Resume.Seq, true
	}
	return s
}

// Frames gives what the server sends, welcome included, but for acks. A "synced" after a welcome of
// mode "resync" means that events were skipped and the state before it is what counts. It is closed
// when Run ends.
func (s *Session) Frames() <-chan Frame { return s.frames }

// Position is what to resume from: the stream and the last event handed over.
func (s *Session) Position() wire.Resume {
	s.mu.Lock()
	defer s.mu.Unlock()
	return wire.Resume{Stream: s.stream, Seq: s.seq}
}

// Connects is how often the session was welcomed.
func (s *Session) Connects() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connects
}

// ErrStopped says that the server does not want this client back; the wrapped error says why.
var ErrStopped = errors.New("the server does not want this client back")

// Run connects and reconnects until ctx ends (nil) or the server says for good that it will not do
// (ErrStopped).
func (s *Session) Run(ctx context.Context) error {
	defer close(s.frames)
	failures, refused := 0, false
	for {
		one, err := s.once(ctx, refused)
		if ctx.Err() != nil {
			return nil
		}
		end := judge(err)
		if end == stop {
			return fmt.Errorf("%w: %w", ErrStopped, err)
		}
		refused = end == refresh
		if one.welcomed {
			failures = 0
		}
		wait := one.asked
		if wait == 0 {
			wait = s.backoff(failures)
			failures++
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// attempt is what came of one connection.
type attempt struct {
	welcomed bool
	asked    time.Duration // how long the server asked to wait; 0: it did not
}

// backoff is full jitter: anything between nothing and Min·2^failures, at most Max.
func (s *Session) backoff(failures int) time.Duration {
	top := min(s.cfg.Max, s.cfg.Min<<min(failures, 16))
	if s.cfg.Random != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		return time.Duration(s.cfg.Random.Int64N(int64(top)))
	}
	return rand.N(top) //nolint:gosec // spreads reconnections; no secret
}

type verdict int

const (
	again verdict = iota
	refresh
	stop
)

// judge reads the close codes of design §7.
func judge(err error) verdict {
	switch code := websocket.CloseStatus(err); code {
	case 4401:
		return refresh
	case 4400, 4403, 4409, websocket.StatusMessageTooBig:
		return stop
	default:
		return again
	}
}

// once is one connection, from the dial to its end.
func (s *Session) once(ctx context.Context, refused bool) (one attempt, err error) {
	token, err := s.cfg.Token(ctx, refused)
	if err != nil {
		return one, fmt.Errorf("token: %w", err)
	}
	conn, err := Dial(ctx, DialConfig{BaseURL: s.cfg.BaseURL, Token: token, Device: s.cfg.Device, Resume: s.resume(), HTTP: s.cfg.HTTP})
	if err != nil {
		return one, err
	}
	defer func() { _ = conn.CloseNow() }()
	defer s.disconnected()
	if err := s.welcomed(ctx, conn); err != nil {
		return one, err
	}
	one.welcomed = true
	for {
		f, err := conn.Read(ctx)
		if err != nil {
			return one, err
		}
		if f.Received != nil && f.T == "goaway" {
			one.asked = max(time.Duration(f.ReconnectMS)*time.Millisecond, time.Millisecond)
		}
		if err := s.take(ctx, conn, f); err != nil {
			return one, err
		}
	}
}

func (s *Session) resume() *wire.Resume {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.resuming {
		return nil
	}
	return &wire.Resume{Stream: s.stream, Seq: s.seq}
}

// welcomed notes a new connection and sets the watches again.
func (s *Session) welcomed(ctx context.Context, conn *Conn) error {
	s.mu.Lock()
	w := conn.Welcome
	// A resync counts from its synced on: until the snapshot is here the old place is the true one, and
	// a connection that is cut before resumes from there.
	s.resyncing = w.Mode == "resync"
	if w.Mode == "live" {
		s.seq = w.Head
	}
	if !s.resyncing {
		s.stream = w.Stream
	}
	s.resuming, s.conn, s.fixes = true, conn, 0
	s.connects++
	close(s.changed)
	s.changed = make(chan struct{})
	var messages [][]byte
	for id, scope := range s.watches {
		messages = append(messages, wire.AppendWatch(nil, id, scope[0], scope[1]))
	}
	s.mu.Unlock()
	if err := s.hand(ctx, Frame{Received: w}); err != nil {
		return err
	}
	for _, m := range messages {
		if err := conn.Write(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) disconnected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = nil
	for id, reply := range s.waiting {
		close(reply)
		delete(s.waiting, id)
	}
}

// take keeps the order of events and passes a frame on.
func (s *Session) take(ctx context.Context, conn *Conn, f Frame) error {
	if f.Received == nil {
		return s.hand(ctx, f)
	}
	switch f.T {
	case "ack":
		s.reply(f.Re, f.Received)
		return nil
	case "error":
		if s.reply(f.Re, f.Received) {
			return nil
		}
	case "unwatched":
		s.mu.Lock()
		delete(s.watches, f.Watch)
		s.mu.Unlock()
	case "synced":
		s.mu.Lock()
		if s.resyncing {
			s.resyncing, s.stream, s.seq = false, conn.Welcome.Stream, f.Seq
		}
		s.mu.Unlock()
	case "event":
		switch last := s.number(f.Seq); {
		case f.Seq == 0: // soft
		case f.Seq <= last:
			return nil // seen before
		case f.Seq > last+1:
			return conn.Write(ctx, wire.AppendReplay(nil, last+1))
		}
	}
	return s.hand(ctx, f)
}

// number notes an event when it is the next one; it answers the last one before it.
func (s *Session) number(seq int64) (last int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last = s.seq
	if seq == last+1 {
		s.seq = seq
	}
	return last
}

func (s *Session) hand(ctx context.Context, f Frame) error {
	select {
	case s.frames <- f:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
