package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weelo/internal/config"
	"weelo/internal/fleet"
	"weelo/internal/limit"
	"weelo/internal/notify"
	"weelo/internal/session"
	"weelo/internal/telemetry"
	"weelo/internal/token"
	"weelo/store/memory"
	"weelo/transport/door"
)

// away is a store of limits that does not answer.
type away struct{ rates }

func (away) Take(context.Context, limit.Limit, string) (time.Duration, error) {
	return 0, errors.New("away")
}

func (away) Read(context.Context, string) (limit.Tally, time.Duration, error) {
	return limit.Tally{}, 0, errors.New("away")
}

// gatedHouse is the whole house as cmd wires it, behind one proxy, on a store of limits that the test chooses.
func gatedHouse(t *testing.T, counts rates, env ...string) *house {
	t.Helper()
	cfg, err := config.Load(append([]string{"TRUSTED_HOPS=1"}, env...))
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cfg: cfg, log: slog.New(slog.DiscardHandler), metrics: telemetry.NewMetrics("test"), ready: newReadiness("test")}
	dir := t.TempDir()
	st, err := embedded(t.Context(), p, filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.shut(context.Background()) })
	st.rates = counts
	secret := func(of string) config.Secret { return config.Secret(strings.Repeat(of, 8)) }
	h, err := wire(t.Context(), p, st, config.Secrets{JWT: secret("jwt1"), JWTRefresh: secret("jwt2"), Pepper: secret("salt")},
		[]notify.Route{{Name: "file", Sender: notify.NewFile(filepath.Join(dir, smsFile), time.Now)}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	for _, part := range p.parts {
		parts.Go(func() { _ = part.run(ctx) })
	}
	t.Cleanup(func() {
		last, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := h.system.Drain(last); err != nil {
			t.Error(err)
		}
		end()
		parts.Wait()
	})
	return h
}

// still is a store of limits in which no time passes.
func still() rates {
	now := time.Now()
	return memory.NewRates(func() time.Time { return now })
}

// opened is a session of a user of his own.
func (h *house) opened(t *testing.T, n int) session.Pair {
	t.Helper()
	u, _, err := h.st.users.Enrol(t.Context(), fleet.User{ID: fleet.UserID(fmt.Sprintf("u-%d", n)), Phone: fmt.Sprintf("+9198765%05d", n), Role: fleet.Customer})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := h.keeper.Open(t.Context(), fmt.Sprintf("s-%d", n), u, "phone", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// post asks the house's API from an address, as a device.
func (h *house) post(path, from, device, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", from)
	r.Header.Set("X-Device-Id", device)
	w := httptest.NewRecorder()
	h.p.handler.ServeHTTP(w, r)
	return w
}

func (h *house) refresh(from, token string) *httptest.ResponseRecorder {
	return h.post("auth/refresh", from, "", `{"refreshToken":"`+token+`"}`)
}

func (h *house) send(from, device string, number int) *httptest.ResponseRecorder {
	return h.post("auth/send-otp", from, device, fmt.Sprintf(`{"phone":"%d","role":"customer"}`, number))
}

// want fails unless an answer has a status and, if it is no success, this code and, if it asks to wait, Retry-After.
func want(t *testing.T, what string, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	wait, err := strconv.Atoi(w.Header().Get("Retry-After"))
	waits := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
	if w.Code != status || !strings.Contains(w.Body.String(), code) || waits && (err != nil || wait < 1) {
		t.Errorf("%s: %d %s, Retry-After %q; want %d %s", what, w.Code, w.Body, w.Header().Get("Retry-After"), status, code)
	}
}

// refusedBy is how often a limit has refused.
func (h *house) refusedBy(t *testing.T, name string) (n float64) {
	t.Helper()
	families, err := h.p.metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "weelo_limit_refused_total" && m.GetLabel()[0].GetValue() == name {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// TestRefreshesAreLimited: by session, and by address whatever the token is worth; a forged one costs no session anything.
func TestRefreshesAreLimited(t *testing.T) {
	t.Parallel()
	h, table := gatedHouse(t, still()), limit.DefaultLogin()
	one, other := h.opened(t, 1), h.opened(t, 2)
	forged := one.Refresh[:len(one.Refresh)-8] + "forged00"
	for i := range table.RefreshFamily.Burst {
		want(t, "forged", h.refresh("203.0.113.1", forged), http.StatusUnauthorized, "")
		want(t, "refresh "+strconv.Itoa(i), h.refresh("203.0.113.2", one.Refresh), http.StatusOK, "")
	}
	want(t, "one too many of a session", h.refresh("203.0.113.2", one.Refresh), http.StatusTooManyRequests, "AUTH_RATE_LIMIT_EXCEEDED")
	want(t, "the same from elsewhere", h.refresh("203.0.113.3", one.Refresh), http.StatusTooManyRequests, "AUTH_RATE_LIMIT_EXCEEDED")
	want(t, "another session", h.refresh("203.0.113.2", other.Refresh), http.StatusOK, "")
	if n := h.refusedBy(t, "refresh-family"); n != 2 {
		t.Errorf("%v refusals of a family are counted", n)
	}

	for i := range table.RefreshAddress.Burst { // all addresses of one /64
		want(t, "forged", h.refresh(fmt.Sprintf("2001:db8:1:1::%x", i+1), "forged"), http.StatusUnauthorized, "")
	}
	want(t, "one too many of a /64", h.refresh("2001:db8:1:1:ffff::1", other.Refresh), http.StatusTooManyRequests, "AUTH_RATE_LIMIT_EXCEEDED")
	want(t, "another /64 of its /48", h.refresh("2001:db8:1:2::1", other.Refresh), http.StatusOK, "")
	want(t, "this machine itself", h.refresh("::1", other.Refresh), http.StatusOK, "")
	if n := h.refusedBy(t, "refresh-address"); n != 1 {
		t.Errorf("%v refusals of an address are counted", n)
	}
}

// TestWhatIsLimitedWithoutTheStore: codes are refused, because their limits guard a secret; refreshes are counted here.
func TestWhatIsLimitedWithoutTheStore(t *testing.T) {
	t.Parallel()
	h, table := gatedHouse(t, away{still()}), limit.DefaultLogin()
	want(t, "a code", h.send("203.0.113.1", "phone", 9876500001), http.StatusServiceUnavailable, "")
	pair, begun, let := h.opened(t, 1), time.Now(), 0
	for {
		w := h.refresh("203.0.113.2", pair.Refresh)
		if w.Code != http.StatusOK {
			want(t, "one too many", w, http.StatusTooManyRequests, "AUTH_RATE_LIMIT_EXCEEDED")
			break
		}
		if let++; let > table.RefreshFamily.Burst+int(time.Since(begun)/table.RefreshFamily.Interval())+1 {
			t.Fatalf("%d refreshes of one session are let through", let)
		}
	}
	if let < table.RefreshFamily.Burst {
		t.Errorf("%d refreshes, then none", let)
	}
}

// TestCodesAreLimitedByWhoAsks: the address that the trusted proxy wrote and the device are those of the request, and
// the day's budget is the environment's.
func TestCodesAreLimitedByWhoAsks(t *testing.T) {
	t.Parallel()
	h, table := gatedHouse(t, still(), "SMS_DAILY_BUDGET=17"), limit.DefaultLogin()
	number := func(i int) int { return 9_000_000_000 + i*123_457 } // no neighbours
	for i := range table.Address.Burst {
		want(t, "code "+strconv.Itoa(i), h.send("203.0.113.1", fmt.Sprint("phone ", i), number(i)), http.StatusOK, "")
	}
	want(t, "one too many of an address", h.send("203.0.113.1", "yet another", number(20)), http.StatusTooManyRequests, "AUTH_RATE_LIMIT_EXCEEDED")
	want(t, "what the client wrote is believed", h.send("203.0.113.77, 203.0.113.1", "yet another", number(20)), http.StatusTooManyRequests, "")
	for i := range table.Phones.Burst { // 13 codes by now
		want(t, "a phone of one device", h.send(fmt.Sprintf("203.0.114.%d", i), "one device", number(30+i)), http.StatusOK, "")
	}
	want(t, "one phone too many of a device", h.send("203.0.114.9", "one device", number(39)), http.StatusTooManyRequests, "AUTH_RATE_LIMIT_EXCEEDED")
	for i := range 4 {
		want(t, "a code within the budget", h.send(fmt.Sprintf("203.0.115.%d", i), fmt.Sprint("late ", i), number(40+i)), http.StatusOK, "")
	}
	want(t, "a code beyond the budget", h.send("203.0.116.1", "last", number(50)), http.StatusTooManyRequests, "AUTH_RATE_LIMIT_EXCEEDED")
	for name, n := range map[string]float64{"login-address": 2, "login-device-phones": 1, "sms-budget": 1, "sms-budget-alarm": 1} {
		if got := h.refusedBy(t, name); got != n {
			t.Errorf("%s is counted %v times, want %v", name, got, n)
		}
	}
}

// TestLoginLimitsAreScaledAndOthersNot: LOGIN_TIME_SCALE is of logins alone.
func TestLoginLimitsAreScaledAndOthersNot(t *testing.T) {
	t.Parallel()
	h := gatedHouse(t, still(), "LOGIN_TIME_SCALE=60")
	for i := range 10 {
		want(t, "a code", h.send("203.0.113.1", fmt.Sprint("phone ", i), 9_000_000_000+i*123_457), http.StatusOK, "")
	}
	w := h.send("203.0.113.1", "another", 9_100_000_001)
	want(t, "one too many", w, http.StatusTooManyRequests, "AUTH_RATE_LIMIT_EXCEEDED")
	if wait := w.Header().Get("Retry-After"); wait != "1" { // of 10 in 10 minutes, each minute one comes back
		t.Errorf("a minute is %s s", wait)
	}
	admit := h.admitting()
	who := token.Identity{UserID: "u", Role: fleet.Customer}
	for range limit.DefaultRequests().Socket.Burst {
		if admit(t.Context(), who) != 0 {
			t.Fatal("refused too early")
		}
	}
	if wait := admit(t.Context(), who); wait != limit.DefaultRequests().Socket.Interval() {
		t.Errorf("the eleventh socket waits %v", wait)
	}
}

// TestSocketsOfAUser: ten a minute, whatever the kind; viewers of a link are bounded by it, and a store that is away keeps
// nobody out.
func TestSocketsOfAUser(t *testing.T) {
	t.Parallel()
	h := gatedHouse(t, still())
	native, apps := h.admitting(), h.admitting()
	driver := token.Identity{UserID: "u1", Role: fleet.Driver}
	for range limit.DefaultRequests().Socket.Burst / 2 {
		if native(t.Context(), driver)+apps(t.Context(), driver) != 0 {
			t.Fatal("refused too early")
		}
	}
	if native(t.Context(), driver) == 0 || apps(t.Context(), driver) == 0 {
		t.Error("an eleventh socket is opened")
	}
	if n := h.refusedBy(t, "socket-user"); n != 2 {
		t.Errorf("%v refusals are counted", n)
	}
	if native(t.Context(), token.Identity{UserID: "u2", Role: fleet.Driver}) != 0 {
		t.Error("another user is refused")
	}
	for range 50 {
		if native(t.Context(), token.Identity{UserID: "u1", Role: token.Viewer}) != 0 {
			t.Fatal("a viewer is refused")
		}
	}
	if gatedHouse(t, away{still()}).admitting()(t.Context(), driver) != 0 {
		t.Error("a store that is away keeps a user out")
	}
}

// TestSocketsOfAnAddress: sixty a minute from an address or /64, of both kinds together; only devices that have logged in
// lately may go on.
func TestSocketsOfAnAddress(t *testing.T) {
	t.Parallel()
	counts := still()
	h := gatedHouse(t, counts)
	if _, err := counts.Add(t.Context(), "device:known", time.Hour, 1, 0); err != nil {
		t.Fatal(err)
	}
	// What is mounted asks for an upgrade; without one it is refused after the limit, with another status.
	knock := func(path, from, device string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("X-Forwarded-For", from)
		r.Header.Set("X-Device-Id", device)
		w := httptest.NewRecorder()
		h.p.handler.ServeHTTP(w, r)
		return w
	}
	const apps = "/socket.io/?EIO=4&transport=websocket"
	for i := range limit.DefaultLogin().Connect.Burst {
		path := [2]string{"/ws/v1", apps}[i%2]
		for _, from := range []string{"203.0.113.1", fmt.Sprintf("2001:db8:1:1::%x", i+1)} {
			if w := knock(path, from, "unknown"); w.Code == http.StatusTooManyRequests {
				t.Fatalf("%s from %s is refused at %d", path, from, i)
			}
		}
	}
	for _, path := range []string{"/ws/v1", apps} {
		for _, from := range []string{"203.0.113.1", "2001:db8:1:1:ffff::1"} {
			want(t, path, knock(path, from, "unknown"), http.StatusTooManyRequests, `"RATE_LIMIT_EXCEEDED"`)
			want(t, path, knock(path, from, ""), http.StatusTooManyRequests, `"success":false`)
			if w := knock(path, from, "known"); w.Code == http.StatusTooManyRequests {
				t.Errorf("%s: a known device is refused", path)
			}
		}
		for _, from := range []string{"203.0.113.2", "2001:db8:1:2::1", "127.0.0.1"} {
			if w := knock(path, from, "unknown"); w.Code == http.StatusTooManyRequests {
				t.Errorf("%s from %s is refused", path, from)
			}
		}
	}
	if n := h.refusedBy(t, "socket-address"); n != 8 {
		t.Errorf("%v refusals are counted", n)
	}
}

// TestStrangersAndTheLobby: both go by the address that the trusted proxy wrote, and count what they refuse.
func TestStrangersAndTheLobby(t *testing.T) {
	t.Parallel()
	counts := still()
	h := gatedHouse(t, counts)
	if _, err := counts.Add(t.Context(), "device:known", time.Hour, 1, 0); err != nil {
		t.Fatal(err)
	}
	var asked *http.Request // with the facts that the API reads
	h.api.Mount("GET /probe", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r }))
	from := func(chain, device string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/probe", nil)
		r.Header.Set("X-Forwarded-For", chain)
		r.Header.Set("X-Device-Id", device)
		h.p.handler.ServeHTTP(httptest.NewRecorder(), r)
		return asked
	}
	strangers, lobby := h.strangers(), h.lobby()
	for range limit.DefaultRequests().Stranger.Burst {
		if strangers(from("203.0.113.1", "").Context()) != 0 {
			t.Fatal("refused too early")
		}
	}
	for device, refused := range map[string]bool{"": true, "unknown": true, "known": false} {
		if wait := strangers(from("203.0.113.7, 203.0.113.1", device).Context()); (wait > 0) != refused {
			t.Errorf("device %q waits %v", device, wait)
		}
	}
	if n := h.refusedBy(t, "requests-stranger"); n != 2 {
		t.Errorf("%v refusals of strangers are counted", n)
	}
	for range door.PerAddress {
		if _, ok := lobby.Enter(from("203.0.113.1", "")); !ok {
			t.Fatal("refused too early")
		}
	}
	if _, ok := lobby.Enter(from("203.0.113.7, 203.0.113.1", "")); ok {
		t.Error("one too many waits in the lobby")
	}
	if _, ok := lobby.Enter(from("203.0.113.1, 203.0.113.7", "")); !ok {
		t.Error("another address is refused")
	}
	if n := h.refusedBy(t, door.LobbyName); n != 1 {
		t.Errorf("%v refusals of the lobby are counted", n)
	}
}

// TestLimitsOff: nobody counts anything.
func TestLimitsOff(t *testing.T) {
	t.Parallel()
	h := gatedHouse(t, away{still()}, "LIMITS=off")
	logins, sessions := h.gated()
	if _, plain := sessions.(*session.Keeper); !plain {
		t.Errorf("refreshes are limited by %T", sessions)
	}
	if logins == nil || h.requestLimits() != nil || h.lobby() != nil || h.admitting() != nil || h.strangers() != nil {
		t.Error("something is limited")
	}
	next := http.NewServeMux()
	if h.connecting(next) != http.Handler(next) {
		t.Error("sockets are limited by address")
	}
	pair := h.opened(t, 1)
	for range 3 * limit.DefaultLogin().RefreshFamily.Burst {
		want(t, "a refresh", h.refresh("203.0.113.1", pair.Refresh), http.StatusOK, "")
	}
	for i := range 2 * limit.DefaultLogin().Address.Burst {
		want(t, "a code", h.send("203.0.113.1", "phone", 9_000_000_000+i*123_457), http.StatusOK, "")
	}
}
