package memory

import (
	"context"
	"sync"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/presence"
	"weelo/internal/track"
)

// Presence keeps who is online, in process. It holds at most one entry per user of the fleet.
type Presence struct {
	mu      sync.Mutex
	entries map[fleet.UserID]presence.Entry
}

var _ presence.Store = (*Presence)(nil)

// NewPresence makes an empty one.
func NewPresence() *Presence {
	return &Presence{entries: make(map[fleet.UserID]presence.Entry)}
}

// Enter makes the person present.
func (p *Presence) Enter(_ context.Context, who presence.Person, now time.Time) (presence.Entry, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ms := now.UnixMilli()
	e := presence.Entry{User: who.User, Role: who.Role, Fleet: who.Fleet, Since: ms, Seen: ms,
		Expires: ms + presence.Life(who.Role).Milliseconds()}
	if old, ok := p.entries[who.User]; ok && old.Live(ms) {
		e.Since = old.Since
	}
	p.entries[who.User] = e
	return e, nil
}

// Beat renews those who are present.
func (p *Presence) Beat(_ context.Context, who []presence.Person, now time.Time) ([]bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ms := now.UnixMilli()
	present := make([]bool, len(who))
	for i, w := range who {
		e, ok := p.entries[w.User]
		if !ok || !e.Live(ms) {
			continue
		}
		e.Seen = max(e.Seen, ms)
		e.Expires = max(e.Expires, ms+presence.Life(w.Role).Milliseconds())
		p.entries[w.User], present[i] = e, true
	}
	return present, nil
}

// Leave removes the person.
func (p *Presence) Leave(_ context.Context, user fleet.UserID, now time.Time) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.entries[user]
	delete(p.entries, user)
	return ok && e.Live(now.UnixMilli()), nil
}

// Move enters and removes people.
func (p *Presence) Move(ctx context.Context, moves []presence.Move, now time.Time) (err error) {
	for _, m := range moves {
		if m.Leave {
			_, err = p.Leave(ctx, m.Who.User, now)
		} else {
			_, err = p.Enter(ctx, m.Who, now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Read gives those of the users who are present.
func (p *Presence) Read(_ context.Context, users []fleet.UserID, now time.Time) (map[fleet.UserID]presence.Entry, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := make(map[fleet.UserID]presence.Entry, len(users))
	for _, u := range users {
		if e, ok := p.entries[u]; ok && e.Live(now.UnixMilli()) {
			found[u] = e
		}
	}
	return found, nil
}

// All gives everybody present and forgets those who expired.
func (p *Presence) All(_ context.Context, now time.Time) ([]presence.Entry, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]presence.Entry, 0, len(p.entries))
	for u, e := range p.entries {
		if !e.Live(now.UnixMilli()) {
			delete(p.entries, u)
			continue
		}
		all = append(all, e)
	}
	return all, nil
}

// Positions keeps the last position of each person, in process.
type Positions struct {
	mu   sync.Mutex
	last map[fleet.UserID]track.Fix
}

var _ presence.Positions = (*Positions)(nil)

// NewPositions makes an empty one.
func NewPositions() *Positions { return &Positions{last: make(map[fleet.UserID]track.Fix)} }

// Put stores newer positions.
func (p *Positions) Put(_ context.Context, spots []presence.Spot) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range spots {
		if old, ok := p.last[s.User]; !ok || s.Fix.TS > old.TS {
			s.Fix.N = 0
			p.last[s.User] = s.Fix
		}
	}
	return nil
}

// Last gives the last positions of the users.
func (p *Positions) Last(_ context.Context, users []fleet.UserID, now time.Time) (map[fleet.UserID]track.Fix, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := now.Add(-presence.PositionLife).UnixMilli()
	found := make(map[fleet.UserID]track.Fix, len(users))
	for _, u := range users {
		if f, ok := p.last[u]; ok && f.ReceivedMS > oldest {
			found[u] = f
		}
	}
	return found, nil
}

// Remove forgets where one user was.
func (p *Positions) Remove(_ context.Context, user fleet.UserID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, user)
	return nil
}

// Forget removes old positions.
func (p *Positions) Forget(_ context.Context, now time.Time) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest, n := now.Add(-presence.PositionLife).UnixMilli(), 0
	for u, f := range p.last {
		if f.ReceivedMS <= oldest {
			delete(p.last, u)
			n++
		}
	}
	return n, nil
}
