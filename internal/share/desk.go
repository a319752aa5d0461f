package share

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"weelo/internal/fleet"
)

// Mint makes the tokens of viewers: *token.Mint.
type Mint interface {
	Share(link, trip string, expires, now time.Time, random io.Reader) (string, error)
}

// Config is what a Desk needs. All of it is required.
type Config struct {
	Store  Store
	Trips  Trips
	Mint   Mint
	Policy Policy
	NewID  func() string
	Random io.Reader
	Now    func() time.Time
}

// Desk makes links, exchanges them, and tells which are good. It is safe for concurrent use and holds no
// state; who may ask about which trip is the caller's question.
type Desk struct{ cfg Config }

// NewDesk makes one.
func NewDesk(cfg Config) *Desk { return &Desk{cfg: cfg} }

// Issued is a new link with its secret, which is not kept anywhere.
type Issued struct {
	Link
	Secret string
}

// Create makes a link to a trip. Refuses with ErrTripEnded and ErrTooMany.
func (d *Desk) Create(ctx context.Context, by fleet.UserID, tripID string) (Issued, error) {
	ended, err := d.cfg.Trips.Ended(ctx, []string{tripID})
	if err != nil {
		return Issued{}, fmt.Errorf("share trip %s: %w", tripID, err)
	}
	if end, ok := ended[tripID]; !ok {
		return Issued{}, ErrNotFound
	} else if end != 0 {
		return Issued{}, ErrTripEnded
	}
	secret, digest, err := NewSecret(d.cfg.Random)
	if err != nil {
		return Issued{}, err
	}
	now := d.cfg.Now().UTC().Truncate(time.Microsecond) // as stores keep it
	l := Link{ID: d.cfg.NewID(), TripID: tripID, Digest: digest, CreatedBy: by, CreatedAt: now, EndsAt: now.Add(d.cfg.Policy.Life)}
	if err := d.cfg.Store.Add(ctx, l, d.cfg.Policy.MaxLive); err != nil {
		return Issued{}, err
	}
	return Issued{l, secret}, nil
}

// Revoke ends a link of a trip, and tells whether nobody had done so before; ErrNotFound when the trip has
// no such link.
func (d *Desk) Revoke(ctx context.Context, tripID, id string) (changed bool, err error) {
	changed, err = d.cfg.Store.Revoke(ctx, tripID, id, d.cfg.Now())
	if errors.Is(err, ErrMissing) {
		return false, ErrNotFound
	}
	return changed, err
}

// OfTrip gives the links of a trip that are good, oldest first.
func (d *Desk) OfTrip(ctx context.Context, tripID string) ([]Link, error) {
	now := d.cfg.Now()
	links, err := d.cfg.Store.OfTrip(ctx, tripID, now)
	if err != nil {
		return nil, err
	}
	return d.good(ctx, links, now)
}

// good gives those of the links that show their trip at a moment, each with the end that is known.
func (d *Desk) good(ctx context.Context, links []Link, now time.Time) ([]Link, error) {
	if len(links) == 0 {
		return nil, nil
	}
	ids := make([]string, len(links))
	for i, l := range links {
		ids[i] = l.TripID
	}
	ended, err := d.cfg.Trips.Ended(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("shared trips: %w", err)
	}
	var good []Link
	for _, l := range links {
		end, ok := ended[l.TripID]
		if ok && d.cfg.Policy.Good(l, end, now) {
			l.EndsAt = d.cfg.Policy.Ends(l, end)
			good = append(good, l)
		}
	}
	return good, nil
}

// Pass is what a secret is exchanged for.
type Pass struct {
	Access  string
	TripID  string
	Expires time.Time
}

// Exchange gives whoever has the secret of a good link a short token; ErrNotFound to everybody else.
func (d *Desk) Exchange(ctx context.Context, secret string) (Pass, error) {
	digest, err := DigestOf(secret)
	if err != nil {
		return Pass{}, err
	}
	l, err := d.cfg.Store.ByDigest(ctx, digest)
	if errors.Is(err, ErrMissing) {
		return Pass{}, ErrNotFound
	}
	if err != nil {
		return Pass{}, err
	}
	now := d.cfg.Now()
	good, err := d.good(ctx, []Link{l}, now)
	if err != nil {
		return Pass{}, err
	}
	if len(good) == 0 {
		return Pass{}, ErrNotFound
	}
	expires := now.Add(d.cfg.Policy.View).UTC().Truncate(time.Second)
	if end := good[0].EndsAt.Truncate(time.Second); end.Before(expires) {
		expires = end
	}
	if !expires.After(now) {
		return Pass{}, ErrNotFound // its last second
	}
	access, err := d.cfg.Mint.Share(l.ID, l.TripID, expires, now, d.cfg.Random)
	return Pass{Access: access, TripID: l.TripID, Expires: expires}, err
}

// Good gives those of the links that show their trip now, by id.
func (d *Desk) Good(ctx context.Context, ids []string) (map[string]Link, error) {
	links, err := d.cfg.Store.Links(ctx, ids)
	if err != nil {
		return nil, err
	}
	good, err := d.good(ctx, links, d.cfg.Now())
	if err != nil {
		return nil, err
	}
	byID := make(map[string]Link, len(good))
	for _, l := range good {
		byID[l.ID] = l
	}
	return byID, nil
}
