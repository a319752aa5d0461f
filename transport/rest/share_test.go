package rest_test

import (
	"crypto/rand"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"weelo/internal/access"
	"weelo/internal/fleet"
	"weelo/internal/share"
	"weelo/internal/track"
	"weelo/store/sqlite"
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

// sharingYard is a yard with share links on a clock of their own.
func sharingYard(t *testing.T) (*yard, *watchHand) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "shares.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock := &watchHand{at: time.Now()}
	y := openYard(t, dev(t), func(y *yard) {
		y.more = func(y *yard) {
			desk := share.NewDesk(share.Config{
				Store: sqlite.NewShares(db), Trips: access.Ends{Trips: y.trips}, Mint: y.mint, Policy: share.DefaultPolicy(),
				NewID: uuid.NewString, Random: rand.Reader, Now: clock.now,
			})
			rest.RegisterSharing(y.api, rest.Sharing{
				Links: desk, Trips: access.New(y.trips, y.positions, y.fixes, track.DefaultRules(), time.Now), Hosts: []string{"go.weelo.example"}, Log: slog.New(slog.DiscardHandler),
			})
		}
	})
	return y, clock
}

func tokenJSON(secret string) string { return `{"token":"` + secret + `"}` }

// TestALinkIsMadeExchangedAndRevoked walks through the life of a link.
func TestALinkIsMadeExchangedAndRevoked(t *testing.T) {
	t.Parallel()
	y, clock := sharingYard(t)
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
	who, err := y.mint.VerifyShare(pass.AccessToken, clock.now())
	if err != nil || who.Trip != id || who.ExpiresAt.Sub(clock.now()) > 10*time.Minute {
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

	clock.forward(time.Minute)
	y.asOwner().Call("DELETE", path+"/"+made.ShareID, nil).Want(200)
	y.asOwner().Call("DELETE", path+"/"+made.ShareID, nil).Want(200)
	y.Call("POST", "/api/v1/share/exchange", tokenJSON(made.Token)).Want(404)
	y.asOwner().Call("GET", path, nil).Want(200).Data(&list)
	if len(list.Shares) != 0 {
		t.Errorf("links after the revocation: %+v", list)
	}
}

// TestWhoMayShareATrip: those on it but the driver, and ops; to everybody else there is no such trip.
func TestWhoMayShareATrip(t *testing.T) {
	t.Parallel()
	y, _ := sharingYard(t)
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
}

// TestATripHasFiveLinks: the sixth is refused until one of them has gone, and a day later all have.
func TestATripHasFiveLinks(t *testing.T) {
	t.Parallel()
	y, clock := sharingYard(t)
	path := "/api/v1/trips/" + y.accepted(0) + "/share"
	var made rest.ShareData
	for range 5 {
		y.asOwner().Call("POST", path, nil).Want(201).Data(&made)
	}
	y.asOwner().Call("POST", path, nil).Want(409)
	y.asOwner().Call("DELETE", path+"/"+made.ShareID, nil).Want(200)
	y.asOwner().Call("POST", path, nil).Want(201).Data(&made)
	y.asOwner().Call("POST", path, nil).Want(409)
	clock.forward(24 * time.Hour)
	y.Call("POST", "/api/v1/share/exchange", tokenJSON(made.Token)).Want(404)
	y.asOwner().Call("POST", path, nil).Want(201)
}
