package rest

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/limit"
	"weelo/internal/share"
)

// ShareLinks makes and ends links to trips: *share.Desk.
type ShareLinks interface {
	Create(ctx context.Context, by fleet.UserID, tripID string) (share.Issued, error)
	Revoke(ctx context.Context, tripID, id string) (changed bool, err error)
	OfTrip(ctx context.Context, tripID string) ([]share.Link, error)
	Exchange(ctx context.Context, secret string) (share.Pass, error)
}

// Sharing is what the routes of share links need.
type Sharing struct {
	Links  ShareLinks
	Trips  TripReader
	Hosts  []string      // PUBLIC_HOSTS: the page is opened under the request's host if listed, else under the first
	Limits limit.Limiter // of creations and exchanges; nil: not limited
	Audit  Trail         // nil: nothing is written down
	Log    *slog.Logger
}

var errNoShareTrip = fault.New(fault.NotFound, "TRIP_NOT_FOUND", "There is no such trip.")

// ShareData is a new link. The token is told once and kept nowhere.
type ShareData struct {
	ShareID   string    `json:"shareId"`
	URL       string    `json:"url" doc:"The page of the link, with the token in the fragment, which no browser sends"`
	Token     string    `json:"token"`
	ExpiresAt Timestamp `json:"expiresAt" doc:"At the latest; 30 minutes after the trip's end if that comes first"`
}

// LiveShareData is a link of a trip as its owner may see it again.
type LiveShareData struct {
	ShareID   string    `json:"shareId"`
	CreatedAt Timestamp `json:"createdAt"`
	ExpiresAt Timestamp `json:"expiresAt"`
}

// LiveSharesData lists the links of a trip that work.
type LiveSharesData struct {
	Shares []LiveShareData `json:"shares" nullable:"false"`
}

// PassData is what a link's token is exchanged for.
type PassData struct {
	AccessToken string    `json:"accessToken" doc:"Good for the socket /ws/v1 and one watch of this trip only"`
	TripID      string    `json:"tripId"`
	ExpiresAt   Timestamp `json:"expiresAt"`
}

type shareIDInput struct {
	TripID  string `path:"tripId" maxLength:"64"`
	ShareID string `path:"shareId" maxLength:"64"`
}

type exchangeInput struct {
	Body struct {
		_     struct{} `additionalProperties:"false"`
		Token string   `json:"token" minLength:"1" maxLength:"64"`
	}
}

// RegisterSharing adds the routes of share links. Who is on the trip may share it, but not its driver:
// he may be followed, and does not decide by whom.
func RegisterSharing(a *API, d Sharing) {
	const base, tag = "/api/v1/trips/{tripId}/share", "share"
	owners := []fleet.Role{fleet.Customer, fleet.Transporter, fleet.Ops}
	Handle(a, Route{Method: http.MethodPost, Path: base, Name: "share-trip", Tag: tag, Roles: owners, Status: http.StatusCreated,
		Summary: "A link with which anybody follows this trip; at most five work at a time"}, d.create)
	Handle(a, Route{Method: http.MethodGet, Path: base, Name: "trip-shares", Tag: tag, Roles: owners,
		Summary: "The links of this trip that work, without their tokens"}, d.list)
	HandleAck(a, Route{Method: http.MethodDelete, Path: base + "/{shareId}", Name: "revoke-share", Tag: tag, Roles: owners,
		Summary: "End a link at once", Message: "The link does not work any more."}, d.revoke)
	Handle(a, Route{Method: http.MethodPost, Path: "/api/v1/share/exchange", Name: "exchange-share", Tag: tag, Public: true, MaxBody: 1 << 10,
		Summary: "Exchange a link's token for a short one"}, d.exchange)
}

func (d Sharing) create(ctx context.Context, in *tripIDInput) (ShareData, error) {
	if err := limited(ctx, d.Limits, d.Log, allowed.ShareCreate); err != nil {
		return ShareData{}, err
	}
	row, err := d.Trips.Trip(ctx, Caller(ctx), in.TripID, errNoShareTrip)
	if err != nil {
		return ShareData{}, err
	}
	made, err := d.Links.Create(ctx, Caller(ctx).UserID, row.Trip.ID)
	if err != nil {
		return ShareData{}, err
	}
	if err := d.record(ctx, auditlog.ShareCreated, row.Trip.ID, made.ID); err != nil {
		// Nobody is shown a truck unseen. The link was told to nobody, and ends by itself if this fails.
		if _, undo := d.Links.Revoke(ctx, row.Trip.ID, made.ID); undo != nil {
			d.Log.WarnContext(ctx, "a link that is not in the audit log was not revoked", "share", made.ID, "error", undo)
		}
		return ShareData{}, errUnaudited.Because(err)
	}
	page := pageURL(d.Hosts, RequestOf(ctx).Host)
	page.Fragment = made.Secret
	return ShareData{ShareID: made.ID, URL: page.String(), Token: made.Secret, ExpiresAt: AtMS(made.EndsAt.UnixMilli())}, nil
}

func (d Sharing) list(ctx context.Context, in *tripIDInput) (LiveSharesData, error) {
	row, err := d.Trips.Trip(ctx, Caller(ctx), in.TripID, errNoShareTrip)
	if err != nil {
		return LiveSharesData{}, err
	}
	links, err := d.Links.OfTrip(ctx, row.Trip.ID)
	if err != nil {
		return LiveSharesData{}, err
	}
	data := LiveSharesData{Shares: make([]LiveShareData, len(links))}
	for i, l := range links {
		data.Shares[i] = LiveShareData{ShareID: l.ID, CreatedAt: AtMS(l.CreatedAt.UnixMilli()), ExpiresAt: AtMS(l.EndsAt.UnixMilli())}
	}
	return data, nil
}

func (d Sharing) revoke(ctx context.Context, in *shareIDInput) error {
	row, err := d.Trips.Trip(ctx, Caller(ctx), in.TripID, errNoShareTrip)
	if err != nil {
		return err
	}
	changed, err := d.Links.Revoke(ctx, row.Trip.ID, in.ShareID)
	if err != nil || !changed {
		return err
	}
	if err := d.record(ctx, auditlog.ShareRevoked, row.Trip.ID, in.ShareID); err != nil {
		d.Log.ErrorContext(ctx, "that a share link was revoked is not in the audit log", "share", in.ShareID, "error", err)
	}
	return nil
}

// record writes down who did what to a link of a trip.
func (d Sharing) record(ctx context.Context, action, tripID, shareID string) error {
	if d.Audit == nil {
		return nil
	}
	who := Caller(ctx)
	return d.Audit.Record(auditlog.Event{Actor: string(who.UserID), Role: string(who.Role), Action: action, Subject: "trip:" + tripID,
		From: auditlog.SourceOf(ctx), Details: map[string]any{"share": shareID}})
}

func (d Sharing) exchange(ctx context.Context, in *exchangeInput) (PassData, error) {
	if err := count(ctx, d.Limits, d.Log, allowed.ShareExchange, limit.Sender(RequestOf(ctx).Client)); err != nil {
		return PassData{}, err // by address: whoever has a link has not logged in
	}
	pass, err := d.Links.Exchange(ctx, in.Body.Token)
	if err != nil {
		return PassData{}, err
	}
	return PassData{AccessToken: pass.Access, TripID: pass.TripID, ExpiresAt: AtMS(pass.Expires.UnixMilli())}, nil
}

// pageURL is where share links are opened: under the request's own host where that is served, else
// under the first of the public ones. Only this machine is reached without TLS.
func pageURL(hosts []string, asked string) *url.URL {
	name := hostName(asked)
	host := asked
	if len(hosts) > 0 && !slices.ContainsFunc(hosts, func(h string) bool {
		return strings.EqualFold(h, asked) || strings.EqualFold(hostName(h), name)
	}) {
		host = hosts[0]
	}
	scheme := "https"
	switch hostName(host) {
	case "localhost", "127.0.0.1", "::1":
		scheme = "http"
	}
	return &url.URL{Scheme: scheme, Host: host, Path: "/t/"}
}

func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}
