package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"weelo/internal/track"
	"weelo/transport/wire"
)

// reply answers who waits for a batch.
func (s *Session) reply(id string, r *wire.Received) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.waiting[id]
	if ok {
		delete(s.waiting, id)
		c <- r // has room for one
	}
	return ok
}

// connected waits for a connection.
func (s *Session) connected(ctx context.Context) (*Conn, error) {
	for {
		s.mu.Lock()
		conn, changed := s.conn, s.changed
		s.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("not connected: %w", ctx.Err())
		}
	}
}

// Watch sets a watch and keeps it over reconnects until Unwatch or until the server ends it. kind is
// trip, order, fleet or all.
func (s *Session) Watch(ctx context.Context, id, kind, target string) error {
	s.mu.Lock()
	s.watches[id] = [2]string{kind, target}
	conn := s.conn
	s.mu.Unlock()
	if conn == nil {
		return nil // set when it connects
	}
	return conn.Write(ctx, wire.AppendWatch(nil, id, kind, target))
}

// Unwatch ends a watch.
func (s *Session) Unwatch(ctx context.Context, id string) error {
	s.mu.Lock()
	delete(s.watches, id)
	conn := s.conn
	s.mu.Unlock()
	if conn == nil {
		return nil
	}
	return conn.Write(ctx, wire.AppendUnwatch(nil, id))
}

// Fix sends one position and numbers it. It is lossy: without a connection it is dropped, and false
// says so.
func (s *Session) Fix(ctx context.Context, f track.Fix, trip string) bool {
	s.mu.Lock()
	conn := s.conn
	s.fixes++
	f.N = s.fixes
	s.mu.Unlock()
	return conn != nil && conn.Fix(ctx, f, trip) == nil
}

// ErrLost says that the connection went before the answer; the batch is to be sent again.
var ErrLost = errors.New("the connection was lost before the answer")

// RefusedError is an error frame.
type RefusedError struct {
	Code      string
	Message   string
	Retryable bool
}

// Error names the code.
func (e *RefusedError) Error() string { return e.Code + ": " + e.Message }

// Fixes sends a batch and waits for its ack. ErrLost and a retryable *RefusedError mean: send it
// again; that is always harmless.
func (s *Session) Fixes(ctx context.Context, fixes []track.Fix, trip string) (*wire.Received, error) {
	conn, err := s.connected(ctx)
	if err != nil {
		return nil, err
	}
	reply := make(chan *wire.Received, 1)
	s.mu.Lock()
	if s.conn != conn {
		s.mu.Unlock()
		return nil, ErrLost
	}
	s.batch++
	id := "b" + strconv.FormatInt(s.batch, 10)
	s.waiting[id] = reply
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, id)
		s.mu.Unlock()
	}()
	if err := conn.Write(ctx, wire.AppendFixes(nil, id, fixes, trip)); err != nil {
		return nil, errors.Join(ErrLost, err)
	}
	select {
	case r, ok := <-reply:
		switch {
		case !ok:
			return nil, ErrLost
		case r.T == "error":
			return nil, &RefusedError{Code: r.Code, Message: r.Message, Retryable: r.Retryable}
		}
		return r, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("no ack: %w", ctx.Err())
	}
}
