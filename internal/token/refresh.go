package token

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"weelo/internal/fleet"
)

// Refresh is what a refresh token says: the Gen-th token of a family. Born and Ends are the family's
// own times (second precision), the same in all its tokens, so that a child can be derived again.
type Refresh struct {
	UserID    fleet.UserID
	SessionID string // the family
	Gen       int64  // from 1
	Born      time.Time
	Ends      time.Time // absolute end of the family
}

// refreshAudience is whom refresh tokens are for: nobody who takes an access token takes one of these.
const refreshAudience = "weelo-refresh"

type refreshClaims struct {
	Subject   string `json:"sub"`
	Session   string `json:"sid"`
	Gen       int64  `json:"gen"`
	ID        string `json:"jti"`
	Type      string `json:"typ"`
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
	NotBefore int64  `json:"nbf,omitempty"`
}

// Refresh mints the refresh token r. It is deterministic: equal input and equal key, equal token. Under
// another key the same token (family and generation) has another spelling; see ADR 0016.
func (m *Mint) Refresh(r Refresh) (string, error) {
	if r.UserID == "" || r.SessionID == "" || r.Gen < 1 || !r.Ends.After(r.Born) {
		return "", errors.New("token: a refresh token needs user, session, generation and a life")
	}
	payload, err := json.Marshal(refreshClaims{
		Subject: string(r.UserID), Session: r.SessionID, Gen: r.Gen, ID: refreshID(r.SessionID, r.Gen),
		Type: "refresh", Issuer: m.cfg.Issuer, Audience: refreshAudience,
		IssuedAt: r.Born.Unix(), ExpiresAt: r.Ends.Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("token: claims: %w", err)
	}
	return seal(m.cfg.Refresh[0], refreshType, payload)
}

// VerifyRefresh reads a genuine refresh token; ErrRefresh for anything else. It says nothing about
// the family's state, and a token it refuses must not change that state.
func (m *Mint) VerifyRefresh(s string, now time.Time) (Refresh, error) {
	h, payload, err := open(m.cfg.Refresh, s)
	if err != nil {
		return Refresh{}, ErrRefresh.Because(err)
	}
	var c refreshClaims
	if err := readClaims(payload, &c); err != nil || h.Typ != refreshType || c.Type != "refresh" {
		return Refresh{}, ErrRefresh.Because(errMalformed)
	}
	switch {
	case c.Issuer != m.cfg.Issuer, c.Audience != refreshAudience && (h.Kid != earlierKid || c.Audience != m.cfg.Audience):
		return Refresh{}, ErrRefresh.Because(errors.New("other issuer or audience"))
	case c.Subject == "", c.Session == "", c.Gen < 1, c.ID != refreshID(c.Session, c.Gen), c.IssuedAt <= 0, c.ExpiresAt <= c.IssuedAt:
		return Refresh{}, ErrRefresh.Because(errors.New("incomplete claims"))
	case early(now, c.IssuedAt, c.NotBefore):
		return Refresh{}, ErrRefresh.Because(errors.New("issued in the future"))
	case !now.Before(time.Unix(c.ExpiresAt, 0).Add(leeway)):
		return Refresh{}, ErrRefresh.Because(errors.New("expired"))
	}
	return Refresh{
		UserID: fleet.UserID(c.Subject), SessionID: c.Session, Gen: c.Gen,
		Born: time.Unix(c.IssuedAt, 0).UTC(), Ends: time.Unix(c.ExpiresAt, 0).UTC(),
	}, nil
}

// refreshID is the jti of a family's Gen-th token.
func refreshID(session string, gen int64) string {
	h := sha256.New()
	h.Write([]byte("weelo refresh\x00" + session + "\x00"))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(gen))) //nolint:gosec // the same 64 bits, for a hash
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Digest is the SHA-256 of a token in hex: what an index may keep instead of the token itself.
func Digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
