// Package presence answers who is there: which drivers and transporters are online and since when,
// and where each was last.
//
// Presence is soft: it is rebuilt from heartbeats within one heartbeat interval, and losing all of it
// costs latency, never correctness. The durable side is the intent (fleet.User.Available), a row.
//
// Invariants:
//   - Only Enter makes somebody present. A beat renews what is there and never revives somebody who
//     left or expired: a heartbeat that was on its way when its sender went offline changes nothing.
//   - Nobody is present for longer than the lifetime of his role after his last sign of life.
//   - A last position never goes back in time.
package presence

import (
	"context"
	"hash/fnv"
	"time"

	"weelo/internal/fleet"
)

// How long a sign of life counts, by role (contract §2.3: three missed beats of 12 s, five of 12 s).
const (
	DriverLife      = 36 * time.Second
	TransporterLife = 60 * time.Second
)

// Life gives the lifetime of a role's sign of life; 0 for roles that have no presence.
func Life(role fleet.Role) time.Duration {
	switch role {
	case fleet.Driver:
		return DriverLife
	case fleet.Transporter:
		return TransporterLife
	case fleet.Customer, fleet.Ops:
		return 0
	}
	return 0
}

// Buckets is how many hashes hold presence in Redis: presence:0 … presence:63, and as many hold the
// last positions. Fixed, so that every
// reader knows all of them.
const Buckets = 64

// Bucket gives the hash a user lives in, the same on every task and for ever.
func Bucket(user fleet.UserID) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(user)) // a hash.Hash never fails
	return int(h.Sum32() % Buckets)
}

// Person is who may be present.
type Person struct {
	User  fleet.UserID
	Role  fleet.Role
	Fleet fleet.UserID // of a driver: his transporter
}

// Entry is one present person.
type Entry struct {
	User    fleet.UserID `json:"-"`
	Role    fleet.Role   `json:"role"`
	Fleet   fleet.UserID `json:"fleet,omitempty"`
	Since   int64        `json:"since"` // ms, when he came online
	Seen    int64        `json:"seen"`  // ms, the last sign of life
	Expires int64        `json:"exp"`   // ms, Seen + Life
}

// Live tells whether the entry still counts at now (ms). The boundary instant no longer does.
func (e Entry) Live(now int64) bool { return now < e.Expires }

// Move is an arrival or a departure.
type Move struct {
	Who   Person
	Leave bool
}

// Store keeps presence. Times are passed in; implementations are safe for concurrent use. A lost or
// unreachable store answers an error; callers go on and try again with the next beat.
type Store interface {
	// Enter makes the person present from now on, keeping the Since of an entry that still lives.
	Enter(ctx context.Context, who Person, now time.Time) (Entry, error)
	// Beat renews those who are present, in one round trip, and answers at each index whether the person
	// was. It never makes anybody present.
	Beat(ctx context.Context, who []Person, now time.Time) (present []bool, err error)
	// Leave removes the person at once; false when he was not present.
	Leave(ctx context.Context, user fleet.UserID, now time.Time) (bool, error)
	// Move enters and removes people, of each in the order given, in one round trip. After an error some
	// of it may be done; doing all of it again is harmless.
	Move(ctx context.Context, moves []Move, now time.Time) error
	// Read gives those of the users who are present.
	Read(ctx context.Context, users []fleet.UserID, now time.Time) (map[fleet.UserID]Entry, error)
	// All gives everybody present, in no order, and forgets those who expired. It is what a task reads at
	// its start and every 10 s.
	All(ctx context.Context, now time.Time) ([]Entry, error)
}
