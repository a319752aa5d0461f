package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/ledger"
	"weelo/internal/token"
	"weelo/transport/hub"
	"weelo/transport/ws"
)

// linked is a server with one shared trip, whose link a test can end.
type linked struct {
	*town
	gate sync.Mutex
	over bool
}

const linkSecret, viewerToken = "c2VjcmV0LW9mLWEtbGluaw", "viewer-token"

func (l *linked) ended() bool {
	l.gate.Lock()
	defer l.gate.Unlock()
	return l.over
}

// revoke ends the link and lets its viewers go, as the guard of the links does.
func (l *linked) revoke() {
	l.gate.Lock()
	l.over = true
	l.gate.Unlock()
	l.hub.Disconnect(token.ViewersOf("link"), "link", hub.CodeUnauthorized, "the link is over")
}

func (l *linked) Verify(access string, now time.Time) (token.Identity, error) {
	if access == viewerToken && !l.ended() {
		return token.Identity{UserID: token.ViewersOf("link"), Role: token.Viewer, SessionID: "link", Trip: l.views[0].TripID, ExpiresAt: now.Add(time.Minute)}, nil
	}
	return token.Identity{}, token.ErrUnauthenticated
}

func (l *linked) Watch(_ context.Context, who token.Identity, scope hub.Scope) ([]protocol.TripView, error) {
	if l.ended() || scope != (hub.Scope{Kind: hub.Trip, ID: who.Trip}) {
		return nil, fault.New(fault.NotFound, "NOT_FOUND", "There is nothing here.")
	}
	v := l.views[0]
	fix := fixAt(v, 0, 0)
	v.Live = &fix
	return []protocol.TripView{v}, nil
}

func (l *linked) exchange(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Token string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Token != linkSecret || l.ended() {
		refuse(w, http.StatusNotFound, "SHARE_NOT_FOUND", "This link does not work.")
		return
	}
	answer(w, map[string]any{"success": true, "data": map[string]any{
		"accessToken": viewerToken, "tripId": l.views[0].TripID, "expiresAt": time.Now().Add(time.Minute).UTC().Format(time.RFC3339),
	}})
}

func newLinked(t *testing.T) *linked {
	t.Helper()
	l := &linked{town: &town{t: t, history: map[string][]ledger.Recorded{}}}
	l.addTrucks(1)
	l.hub = hub.New(hub.Config{Inbox: emptyInbox{}, Access: l})
	page, err := NewSharePage(ShareConfig{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	sockets, err := ws.New(ws.Config{
		Hub: l.hub, Tokens: l, Drivers: nobody{}, Transporters: nobodyElse{}, Recorder: noHistory{}, Windows: noHistory{}, Facts: noHistory{},
		Origins: []string{web.URL},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("GET /ws/v1", sockets)
	mux.HandleFunc("POST /api/v1/share/exchange", l.exchange)
	for _, pattern := range page.Patterns() {
		mux.Handle(pattern, page)
	}
	l.url = web.URL
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{l.hub.Run, sockets.Run} {
		running.Go(func() { _ = run(ctx) })
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
		web.Close()
	})
	return l
}

// TestABrowserFollowsASharedTruck: the page of a link without a login, the truck that moves, and what
// is left of it after the link was revoked.
func TestABrowserFollowsASharedTruck(t *testing.T) {
	t.Parallel()
	l := newLinked(t)
	l.drives()
	p := openPage(t, l.url+"/t/#"+linkSecret)
	p.until("live", `window.weeloShare && weeloShare.seen.state === "live" && weeloShare.seen.at`)
	p.until("the truck moves", `weeloShare.seen.moves >= 2`)
	p.until("how old the position is", `/just now|\d+ s ago/.test(document.getElementById("age").textContent)`)
	p.until("an estimate", `document.getElementById("eta").textContent.startsWith("About ")`)
	p.until("the truck is on the map", `document.querySelector(".maplibregl-marker")`)
	if who := read[string](p, `document.getElementById("who").textContent`); !strings.HasPrefix(who, "Mohan · truck …") || strings.Contains(who, "Yadav") {
		t.Errorf("who: %q", who)
	}
	if seen := read[string](p, `JSON.stringify(weeloShare.seen) + document.body.textContent`); strings.Contains(seen, "Yadav") || strings.Contains(seen, `"phone":"`) {
		t.Errorf("the page knows too much: %s", seen)
	}
	p.shot("share.png")
	l.revoke()
	p.until("it says so", `weeloShare.seen.state === "gone" && document.getElementById("link").textContent === "This link has ended"`)
	p.until("nothing is left", `!document.querySelector(".maplibregl-marker") && document.getElementById("who").textContent === ""`)
}

// TestSocketsOfThePolicy: sockets are let in under the names of the page, and no others.
func TestSocketsOfThePolicy(t *testing.T) {
	t.Parallel()
	policy, err := contentPolicy("https://tiles.example/style.json", []string{"api.weelo.example", "localhost:3000", "::1"})
	if err != nil || !strings.Contains(policy, "connect-src 'self' wss://api.weelo.example wss://localhost:3000 wss://[::1] https://tiles.example;") {
		t.Errorf("%q, %v", policy, err)
	}
}

// TestTheSharePageIsKeptFromOthers: nobody indexes, keeps or frames it, and it is served under its name only.
func TestTheSharePageIsKeptFromOthers(t *testing.T) {
	t.Parallel()
	l := newLinked(t)
	resp, body := l.ask("GET", "/t/")
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	policy := resp.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self' wss://127.0.0.1;", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("%s is not in %q", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(body, "<script>") || strings.Contains(body, "style=") || strings.Contains(body, " on") && strings.Contains(body, "onclick") {
		t.Errorf("inline: %q, %s", policy, body)
	}
	for path, want := range map[string]int{"/t/a/share.mjs": 200, "/t/a/main.mjs": 404, "/t/a/index.html": 404, "/t/": 200} {
		if resp, _ := l.ask("GET", path); resp.StatusCode != want {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	if resp, _ := l.ask("GET", "/t/", "Host", "evil.example"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("another name: %d", resp.StatusCode)
	}
}

// TestTheSharePagesOwnRules runs the tests of its modules that need no browser.
func TestTheSharePagesOwnRules(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "node", "--test", filepath.Join("jstest", "share.test.mjs")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
