package push_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"weelo/internal/push"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// key is the service account's, made once.
var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func pemKey(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// google is FCM and the token service in one, as their documentation has them.
type google struct {
	t      *testing.T
	server *httptest.Server

	mu     sync.Mutex
	grants int
	got    []string // bodies of messages
	answer func(w http.ResponseWriter)
	oauth  func(w http.ResponseWriter)
}

func newGoogle(t *testing.T) *google {
	t.Helper()
	g := &google{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", g.grant)
	mux.HandleFunc("POST /v1/projects/weelo-test/messages:send", g.send)
	g.server = httptest.NewServer(mux)
	t.Cleanup(g.server.Close)
	return g
}

func (g *google) grant(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.grants++
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(r.FormValue("assertion"), claims, func(*jwt.Token) (any, error) { return &key().PublicKey, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(g.server.URL+"/token"), jwt.WithIssuer("sender@weelo-test.example"),
		jwt.WithTimeFunc(func() time.Time { return noon.Add(30 * time.Minute) }), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil || parsed.Header["kid"] != "key-1" || claims["scope"] != "https://www.googleapis.com/auth/firebase.messaging" ||
		r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		g.t.Errorf("assertion %v %v: %v", parsed, claims, err)
	}
	if g.oauth != nil {
		g.oauth(w)
		return
	}
	fmt.Fprintf(w, `{"access_token":"access-%d","expires_in":3599,"token_type":"Bearer"}`, g.grants)
}

func (g *google) send(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if want := fmt.Sprintf("Bearer access-%d", g.grants); r.Header.Get("Authorization") != want || r.Header.Get("Content-Type") != "application/json" {
		g.t.Errorf("headers %v, want %s", r.Header, want)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		g.t.Error(err)
	}
	g.got = append(g.got, string(body))
	if g.answer != nil {
		g.answer(w)
		return
	}
	fmt.Fprint(w, `{"name":"projects/weelo-test/messages/1"}`)
}

func (g *google) fcm(now func() time.Time) *push.FCM {
	g.t.Helper()
	file, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "weelo-test", "private_key_id": "key-1", "private_key": pemKey(g.t),
		"client_email": "sender@weelo-test.example", "token_uri": g.server.URL + "/token",
	})
	if err != nil {
		g.t.Fatal(err)
	}
	account, err := push.ReadAccount(file)
	if err != nil {
		g.t.Fatal(err)
	}
	f, err := push.NewFCM(push.FCMConfig{Account: account, BaseURL: g.server.URL, Now: now}, g.server.Client())
	if err != nil {
		g.t.Fatal(err)
	}
	return f
}

var offer = push.Message{
	Token: "phone-token-1", Title: "New order", Body: "Bengaluru to Chennai", Data: map[string]string{"type": "new_broadcast", "orderId": "o1"},
	Channel: "broadcasts_v2", HighPriority: true, Tag: "order:o1", TTL: 90*time.Second + 700*time.Millisecond,
}

// TestFCM: the request's shape, and one access token for as long as it lives.
func TestFCM(t *testing.T) {
	t.Parallel()
	g := newGoogle(t)
	now := noon
	f := g.fcm(func() time.Time { return now })
	quiet := offer
	quiet.HighPriority, quiet.Tag, quiet.TTL = false, "", -time.Second
	for _, m := range []push.Message{offer, quiet} {
		if err := f.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	const rest = `"data":{"orderId":"o1","type":"new_broadcast"},"android":{"priority":"%s","ttl":"%s","notification":{"channel_id":"broadcasts_v2",` +
		`"sound":"default","click_action":"FLUTTER_NOTIFICATION_CLICK"%s}}}}`
	head := `{"message":{"token":"phone-token-1","notification":{"title":"New order","body":"Bengaluru to Chennai"},`
	want := []string{head + fmt.Sprintf(rest, "HIGH", "90s", `,"tag":"order:o1"`), head + fmt.Sprintf(rest, "NORMAL", "0s", "")}
	if diff := cmp.Diff(want, g.got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	now = noon.Add(58*time.Minute + 58*time.Second) // a minute before its end it is used for the last time
	if err := f.Send(t.Context(), offer); err != nil || g.grants != 1 {
		t.Errorf("%v, %d grants", err, g.grants)
	}
}

// TestFCMAnswers: what each answer means for the message, the phone and the access token.
func TestFCMAnswers(t *testing.T) {
	t.Parallel()
	detail := func(status, code string) string {
		return `{"error":{"code":1,"message":"about phone-token-1","status":"` + status + `","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"` + code + `"}]}}`
	}
	for _, c := range []struct {
		status int
		body   string
		want   error
		grants int // after another try
	}{
		{404, detail("NOT_FOUND", "UNREGISTERED"), push.ErrGone, 1},
		{403, detail("PERMISSION_DENIED", "SENDER_ID_MISMATCH"), push.ErrGone, 1},
		{400, `{"error":{"status":"INVALID_ARGUMENT","details":[{"fieldViolations":[{"field":"message.token"}]}]}}`, push.ErrGone, 1},
		{400, detail("INVALID_ARGUMENT", "INVALID_ARGUMENT"), push.ErrRefused, 1},
		{404, `no such project`, push.ErrRefused, 1},
		{302, ``, push.ErrRefused, 1},
		{429, detail("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), push.ErrTemporary, 1},
		{500, `<html>`, push.ErrTemporary, 1},
		{503, detail("UNAVAILABLE", "UNAVAILABLE"), push.ErrTemporary, 1},
		{403, `{"error":{"status":"PERMISSION_DENIED"}}`, push.ErrTemporary, 1},
		{401, `{"error":{"status":"UNAUTHENTICATED"}}`, push.ErrTemporary, 2},
	} {
		g := newGoogle(t)
		g.answer = func(w http.ResponseWriter) { w.WriteHeader(c.status); fmt.Fprint(w, c.body) }
		f := g.fcm(func() time.Time { return noon })
		for range 2 {
			err := f.Send(t.Context(), offer)
			if !errors.Is(err, c.want) || strings.Contains(err.Error(), "phone-token") || strings.Contains(err.Error(), "access-") {
				t.Errorf("%d %s: %v", c.status, c.body, err)
			}
		}
		if g.grants != c.grants {
			t.Errorf("%d: %d access tokens", c.status, g.grants)
		}
	}
}

// TestFCMWithoutAccess: no access token is no refusal of the message, and the next try asks again.
func TestFCMWithoutAccess(t *testing.T) {
	t.Parallel()
	g := newGoogle(t)
	g.oauth = func(w http.ResponseWriter) { w.WriteHeader(400); fmt.Fprint(w, `{"error":"invalid_grant"}`) }
	f := g.fcm(func() time.Time { return noon })
	if err := f.Send(t.Context(), offer); !errors.Is(err, push.ErrTemporary) || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("%v", err)
	}
	g.oauth = nil
	if err := f.Send(t.Context(), offer); err != nil {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Send(gone, offer); !errors.Is(err, push.ErrTemporary) {
		t.Errorf("%v", err)
	}
	g.server.Close()
	if err := f.Send(t.Context(), offer); !errors.Is(err, push.ErrTemporary) || strings.Contains(err.Error(), g.server.URL) {
		t.Errorf("%v", err)
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	whole := pemKey(t)
	if a, err := push.NewAccount("p", "e@p.example", strings.ReplaceAll(whole, "\n", `\n`)); err != nil || strings.Contains(fmt.Sprintf("%v %+v %#v", a, a, a), "PRIVATE") {
		t.Errorf("from variables: %v", err)
	}
	for name, f := range map[string]func() (push.Account, error){
		"no key":     func() (push.Account, error) { return push.NewAccount("p", "e", "") },
		"no project": func() (push.Account, error) { return push.NewAccount("", "e", whole) },
		"a path":     func() (push.Account, error) { return push.NewAccount("p/../q", "e", whole) },
		"a cut key": func() (push.Account, error) {
			return push.NewAccount("p", "e", whole[:200]+"\n-----END PRIVATE KEY-----\n")
		},
		"no JSON": func() (push.Account, error) { return push.ReadAccount([]byte(whole)) },
		"a user":  func() (push.Account, error) { return push.ReadAccount([]byte(`{"type":"authorized_user"}`)) },
	} {
		if _, err := f(); err == nil || strings.Contains(err.Error(), whole[40:60]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := push.NewFCM(push.FCMConfig{BaseURL: push.FCMURL, Now: time.Now}, http.DefaultClient); err == nil {
		t.Error("an FCM without account")
	}
}
