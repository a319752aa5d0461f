package rest_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"weelo/internal/access"
	"weelo/internal/auditlog"
	"weelo/internal/fleet"
	"weelo/internal/share"
	"weelo/internal/track"
	"weelo/transport/rest"
)

// watchHand is a clock that a test sets.
type watchHand struct {
	mu sync.Mutex
	at time.Time
}

func (w *watchHand) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *watchHand) forward(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// sharingYard is a yard with share links on a clock of their own, and an audit log.
type sharingYard struct {
	*yard
	clock *watchHand
	trail *auditlog.Recorder // writes when it is drained
}

// shared runs a test on both pairs of stores.
func shared(t *testing.T, test func(t *testing.T, y sharingYard)) {
	t.Helper()
	for name, stores := range map[string]func(*testing.T) shelves{"dev": dev, "serve": serve} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sharingYard{clock: &watchHand{at: time.Now()}}
			s.yard = openYard(t, stores(t), func(y *yard) {
				s.trail = auditlog.NewRecorder(auditlog.Config{Store: y.auditLog, Keys: auditKeys, Now: time.Now, Log: slog.New(slog.DiscardHandler), Capacity: 100})
				y.more = func(y *yard) {
					desk := share.NewDesk(share.Config{
						Store: y.shares, Trips: access.Ends{Trips: y.trips}, Mint: y.mint, Policy: share.DefaultPolicy(),
						NewID: uuid.NewString, Random: rand.Reader, Now: s.clock.now,
					})
					rest.RegisterSharing(y.api, rest.Sharing{
						Links: desk, Trips: access.New(y.trips, y.positions, y.fixes, track.DefaultRules(), time.Now), Hosts: []string{"go.weelo.example"},
						Audit: s.trail, Log: slog.New(slog.DiscardHandler),
					})
				}
			})
			test(t, s)
		})
	}
}

// written gives what the audit log has of links, after checking its chain.
func (y sharingYard) written(t *testing.T) []auditlog.Row {
	t.Helper()
	if err := y.trail.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := auditlog.Check(t.Context(), y.auditLog); err != nil {
		t.Fatal(err)
	}
	rows, err := y.auditLog.Chain(t.Context(), 0, auditlog.MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func tokenJSON(secret string) string { return `{"token":"` + secret + `"}` }

// TestALinkIsMadeExchangedAndRevoked walks through the life of a link.
func TestALinkIsMadeExchangedAndRevoked(t *testing.T) {
	t.Parallel()
	shared(t, func(t *testing.T, y sharingYard) {
		id := y.accepted(0)
		path := "/api/v1/trips/" + id + "/share"
		var made rest.ShareData
		y.asOwner().Call("POST", path, nil).Want(201).Data(&made)
		page, err := url.Parse(made.URL)
		if err != nil || page.Scheme != "https" || page.Host != "go.weelo.example" || page.Path != "/t/" || page.Fragment != made.Token || page.RawQuery != "" {
			t.Errorf("url %q, %v", made.URL, err)
		}
		var pass rest.PassData
		y.Call("POST", "/api/v1/share/exchange", tokenJSON(made.Token)).Want(200).Data(&pass)
		if pass.TripID != id {
			t.Errorf("trip %q", pass.TripID)
		}
		who, err := y.mint.VerifyShare(pass.AccessToken, y.clock.now())
		if err != nil || who.Trip != id || who.ExpiresAt.Sub(y.clock.now()) > 10*time.Minute {
			t.Errorf("%+v, %v", who, err)
		}

		// A viewer's token opens nothing here: it is nobody's login, and it may change nothing.
		viewer := y.As(pass.AccessToken)
		viewer.Call("GET", "/api/v1/trips/"+id, nil).Want(401)
		viewer.Call("GET", "/api/v1/tracking/"+id, nil).Want(401)
		viewer.Call("GET", path, nil).Want(401)
		viewer.Call("POST", path, nil).Want(403)
		viewer.Call("PUT", "/api/v1/tracking/trip/"+id+"/status", `{"status":"at_pickup"}`).Want(403)
		viewer.Call("DELETE", path+"/"+made.ShareID, nil).Want(403)

		var list rest.LiveSharesData
		y.asOwner().Call("GET", path, nil).Want(200).Data(&list)
		if len(list.Shares) != 1 || list.Shares[0].ShareID != made.ShareID {
			t.Errorf("links: %+v", list)
		}

		y.clock.forward(time.Minute)
		y.asOwner().Call("DELETE", path+"/"+made.ShareID, nil).Want(200)
		y.asOwner().Call("DELETE", path+"/"+made.ShareID, nil).Want(200)
		y.Call("POST", "/api/v1/share/exchange", tokenJSON(made.Token)).Want(404)
		y.asOwner().Call("GET", path, nil).Want(200).Data(&list)
		if len(list.Shares) != 0 {
			t.Errorf("links after the revocation: %+v", list)
		}
	})
}

// TestWhoMayShareATrip: those on it but the driver, and ops; to everybody else there is no such trip.
func TestWhoMayShareATrip(t *testing.T) {
	t.Parallel()
	shared(t, func(t *testing.T, y sharingYard) {
		id := y.accepted(0)
		path := "/api/v1/trips/" + id + "/share"
		var made rest.ShareData
		y.asOwner().Call("POST", path, nil).Want(201).Data(&made)
		y.as("00000000-0000-4000-8000-00000000000a", fleet.Ops).Call("POST", path, nil).Want(201)
		y.asDriver(0).Call("POST", path, nil).Want(403)
		y.asRival().Call("POST", path, nil).Want(404)
		y.asRival().Call("GET", path, nil).Want(404)
		y.asRival().Call("DELETE", path+"/"+made.ShareID, nil).Want(404)
		y.as("00000000-0000-4000-8000-00000000000b", fleet.Customer).Call("POST", path, nil).Want(404)
		y.asOwner().Call("POST", "/api/v1/trips/"+uuid.NewString()+"/share", nil).Want(404)
		y.asOwner().Call("DELETE", path+"/"+uuid.NewString(), nil).Want(404)
		y.Call("POST", path, nil).Want(401)
		for _, secret := range []string{"x", "AAAAAAAAAAAAAAAAAAAAAA", made.Token + "A", made.Token[1:], made.ShareID} {
			y.Call("POST", "/api/v1/share/exchange", tokenJSON(secret)).Want(404)
		}
		y.Call("POST", "/api/v1/share/exchange", tokenJSON(made.Token)).Want(200)
	})
}

// TestATripHasFiveLinks: the sixth is refused until one of them has gone, and a day later all have.
func TestATripHasFiveLinks(t *testing.T) {
	t.Parallel()
	shared(t, func(t *testing.T, y sharingYard) {
		path := "/api/v1/trips/" + y.accepted(0) + "/share"
		var made rest.ShareData
		for range 5 {
			y.asOwner().Call("POST", path, nil).Want(201).Data(&made)
		}
		y.asOwner().Call("POST", path, nil).Want(409)
		y.asOwner().Call("DELETE", path+"/"+made.ShareID, nil).Want(200)
		y.asOwner().Call("POST", path, nil).Want(201).Data(&made)
		y.asOwner().Call("POST", path, nil).Want(409)
		y.clock.forward(24 * time.Hour)
		y.Call("POST", "/api/v1/share/exchange", tokenJSON(made.Token)).Want(404)
		y.asOwner().Call("POST", path, nil).Want(201)
	})
}

// TestSharingIsWrittenDown: who made a link to which trip and who ended it, on whose request, and never a token.
func TestSharingIsWrittenDown(t *testing.T) {
	t.Parallel()
	shared(t, func(t *testing.T, y sharingYard) {
		trip, ops := y.accepted(0), fleet.UserID("00000000-0000-4000-8000-00000000000a")
		path := "/api/v1/trips/" + trip + "/share"
		var made, second rest.ShareData
		var pass rest.PassData
		y.asOwner().With("X-Request-ID", "request-0001").Call("POST", path, nil).Want(201).Data(&made)
		y.as(ops, fleet.Ops).Call("POST", path, nil).Want(201).Data(&second)
		y.Call("POST", "/api/v1/share/exchange", tokenJSON(made.Token)).Want(200).Data(&pass)
		// What comes to nothing leaves no row.
		y.asRival().Call("POST", path, nil).Want(404)
		y.asDriver(0).Call("POST", path, nil).Want(403)
		y.asRival().Call("DELETE", path+"/"+made.ShareID, nil).Want(404)
		for range 3 {
			y.asOwner().Call("POST", path, nil).Want(201)
		}
		y.asOwner().Call("POST", path, nil).Want(409)
		for range 2 { // the second changes nothing
			y.as(ops, fleet.Ops).Call("DELETE", path+"/"+made.ShareID, nil).Want(200)
		}

		rows := y.written(t)
		created, revoked := rows[:5], rows[5:]
		if len(rows) != 6 || revoked[0].Action != auditlog.ShareRevoked {
			t.Fatalf("%d rows: %q", len(rows), lines(rows))
		}
		for i, want := range []struct {
			row   auditlog.Row
			who   fleet.UserID
			role  fleet.Role
			share string
		}{
			{created[0], y.owner, fleet.Transporter, made.ShareID}, {created[1], ops, fleet.Ops, second.ShareID}, {revoked[0], ops, fleet.Ops, made.ShareID},
		} {
			if r := want.row; r.Actor != string(want.who) || r.Role != string(want.role) || r.Subject != "trip:"+trip || r.Details != `{"share":"`+want.share+`"}` {
				t.Errorf("row %d: %+v", i, r)
			}
		}
		for _, r := range created {
			if r.Action != auditlog.ShareCreated {
				t.Errorf("written as %+v", r)
			}
		}
		if created[0].RequestID != "request-0001" {
			t.Errorf("on request %q", created[0].RequestID)
		}
		digest, err := share.DigestOf(made.Token)
		if err != nil {
			t.Fatal(err)
		}
		all := fmt.Sprintf("%+v", rows)
		for _, secret := range []string{made.Token, second.Token, pass.AccessToken, fmt.Sprintf("%x", digest), base64.RawURLEncoding.EncodeToString(digest[:])} {
			if strings.Contains(all, secret) {
				t.Errorf("%q is in the log", secret)
			}
		}
	})
}

// TestNobodyIsShownATruckUnseen: a link that cannot be written down is not made.
func TestNobodyIsShownATruckUnseen(t *testing.T) {
	t.Parallel()
	shared(t, func(t *testing.T, y sharingYard) {
		path := "/api/v1/trips/" + y.accepted(0) + "/share"
		for y.trail.Record(auditlog.Event{Action: "filler"}) == nil {
		}
		y.asOwner().Call("POST", path, nil).Refused(503, "SERVICE_UNAVAILABLE")
		var list rest.LiveSharesData
		y.asOwner().Call("GET", path, nil).Want(200).Data(&list)
		if len(list.Shares) != 0 {
			t.Errorf("links: %+v", list)
		}
		if err := y.trail.Drain(t.Context()); err != nil { // the store is back
			t.Fatal(err)
		}
		y.asOwner().Call("POST", path, nil).Want(201)
	})
}
