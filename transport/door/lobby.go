package door

import (
	"net/http"
	"net/netip"
	"sync"

	"weelo/internal/limit"
)

// PerAddress is how many connections of one address may wait to say who they are (security design §2.3),
// of both kinds of sockets together.
const PerAddress = 20

// LobbyName names the bound in counters and in docs/limits.md.
const LobbyName = "socket-strangers"

// Lobby bounds the connections that have not said who they are by the address they come from. Each of
// them is gone after seconds, so its map is as small as what it bounds. The nil Lobby bounds nothing.
type Lobby struct {
	client  func(*http.Request) netip.Addr
	refused func()

	mu    sync.Mutex
	taken map[string]int
}

// NewLobby makes one. client gives the address of a request; refused, when not nil, counts refusals.
func NewLobby(client func(*http.Request) netip.Addr, refused func()) *Lobby {
	return &Lobby{client: client, refused: refused, taken: make(map[string]int)}
}

// Enter gives a connection a place until leave is called, once or more often; false when too many of its
// address wait. This machine's own addresses are not bounded, as by no other limit of addresses; the
// addresses of an IPv6 /48 have ten times the places of one /64.
func (l *Lobby) Enter(r *http.Request) (leave func(), ok bool) {
	if l == nil {
		return func() {}, true
	}
	networks := limit.Networks(l.client(r))
	if !l.take(networks) {
		if l.refused != nil {
			l.refused()
		}
		return nil, false
	}
	return sync.OnceFunc(func() { l.give(networks) }), true
}

func (l *Lobby) take(networks []limit.Network) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range networks {
		if l.taken[n.Key] >= PerAddress*n.Times {
			return false
		}
	}
	for _, n := range networks {
		l.taken[n.Key]++
	}
	return true
}

func (l *Lobby) give(networks []limit.Network) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range networks {
		if l.taken[n.Key]--; l.taken[n.Key] == 0 {
			delete(l.taken, n.Key)
		}
	}
}

// Waiting is how many groups of addresses have connections that wait.
func (l *Lobby) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.taken)
}
