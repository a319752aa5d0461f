package token

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/phone"
)

// The refusals. All that is wrong with an access token is one answer, except that it has merely
// expired: apps refresh on either.
var (
	ErrUnauthenticated = fault.New(fault.Unauthenticated, "UNAUTHORIZED", "Please log in again.")
	ErrExpired         = fault.New(fault.Unauthenticated, "TOKEN_EXPIRED", "Your session has expired. Please log in again.")
	ErrRefresh         = fault.New(fault.Unauthenticated, "INVALID_REFRESH_TOKEN", "Please log in again.")
)

const (
	accessType  = "at+jwt" // RFC 9068
	refreshType = "rt+jwt"
	// leeway allows for clocks of tasks that differ, on exp and iat.
	leeway = 10 * time.Second
)

// Config is what a Mint needs. The first key of each list signs; all of them verify, so that a key
// can be replaced without logging anybody out (Keys makes such a list).
type Config struct {
	Access   []Key
	Refresh  []Key
	Issuer   string        // "weelo" when empty
	Audience string        // "weelo-api" when empty
	TTL      time.Duration // life of an access token; an hour when 0
}

// Validate names every problem at once.
func (c Config) Validate() error {
	var problems []error
	check := func(what string, keys []Key) {
		if len(keys) == 0 {
			problems = append(problems, fmt.Errorf("%s: no secret", what))
		}
		for _, k := range keys {
			if k.ID == "" || len(k.Secret) < MinSecret {
				problems = append(problems, fmt.Errorf("%s: a secret has %d bytes, at least %d are needed", what, len(k.Secret), MinSecret))
			}
		}
	}
	check("access key", c.Access)
	check("refresh key", c.Refresh)
	for _, a := range c.Access {
		for _, r := range c.Refresh {
			if string(a.Secret) == string(r.Secret) {
				problems = append(problems, errors.New("access and refresh secrets must differ"))
			}
		}
	}
	if c.TTL < 0 {
		problems = append(problems, errors.New("the life of an access token is negative"))
	}
	return errors.Join(problems...)
}

// Mint makes and verifies the tokens of this installation. It is immutable and safe for all.
type Mint struct{ cfg Config }

// New checks the configuration and makes a Mint.
func New(cfg Config) (*Mint, error) {
	if cfg.Issuer == "" {
		cfg.Issuer = "weelo"
	}
	if cfg.Audience == "" {
		cfg.Audience = "weelo-api"
	}
	if cfg.TTL == 0 {
		cfg.TTL = time.Hour
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	return &Mint{cfg: cfg}, nil
}

// TTL is the life of an access token.
func (m *Mint) TTL() time.Duration { return m.cfg.TTL }

// accessClaims are the claims as the apps' servers had them (userId, role, phone, transporterId) plus
// the registered ones. Phone is the ten digits.
type accessClaims struct {
	UserID        string `json:"userId"`
	Role          string `json:"role"`
	Phone         string `json:"phone,omitempty"`
	TransporterID string `json:"transporterId,omitempty"`
	Subject       string `json:"sub"`
	Session       string `json:"sid"`
	ID            string `json:"jti"`
	Type          string `json:"typ"`
	Issuer        string `json:"iss"`
	Audience      string `json:"aud"`
	IssuedAt      int64  `json:"iat"`
	ExpiresAt     int64  `json:"exp"`
	NotBefore     int64  `json:"nbf,omitempty"` // never minted; heeded all the same
}

// Access mints an access token for id and returns it with the identity it will verify to. UserID, Role
// and SessionID of id are needed; TokenID and ExpiresAt are set here. random gives the jti.
func (m *Mint) Access(id Identity, now time.Time, random io.Reader) (string, Identity, error) {
	if id.UserID == "" || id.SessionID == "" || !knownRole(id.Role) {
		return "", Identity{}, fmt.Errorf("token: an access token needs user, session and role, not %q", id.Role)
	}
	var jti [16]byte
	if _, err := io.ReadFull(random, jti[:]); err != nil {
		return "", Identity{}, fmt.Errorf("token: jti: %w", err)
	}
	id.TokenID = hex.EncodeToString(jti[:])
	id.ExpiresAt = now.Add(m.cfg.TTL).Truncate(time.Second).UTC()
	payload, err := json.Marshal(accessClaims{
		UserID: string(id.UserID), Role: string(id.Role), Phone: phone.Number(id.Phone).National(),
		TransporterID: string(id.TransporterID), Subject: string(id.UserID), Session: id.SessionID,
		ID: id.TokenID, Type: "access", Issuer: m.cfg.Issuer, Audience: m.cfg.Audience,
		IssuedAt: now.Unix(), ExpiresAt: id.ExpiresAt.Unix(),
	})
	if err != nil {
		return "", Identity{}, fmt.Errorf("token: claims: %w", err)
	}
	s, err := seal(m.cfg.Access[0], accessType, payload)
	return s, id, err
}

// Verify tells whom an access token speaks for. ErrExpired when it was genuine and is too old,
// ErrUnauthenticated for everything else. Whether the session was revoked is a separate question.
func (m *Mint) Verify(access string, now time.Time) (Identity, error) {
	id, err := m.readAccess(access, now)
	if err != nil {
		return Identity{}, err
	}
	if !now.Before(id.ExpiresAt.Add(leeway)) {
		return Identity{}, ErrExpired
	}
	return id, nil
}

// VerifyStale is Verify for Socket.IO's CONNECT: that app keeps the access token of its start for as
// long as it runs, so a genuine one is accepted until maxAge after its expiry. The caller must check
// that its session lives.
func (m *Mint) VerifyStale(access string, now time.Time, maxAge time.Duration) (Identity, error) {
	id, err := m.readAccess(access, now)
	if err != nil {
		return Identity{}, err
	}
	if !now.Before(id.ExpiresAt.Add(maxAge + leeway)) {
		return Identity{}, ErrExpired
	}
	return id, nil
}

// readAccess checks everything but the expiry.
func (m *Mint) readAccess(access string, now time.Time) (Identity, error) {
	h, payload, err := open(m.cfg.Access, access)
	if err != nil {
		return Identity{}, ErrUnauthenticated.Because(err)
	}
	var c accessClaims
	if err := readClaims(payload, &c); err != nil || h.Typ != accessType || c.Type != "access" {
		return Identity{}, ErrUnauthenticated.Because(errMalformed)
	}
	switch {
	case c.Issuer != m.cfg.Issuer, c.Audience != m.cfg.Audience:
		return Identity{}, ErrUnauthenticated.Because(errors.New("other issuer or audience"))
	case c.ExpiresAt <= 0, c.IssuedAt <= 0, c.IssuedAt > c.ExpiresAt:
		return Identity{}, ErrUnauthenticated.Because(errors.New("no exp or iat"))
	case early(now, c.IssuedAt, c.NotBefore):
		return Identity{}, ErrUnauthenticated.Because(errors.New("issued in the future"))
	case c.Subject == "", c.Subject != c.UserID, c.Session == "", c.ID == "", !knownRole(fleet.Role(c.Role)):
		return Identity{}, ErrUnauthenticated.Because(errors.New("incomplete claims"))
	}
	id := Identity{
		UserID: fleet.UserID(c.UserID), Role: fleet.Role(c.Role), SessionID: c.Session,
		TransporterID: fleet.UserID(c.TransporterID), TokenID: c.ID, ExpiresAt: time.Unix(c.ExpiresAt, 0).UTC(),
	}
	if c.Phone != "" {
		n, err := phone.Parse(c.Phone)
		if err != nil {
			return Identity{}, ErrUnauthenticated.Because(errors.New("no phone number"))
		}
		id.Phone = n.E164()
	}
	return id, nil
}

// early tells whether a token is from the future or good only from then on.
func early(now time.Time, issuedAt, notBefore int64) bool {
	limit := now.Add(leeway).Unix()
	return issuedAt > limit || notBefore > limit
}

func knownRole(r fleet.Role) bool {
	switch r {
	case fleet.Customer, fleet.Transporter, fleet.Driver, fleet.Ops:
		return true
	default:
		return false
	}
}
