package session

import (
	"context"
	"errors"
	"time"

	"weelo/internal/fleet"
)

// ErrNoFamily: there is no such family.
var ErrNoFamily = errors.New("session: no such family")

// Family is one login on one device. ID is the sid of its tokens, a bare UUID.
type Family struct {
	ID          string
	User        fleet.UserID
	Role        fleet.Role
	Transporter fleet.UserID // of a driver: the fleet the session is bound to
	Membership  int64        // of a driver: the membership it is bound to
	Device      string       // as the client named it; for people to recognise, never a credential
	Presented   int64
	CreatedAt   time.Time
	UsedAt      time.Time // raised by refreshes, at most once a minute for the same generation
	EndsAt      time.Time // absolute
	RevokedAt   time.Time // zero: live
	RevokedWhy  string
}

// Revocation says that a family is dead, for sockets and access tokens.
type Revocation struct {
	Family string
	User   fleet.UserID
	At     time.Time
	Why    string
}

// Why a family was revoked.
const (
	Logout     = "logout"
	LogoutAll  = "logout_all"
	Reuse      = "refresh_reuse"
	LeftFleet  = "left_fleet"
	Suspension = "suspended"
	ByOps      = "ended_by_ops"
	NoOperator = "no_operator" // any more
	Ended      = "ended"       // of a family that was not revoked: its life is over, or it is not there
)

// Store is the durable truth about families.
type Store interface {
	// Open stores a new family. One that exists under the ID with the same user is given back as it
	// is, so that a login that is tried again yields the same session.
	Open(ctx context.Context, f Family) (Family, error)
	// Family gives one family. ErrNoFamily when there is none.
	Family(ctx context.Context, id string) (Family, error)
	// Families gives those of the families that there are, in no order.
	Families(ctx context.Context, ids []string) ([]Family, error)
	// Present raises Presented to gen and UsedAt to at, if Presented is gen-1 or gen and the family is
	// not revoked. It tells whether it did; of many at once with gen-1 exactly one raises it, and all
	// are told true.
	Present(ctx context.Context, id string, gen int64, at time.Time) (bool, error)
	// Revoke ends a live family; false when there was none to end.
	Revoke(ctx context.Context, id, why string, at time.Time) (bool, error)
	// RevokeUser ends every live family of a user and gives their ids.
	RevokeUser(ctx context.Context, user fleet.UserID, why string, at time.Time) ([]string, error)
	// RevokedSince gives revocations with At >= since, oldest first, at most limit.
	RevokedSince(ctx context.Context, since time.Time, limit int) ([]Revocation, error)
	// KnownDevice tells whether the user has opened a family on that device since then, live or not. Families
	// that are over for long are forgotten.
	KnownDevice(ctx context.Context, user fleet.UserID, device string, since time.Time) (bool, error)
	// Prune removes families whose EndsAt is before, at most limit, and gives how many.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

// Users is what login needs to know about people.
type Users interface {
	// User gives one user by id. fleet.ErrNoUser when there is none.
	User(ctx context.Context, id fleet.UserID) (fleet.User, error)
	// ByPhone gives the user with that number and role. fleet.ErrNoUser when there is none.
	ByPhone(ctx context.Context, phone string, role fleet.Role) (fleet.User, error)
	// Enrol gives the user with u's phone and role, and stores u when there is none. Of many at once
	// one creates; all get the same user.
	Enrol(ctx context.Context, u fleet.User) (stored fleet.User, isNew bool, err error)
	// CountDrivers gives how many drivers a transporter has.
	CountDrivers(ctx context.Context, transporter fleet.UserID) (int, error)
}

// Index is what Redis knows about families: refresh:<digest> → family, user:tokens:<user> → families.
// It serves operators and may be lost; no decision depends on it.
type Index interface {
	Put(ctx context.Context, user fleet.UserID, family, digest string, life time.Duration) error
	Drop(ctx context.Context, user fleet.UserID, family string, digests []string) error
}

// Policy is the life of a family.
type Policy struct {
	Idle     time.Duration // without a refresh
	Absolute time.Duration
}

// DefaultPolicy is design §8: 30 days idle, 90 days absolute.
func DefaultPolicy() Policy { return Policy{Idle: 30 * 24 * time.Hour, Absolute: 90 * 24 * time.Hour} }

// Scaled divides both lives by n, for tests (LOGIN_TIME_SCALE).
func (p Policy) Scaled(n float64) Policy {
	return Policy{Idle: scale(p.Idle, n), Absolute: scale(p.Absolute, n)}
}

func scale(d time.Duration, n float64) time.Duration {
	if n <= 0 || n == 1 {
		return d
	}
	return time.Duration(float64(d) / n)
}

// Verdict is what presenting a token means.
type Verdict int

// The verdicts.
const (
	Refused Verdict = iota // not this family's, ended, revoked or never handed out
	Again                  // the parent again: the same child
	First                  // the child for the first time
	Reused                 // a parent after its child: revoke
)

// Judge decides what presenting generation gen of a family means. Pure.
func (p Policy) Judge(f Family, gen int64, now time.Time) Verdict {
	switch {
	case !f.RevokedAt.IsZero(), !now.Before(f.EndsAt), now.Sub(f.UsedAt) >= p.Idle:
		return Refused
	case gen < 1 || gen > f.Presented+1:
		return Refused
	case gen == f.Presented+1:
		return First
	case gen == f.Presented:
		return Again
	default:
		return Reused
	}
}

// Lives tells whether a family is neither revoked nor ended.
func (p Policy) Lives(f Family, now time.Time) bool {
	return f.RevokedAt.IsZero() && now.Before(f.EndsAt) && now.Sub(f.UsedAt) < p.Idle
}

// Lister shows operators somebody's sessions; every Store does.
type Lister interface {
	// OfUser gives his families, live or not, the newest first and those of one moment by id, without
	// Presented and Membership, at most limit: none below 1.
	OfUser(ctx context.Context, user fleet.UserID, limit int) ([]Family, error)
}
