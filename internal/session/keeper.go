package session

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/token"
)

// The refusals of a refresh beside token.ErrRefresh.
var (
	ErrUserNotFound = fault.New(fault.Unauthenticated, "USER_NOT_FOUND", "This account no longer exists.")
	ErrSuspended    = fault.New(fault.PermissionDenied, "ACCOUNT_SUSPENDED", "This account is suspended. Please contact support.")
	errUnavailable  = fault.New(fault.Unavailable, "SERVICE_UNAVAILABLE", "We cannot check that just now. Please try again.").After(5 * time.Second)
)

const (
	indexBudget = 150 * time.Millisecond // Redis is a convenience here
	touchEvery  = time.Minute

	maxOperators = 1000 // who ever had the role ops
	attempts     = 3
)

// Config is what a Keeper needs.
type Config struct {
	Store  Store
	Users  Users
	Mint   *token.Mint
	Index  Index // nil: none
	Policy Policy
	Random io.Reader // crypto/rand.Reader; gives the jti of access tokens
	// Operator tells whether a phone (E.164) may have sessions of role ops; nil: every one may.
	Operator func(phone string) bool
	// Revoked is told of each family that this task revoked, at once. Other tasks learn from the store.
	Revoked func(Revocation)
	Log     *slog.Logger
	Audit   Trail // nil: nothing is written down
}

// Trail takes what is written down about sessions: *auditlog.Recorder.
type Trail interface {
	Record(e auditlog.Event) error
}

// Keeper opens, refreshes and ends sessions.
type Keeper struct {
	cfg Config
	log *slog.Logger
}

// NewKeeper makes one.
func NewKeeper(cfg Config) *Keeper {
	if cfg.Revoked == nil {
		cfg.Revoked = func(Revocation) {}
	}
	return &Keeper{cfg: cfg, log: cfg.Log.With("component", "session")}
}

// Pair is what a client gets.
type Pair struct {
	Access    string
	Refresh   string
	ExpiresIn time.Duration
	Identity  token.Identity
}

// String hides the tokens.
func (p Pair) String() string { return "tokens of " + p.Identity.String() }

// LogValue hides the tokens.
func (p Pair) LogValue() slog.Value { return p.Identity.LogValue() }

// Open logs a user in under the session id sid. Called again with the same sid and user it yields the
// same session: the same refresh token and a fresh access token.
func (k *Keeper) Open(ctx context.Context, sid string, u fleet.User, device string, now time.Time) (Pair, error) {
	now = now.UTC().Truncate(time.Microsecond) // as the stores keep it
	f, err := k.cfg.Store.Open(ctx, Family{
		ID: sid, User: u.ID, Role: u.Role, Transporter: u.TransporterID, Membership: u.MembershipVersion,
		Device: device, CreatedAt: now, UsedAt: now, EndsAt: now.Add(k.cfg.Policy.Absolute),
	})
	if err != nil {
		return Pair{}, errUnavailable.Because(err)
	}
	if !k.cfg.Policy.Lives(f, now) || f.User != u.ID {
		return Pair{}, token.ErrUnauthenticated
	}
	return k.pair(ctx, f, u, f.Presented+1, now)
}

// Refresh exchanges a refresh token. See the package's table.
func (k *Keeper) Refresh(ctx context.Context, refresh string, now time.Time) (Pair, error) {
	claim, err := k.cfg.Mint.VerifyRefresh(refresh, now)
	if err != nil {
		return Pair{}, err
	}
	for range attempts { // another refresh may move the family between reading and writing
		f, err := k.cfg.Store.Family(ctx, claim.SessionID)
		if errors.Is(err, ErrNoFamily) || (err == nil && f.User != claim.UserID) {
			return Pair{}, token.ErrRefresh
		}
		if err != nil {
			return Pair{}, errUnavailable.Because(err)
		}
		verdict := k.cfg.Policy.Judge(f, claim.Gen, now)
		switch verdict {
		case Refused:
			return Pair{}, token.ErrRefresh
		case Reused:
			if err := k.revoke(ctx, f, Reuse, now); err != nil {
				return Pair{}, err
			}
			return Pair{}, token.ErrRefresh
		case First, Again:
		}
		u, err := k.owner(ctx, f, now)
		if err != nil {
			return Pair{}, err
		}
		if verdict == First || now.Sub(f.UsedAt) >= touchEvery {
			ok, err := k.cfg.Store.Present(ctx, f.ID, claim.Gen, now)
			if err != nil {
				return Pair{}, errUnavailable.Because(err)
			}
			if !ok {
				continue
			}
		}
		return k.pair(ctx, f, u, claim.Gen+1, now)
	}
	return Pair{}, errUnavailable
}

// owner re-reads whose session it is: accounts end, are suspended, and drivers change fleets.
func (k *Keeper) owner(ctx context.Context, f Family, now time.Time) (fleet.User, error) {
	u, err := k.cfg.Users.User(ctx, f.User)
	switch {
	case errors.Is(err, fleet.ErrNoUser):
		return fleet.User{}, ErrUserNotFound
	case err != nil:
		return fleet.User{}, errUnavailable.Because(err)
	case u.Suspended:
		return fleet.User{}, errors.Join(k.revoke(ctx, f, Suspension, now), token.ErrRefresh)
	case f.Role == fleet.Ops && k.cfg.Operator != nil && !k.cfg.Operator(u.Phone):
		return fleet.User{}, errors.Join(k.revoke(ctx, f, NoOperator, now), token.ErrRefresh)
	case f.Role != fleet.Driver:
		return u, nil
	case u.TransporterID != f.Transporter || u.MembershipVersion != f.Membership:
		return fleet.User{}, errors.Join(k.revoke(ctx, f, LeftFleet, now), token.ErrRefresh)
	}
	boss, err := k.cfg.Users.User(ctx, u.TransporterID)
	switch {
	case errors.Is(err, fleet.ErrNoUser), err == nil && boss.Suspended:
		return fleet.User{}, errors.Join(k.revoke(ctx, f, Suspension, now), token.ErrRefresh)
	case err != nil:
		return fleet.User{}, errUnavailable.Because(err)
	}
	return u, nil
}

func (k *Keeper) pair(ctx context.Context, f Family, u fleet.User, gen int64, now time.Time) (Pair, error) {
	access, id, err := k.cfg.Mint.Access(token.Identity{
		UserID: u.ID, Role: f.Role, SessionID: f.ID, TransporterID: f.Transporter, Phone: u.Phone,
	}, now, k.cfg.Random)
	if err != nil {
		return Pair{}, err
	}
	refresh, err := k.cfg.Mint.Refresh(refreshOf(f, gen))
	if err != nil {
		return Pair{}, err
	}
	k.indexed(ctx, func(ctx context.Context) error {
		return k.cfg.Index.Put(ctx, f.User, f.ID, token.Digest(refresh), min(k.cfg.Policy.Idle, f.EndsAt.Sub(now)))
	})
	return Pair{Access: access, Refresh: refresh, ExpiresIn: k.cfg.Mint.TTL(), Identity: id}, nil
}

func refreshOf(f Family, gen int64) token.Refresh {
	return token.Refresh{UserID: f.User, SessionID: f.ID, Gen: gen, Born: f.CreatedAt, Ends: f.EndsAt}
}

// Logout ends the caller's own session. A second time is a success too.
func (k *Keeper) Logout(ctx context.Context, id token.Identity, now time.Time) error {
	f, err := k.cfg.Store.Family(ctx, id.SessionID)
	if errors.Is(err, ErrNoFamily) || (err == nil && f.User != id.UserID) {
		return nil
	}
	if err != nil {
		return errUnavailable.Because(err)
	}
	return k.revoke(ctx, f, Logout, now)
}

// End revokes every session of a user and gives how many. why is one of this package's words.
func (k *Keeper) End(ctx context.Context, user fleet.UserID, why string, now time.Time) (int, error) {
	ids, err := k.cfg.Store.RevokeUser(ctx, user, why, now)
	if err != nil {
		return 0, errUnavailable.Because(err)
	}
	for _, id := range ids {
		k.revoked(ctx, Family{ID: id, User: user}, why, now)
	}
	return len(ids), nil
}

// EndFormerOperators revokes every session of users with role ops whose phone may not have any more, and gives how
// many. Of more users than maxOperators the oldest are left to their next refresh.
func (k *Keeper) EndFormerOperators(ctx context.Context, registry fleet.Registry, now time.Time) (ended int, err error) {
	if k.cfg.Operator == nil {
		return 0, nil
	}
	users, err := registry.Find(ctx, "", fleet.Ops, maxOperators)
	if err != nil {
		return 0, errUnavailable.Because(err)
	}
	for _, u := range users {
		if k.cfg.Operator(u.Phone) {
			continue
		}
		n, err := k.End(ctx, u.ID, NoOperator, now)
		if err != nil {
			return ended, err
		}
		ended += n
	}
	return ended, nil
}

// EndOne revokes one session, whoever's it is, and gives whose it was. ErrNoFamily when there is none.
// One that has ended is a success too.
func (k *Keeper) EndOne(ctx context.Context, sid, why string, now time.Time) (fleet.UserID, error) {
	f, err := k.cfg.Store.Family(ctx, sid)
	if errors.Is(err, ErrNoFamily) {
		return "", ErrNoFamily
	}
	if err != nil {
		return "", errUnavailable.Because(err)
	}
	return f.User, k.revoke(ctx, f, why, now)
}

// Alive tells whether a session is neither revoked nor ended, from the store. Socket.IO asks it for
// access tokens that have expired.
func (k *Keeper) Alive(ctx context.Context, sid string, now time.Time) (bool, error) {
	f, err := k.cfg.Store.Family(ctx, sid)
	switch {
	case errors.Is(err, ErrNoFamily):
		return false, nil
	case err != nil:
		return false, errUnavailable.Because(err)
	default:
		return k.cfg.Policy.Lives(f, now), nil
	}
}

func (k *Keeper) revoke(ctx context.Context, f Family, why string, now time.Time) error {
	if _, err := k.cfg.Store.Revoke(ctx, f.ID, why, now); err != nil {
		return errUnavailable.Because(err)
	}
	k.revoked(ctx, f, why, now)
	return nil
}

// revoked tells this task and the index; the store knows already.
func (k *Keeper) revoked(ctx context.Context, f Family, why string, now time.Time) {
	k.log.InfoContext(ctx, "session revoked", "session_id", f.ID, "user_id", f.User, "why", why)
	k.cfg.Revoked(Revocation{Family: f.ID, User: f.User, At: now, Why: why})
	k.audit(ctx, f, why, now)
	k.indexed(ctx, func(ctx context.Context) error {
		var digests []string
		for gen := max(f.Presented, 1); !f.CreatedAt.IsZero() && gen <= f.Presented+1; gen++ {
			s, err := k.cfg.Mint.Refresh(refreshOf(f, gen))
			if err != nil {
				return err
			}
			digests = append(digests, token.Digest(s))
		}
		return k.cfg.Index.Drop(ctx, f.User, f.ID, digests)
	})
}

// audit writes a revocation down. That it cannot be is no reason to let the session live.
func (k *Keeper) audit(ctx context.Context, f Family, why string, now time.Time) {
	if k.cfg.Audit == nil {
		return
	}
	e := auditlog.Event{At: now, Actor: auditlog.System, Action: auditlog.SessionRevoked, Subject: "session:" + f.ID, Reason: why,
		From: auditlog.SourceOf(ctx), Details: map[string]any{"user": string(f.User)}}
	switch why {
	case Reuse:
		e.Action = auditlog.RefreshReuse
	case Logout, LogoutAll:
		e.Actor, e.Role = string(f.User), string(f.Role)
	}
	if err := k.cfg.Audit.Record(e); err != nil {
		k.log.ErrorContext(ctx, "a revocation is not in the audit log", "session_id", f.ID, "error", err)
	}
}

// indexed keeps the index when there is one, within its budget. Its failure is nobody's concern.
func (k *Keeper) indexed(ctx context.Context, do func(context.Context) error) {
	if k.cfg.Index == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, indexBudget)
	defer cancel()
	if err := do(ctx); err != nil {
		k.log.WarnContext(ctx, "session index not kept", "error", err)
	}
}
