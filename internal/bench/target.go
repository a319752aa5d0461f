package bench

import (
	"context"
)

// Target is a server to be measured. Start starts a process of it.
type Target interface {
	Name() string
	Start(ctx context.Context, need Need) (Server, error)
}

// Need says what a server has to be prepared for.
type Need struct {
	Drivers int  // known to the server
	Trips   bool // each on a live trip
}

// Server is a running process of a target.
type Server interface {
	PID() int
	// Driver gives how the i-th driver connects, Watcher how a watcher of the i-th driver does; k tells
	// several watchers of one driver apart. Idle is the i-th authenticated socket that does nothing.
	Driver(i int) Peer
	Watcher(i, k int) Peer
	Idle(i int) Peer
	Stop() error
}

// Peer is one connection to be made: where, what to send first, and until which message to wait.
type Peer struct {
	URL   string
	Open  [][]byte
	Ready []string // prefixes of the messages to wait for, in order
}
