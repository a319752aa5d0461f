package socketio

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"weelo/internal/fleet"
)

// Limits on what one user sends, over all his sockets (contract §2.1).
const (
	eventsPerSecond = 30
	eventsBurst     = 30
	// strikes within strikeWindow end the socket with 4429. Positions and heartbeats are never a
	// strike: too many of them are only too many.
	strikes      = 3
	strikeWindow = time.Minute

	// floodRate bounds the frames of one socket of every kind, pongs and unknown events too; what is more
	// ends it with 4429. No app comes near: positions come once a second, and those of an hour without
	// network as one batch over REST.
	floodRate  = 100
	floodBurst = 500

	// pingRate and pingBurst bound the WebSocket's own pings of one socket, as on the native one.
	pingRate  = 1
	pingBurst = 5
)

// limits holds one limiter per connected user, for as long as he has a socket.
type limits struct {
	mu    sync.Mutex
	users map[fleet.UserID]*userLimit
}

type userLimit struct {
	limiter *rate.Limiter
	sockets int
}

func newLimits() *limits { return &limits{users: make(map[fleet.UserID]*userLimit)} }

// enter gives the user's limiter to one more socket.
func (l *limits) enter(user fleet.UserID) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.users[user]
	if u == nil {
		u = &userLimit{limiter: rate.NewLimiter(eventsPerSecond, eventsBurst)}
		l.users[user] = u
	}
	u.sockets++
	return u.limiter
}

// leave takes one socket away; the last one takes the limiter with it.
func (l *limits) leave(user fleet.UserID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u := l.users[user]; u != nil {
		if u.sockets--; u.sockets == 0 {
			delete(l.users, user)
		}
	}
}

// strikeCount counts what one socket did wrong lately. The zero value is ready.
type strikeCount struct{ at []time.Time }

// add counts one more and tells whether that is too many.
func (s *strikeCount) add(now time.Time) bool {
	kept := s.at[:0]
	for _, t := range s.at {
		if now.Sub(t) < strikeWindow {
			kept = append(kept, t)
		}
	}
	s.at = append(kept, now)
	return len(s.at) >= strikes
}
