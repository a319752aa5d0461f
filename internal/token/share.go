package token

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"weelo/internal/fleet"
)

// Viewer is the role of whoever follows one trip by a share link. No user has it and no access token
// carries it: it comes only out of VerifyShare.
const Viewer fleet.Role = "share"

const (
	shareType     = "share+jwt"
	shareAudience = "weelo-share"
)

// ViewersOf is the user id that all viewers of a link have; no user row has an id like it.
func ViewersOf(link string) fleet.UserID { return fleet.UserID("share:" + link) }

type shareClaims struct {
	Link      string `json:"sub"`
	Trip      string `json:"trip"`
	ID        string `json:"jti"`
	Type      string `json:"typ"`
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
}

// Share mints the token of one viewer of a link: audience share, good for a socket that watches this
// trip and for nothing else. random gives the jti.
func (m *Mint) Share(link, trip string, expires, now time.Time, random io.Reader) (string, error) {
	if link == "" || trip == "" || !expires.After(now) {
		return "", errors.New("token: a share token needs link, trip and a life")
	}
	var jti [16]byte
	if _, err := io.ReadFull(random, jti[:]); err != nil {
		return "", fmt.Errorf("token: jti: %w", err)
	}
	payload, err := json.Marshal(shareClaims{
		Link: link, Trip: trip, ID: hex.EncodeToString(jti[:]), Type: "share", Issuer: m.cfg.Issuer, Audience: shareAudience,
		IssuedAt: now.Unix(), ExpiresAt: expires.Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("token: claims: %w", err)
	}
	return seal(m.cfg.Access[0], shareType, payload)
}

// VerifyShare tells which link and trip a share token speaks for: UserID and SessionID are the link's,
// each viewer is a device of his own. ErrExpired when it was genuine and is too old, ErrUnauthenticated
// for everything else. Whether the link still lives is a separate question.
func (m *Mint) VerifyShare(s string, now time.Time) (Identity, error) {
	h, payload, err := open(m.cfg.Access, s)
	if err != nil {
		return Identity{}, ErrUnauthenticated.Because(err)
	}
	var c shareClaims
	if err := readClaims(payload, &c); err != nil || h.Typ != shareType || c.Type != "share" {
		return Identity{}, ErrUnauthenticated.Because(errMalformed)
	}
	switch {
	case c.Issuer != m.cfg.Issuer, c.Audience != shareAudience:
		return Identity{}, ErrUnauthenticated.Because(errors.New("other issuer or audience"))
	case c.Link == "", c.Trip == "", c.ID == "", c.IssuedAt <= 0, c.ExpiresAt < c.IssuedAt:
		return Identity{}, ErrUnauthenticated.Because(errors.New("incomplete claims"))
	case early(now, c.IssuedAt, 0):
		return Identity{}, ErrUnauthenticated.Because(errors.New("issued in the future"))
	case !now.Before(time.Unix(c.ExpiresAt, 0).Add(leeway)):
		return Identity{}, ErrExpired
	}
	return Identity{
		UserID: ViewersOf(c.Link), Role: Viewer, SessionID: c.Link, Trip: c.Trip, TokenID: c.ID, Device: c.ID,
		ExpiresAt: time.Unix(c.ExpiresAt, 0).UTC(),
	}, nil
}
