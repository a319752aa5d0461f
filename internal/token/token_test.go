package token_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weelo/internal/fleet"
	"weelo/internal/token"
)

var (
	accessKey  = token.KeyOf([]byte("access-secret-for-tests-0123456789abcdef"))
	oldKey     = token.KeyOf([]byte("older-access-secret-for-tests-0123456789"))
	refreshKey = token.KeyOf([]byte("refresh-secret-for-tests-0123456789abcde"))
	noon       = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
)

func mint(t testing.TB) *token.Mint {
	t.Helper()
	m, err := token.New(token.Config{Access: []token.Key{accessKey, oldKey}, Refresh: []token.Key{refreshKey}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func driver() token.Identity {
	return token.Identity{
		UserID: "6f1c1c9e-8f52-4b53-9d3c-0d6b2a1f7c11", Role: fleet.Driver, SessionID: "0b0c9c52-93ad-4c0b-8f4d-b6cf5a2f3c90",
		TransporterID: "1d8f5f2e-1111-4222-8333-444455556666", Phone: "+919123456789",
	}
}

func TestAccessRoundTrip(t *testing.T) {
	t.Parallel()
	m := mint(t)
	s, minted, err := m.Access(driver(), noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Verify(s, noon.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(minted, got); diff != "" {
		t.Fatal(diff)
	}
	if got.ExpiresAt != noon.Add(time.Hour) || got.TokenID == "" {
		t.Fatalf("expires %v, jti %q", got.ExpiresAt, got.TokenID)
	}
	var claims map[string]any
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(s, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &claims); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"userId", "role", "phone", "transporterId", "sub", "sid", "jti", "iat", "exp", "iss", "aud"} {
		if claims[name] == nil {
			t.Errorf("claim %s is missing: %v", name, claims)
		}
	}
	if claims["phone"] != "9123456789" {
		t.Errorf("phone = %v, the apps' servers had ten digits", claims["phone"])
	}
}

// Another implementation accepts what we mint, with every check it has switched on.
func TestGolangJWTAcceptsOurs(t *testing.T) {
	t.Parallel()
	s, _, err := mint(t).Access(driver(), noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer("weelo"), jwt.WithAudience("weelo-api"),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding(), jwt.WithTimeFunc(func() time.Time { return noon }))
	tok, err := p.Parse(s, func(*jwt.Token) (any, error) { return accessKey.Secret, nil })
	if err != nil || tok.Header["kid"] != accessKey.ID {
		t.Fatalf("%v, kid %v", err, tok.Header["kid"])
	}
}

func TestExpiryAtTheBoundary(t *testing.T) {
	t.Parallel()
	m := mint(t)
	s, id, err := m.Access(driver(), noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		want  error
	}{{0, nil}, {10*time.Second - 1, nil}, {10 * time.Second, token.ErrExpired}, {11 * time.Second, token.ErrExpired}} {
		if _, err := m.Verify(s, id.ExpiresAt.Add(c.after)); !errors.Is(err, c.want) {
			t.Errorf("%v after exp: %v, want %v", c.after, err, c.want)
		}
	}
	month := 30 * 24 * time.Hour
	if got, err := m.VerifyStale(s, id.ExpiresAt.Add(month), month); err != nil || got.SessionID != id.SessionID {
		t.Errorf("a genuine token within its 30 days: %v", err)
	}
	if _, err := m.VerifyStale(s, id.ExpiresAt.Add(month+10*time.Second), month); !errors.Is(err, token.ErrExpired) {
		t.Errorf("older than 30 days: %v", err)
	}
}

// sign makes a token with any header and claims under a key, as an attacker who has it would.
func sign(t *testing.T, method jwt.SigningMethod, key any, head, claims map[string]any) string {
	t.Helper()
	tok := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	for k, v := range head {
		if v == nil {
			delete(tok.Header, k)
		} else {
			tok.Header[k] = v
		}
	}
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func claims(change map[string]any) map[string]any {
	c := map[string]any{
		"userId": "u", "role": "driver", "sub": "u", "sid": "s", "jti": "j", "typ": "access", "iss": "weelo", "aud": "weelo-api",
		"iat": noon.Unix(), "exp": noon.Add(time.Hour).Unix(),
	}
	for k, v := range change {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	m := mint(t)
	head := map[string]any{"kid": accessKey.ID, "typ": "at+jwt"}
	with := func(k string, v any) map[string]any {
		h := map[string]any{"kid": accessKey.ID, "typ": "at+jwt"}
		h[k] = v
		return h
	}
	good := sign(t, jwt.SigningMethodHS256, accessKey.Secret, head, claims(nil))
	if _, err := m.Verify(good, noon); err != nil {
		t.Fatalf("control: %v", err)
	}
	plain := forgedBody(t, `{"userId":"u","role":"driver","sub":"u","sid":"s","jti":"j","typ":"access","iss":"weelo","aud":"weelo-api","iat":1,"exp":4000000000,"more":{"sub":1}}`)
	if _, err := m.Verify(plain, noon); err != nil {
		t.Fatalf("control, written by hand: %v", err)
	}
	old := sign(t, jwt.SigningMethodHS256, oldKey.Secret, with("kid", oldKey.ID), claims(nil))
	if _, err := m.Verify(old, noon); err != nil {
		t.Fatalf("control, older key: %v", err)
	}
	refresh, err := m.Refresh(token.Refresh{UserID: "u", SessionID: "s", Gen: 1, Born: noon, Ends: noon.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	last := good[len(good)-1]
	flip := map[byte]byte{'A': 'B', 'Q': 'R', 'g': 'h', 'w': 'x'}[last&0x7f]
	if flip == 0 {
		flip = 'B'
	}
	hs := func(h, c map[string]any) string { return sign(t, jwt.SigningMethodHS256, accessKey.Secret, h, c) }
	cases := map[string]string{
		"empty":              "",
		"dots":               strings.Repeat(".", 100_000),
		"two dots":           "..",
		"alg none":           sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, head, claims(nil)),
		"alg HS512":          sign(t, jwt.SigningMethodHS512, accessKey.Secret, head, claims(nil)),
		"header says RS256":  hs(with("alg", "RS256"), claims(nil)),
		"header says ES256":  hs(with("alg", "ES256"), claims(nil)),
		"another kid":        hs(with("kid", oldKey.ID), claims(nil)),
		"unknown kid":        hs(with("kid", "nobody"), claims(nil)),
		"no kid":             hs(with("kid", nil), claims(nil)),
		"crit":               hs(with("crit", []string{"x"}), claims(nil)),
		"jku":                hs(with("jku", "https://evil.example"), claims(nil)),
		"jwk":                hs(with("jwk", map[string]any{"kty": "oct", "k": "AA"}), claims(nil)),
		"x5u":                hs(with("x5u", "https://evil.example"), claims(nil)),
		"x5c":                hs(with("x5c", []string{"AA"}), claims(nil)),
		"b64":                hs(with("b64", false), claims(nil)),
		"cty":                hs(with("cty", "JWT"), claims(nil)),
		"typ missing":        hs(with("typ", nil), claims(nil)),
		"empty key":          sign(t, jwt.SigningMethodHS256, []byte{}, head, claims(nil)),
		"empty key and kid":  sign(t, jwt.SigningMethodHS256, []byte{}, with("kid", ""), claims(nil)),
		"the refresh secret": sign(t, jwt.SigningMethodHS256, refreshKey.Secret, head, claims(nil)),
		"refresh kid":        sign(t, jwt.SigningMethodHS256, refreshKey.Secret, with("kid", refreshKey.ID), claims(nil)),
		"nbf ahead":          hs(head, claims(map[string]any{"nbf": noon.Add(11 * time.Second).Unix()})),
		"exp null":           forgedBody(t, `{"userId":"u","role":"driver","sub":"u","sid":"s","jti":"j","typ":"access","iss":"weelo","aud":"weelo-api","iat":1,"exp":null}`),
		"claim twice":        forgedBody(t, `{"userId":"u","role":"driver","sub":"u","sid":"s","jti":"j","typ":"access","iss":"weelo","aud":"weelo-api","iat":1,"exp":1,"exp":4000000000}`),
		"claim in capitals":  forgedBody(t, `{"userId":"u","role":"driver","sub":"u","sid":"s","jti":"j","typ":"access","iss":"weelo","aud":"weelo-api","iat":1,"EXP":4000000000}`),
		"claim in two cases": forgedBody(t, `{"userId":"u","role":"driver","sub":"u","ſub":"v","sid":"s","jti":"j","typ":"access","iss":"weelo","aud":"weelo-api","iat":1,"exp":4000000000}`),
		"claims and more":    forgedBody(t, `{"userId":"u","role":"driver","sub":"u","sid":"s","jti":"j","typ":"access","iss":"weelo","aud":"weelo-api","iat":1,"exp":4000000000}{}`),
		"exp fraction":       hs(head, claims(map[string]any{"exp": 1e10 + 0.5})),
		"aud is a list":      hs(head, claims(map[string]any{"aud": []string{"weelo-api", "share"}})),
		"refresh aud":        hs(head, claims(map[string]any{"aud": "weelo-refresh"})),
		"no aud":             hs(head, claims(map[string]any{"aud": nil})),
		"no iss":             hs(head, claims(map[string]any{"iss": nil})),
		"one dot":            strings.Replace(good, ".", "", 1),
		"three dots":         good + ".",
		"upper case ALG":     hs(with("ALG", "none"), claims(nil)),
		"typ JWT":            hs(with("typ", "JWT"), claims(nil)),
		"refresh as access":  refresh,
		"typ claim":          hs(head, claims(map[string]any{"typ": "refresh"})),
		"no exp":             hs(head, claims(map[string]any{"exp": nil})),
		"exp 0":              hs(head, claims(map[string]any{"exp": 0})),
		"exp text":           hs(head, claims(map[string]any{"exp": "never"})),
		"no iat":             hs(head, claims(map[string]any{"iat": nil})),
		"future iat":         hs(head, claims(map[string]any{"iat": noon.Add(11 * time.Second).Unix()})),
		"expired":            hs(head, claims(map[string]any{"iat": noon.Add(-time.Hour).Unix(), "exp": noon.Add(-11 * time.Second).Unix()})),
		"other aud":          hs(head, claims(map[string]any{"aud": "share"})),
		"other iss":          hs(head, claims(map[string]any{"iss": "evil"})),
		"no sid":             hs(head, claims(map[string]any{"sid": nil})),
		"no jti":             hs(head, claims(map[string]any{"jti": nil})),
		"sub is not userId":  hs(head, claims(map[string]any{"sub": "v"})),
		"unknown role":       hs(head, claims(map[string]any{"role": "admin"})),
		"bad phone":          hs(head, claims(map[string]any{"phone": "12"})),
		"last char altered":  good[:len(good)-1] + string(flip),
		"padding":            good + "=",
		"line break":         good + "\n",
		"payload swapped":    strings.Join([]string{strings.Split(good, ".")[0], strings.Split(old, ".")[1] + "A", strings.Split(good, ".")[2]}, "."),
		"signature cut":      good[:len(good)-5],
		"signature missing":  good[:strings.LastIndexByte(good, '.')+1],
		"too long":           good + strings.Repeat("A", 2048),
		"duplicate kid":      forged(t, `{"alg":"HS256","typ":"at+jwt","kid":"x","kid":"`+accessKey.ID+`"}`),
		"trailing header":    forged(t, `{"alg":"HS256","typ":"at+jwt","kid":"`+accessKey.ID+`"}{}`),
		"header not object":  forged(t, `["HS256"]`),
		"kid is a number":    forged(t, `{"alg":"HS256","typ":"at+jwt","kid":7}`),
		"kid is null":        forged(t, `{"alg":"HS256","typ":"at+jwt","kid":null}`),
		"header is not JSON": forged(t, `HS256`),
	}
	for name, s := range cases {
		if id, err := m.Verify(s, noon); err == nil {
			t.Errorf("%s: accepted as %+v", name, id)
		} else if name != "expired" && !errors.Is(err, token.ErrUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
		if id, err := m.VerifyStale(s, noon, 30*24*time.Hour); err == nil && name != "expired" {
			t.Errorf("%s: accepted stale as %+v", name, id)
		}
	}
}

// forgedBody signs raw claims with the real key.
func forgedBody(t *testing.T, body string) string {
	t.Helper()
	e := base64.RawURLEncoding
	signed := e.EncodeToString([]byte(`{"alg":"HS256","typ":"at+jwt","kid":"`+accessKey.ID+`"}`)) + "." + e.EncodeToString([]byte(body))
	sig, err := jwt.SigningMethodHS256.Sign(signed, accessKey.Secret)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + e.EncodeToString(sig)
}

// A token of nothing but dots, as long as a request may be, is refused without looking at it: nothing is
// allocated for it but the refusal.
func TestHostileLengthCostsNothing(t *testing.T) {
	m := mint(t)
	dots := strings.Repeat(".", 100_000)
	if n := testing.AllocsPerRun(100, func() { _, _ = m.Verify(dots, noon) }); n > 4 {
		t.Errorf("%v allocations", n)
	}
}

// forged signs a raw header with the real key, which only a bug of our own could.
func forged(t *testing.T, head string) string {
	t.Helper()
	body, err := json.Marshal(claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	e := base64.RawURLEncoding
	signed := e.EncodeToString([]byte(head)) + "." + e.EncodeToString(body)
	sig, err := jwt.SigningMethodHS256.Sign(signed, accessKey.Secret)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + e.EncodeToString(sig)
}

func TestRefreshIsAFunctionOfFamilyAndGeneration(t *testing.T) {
	t.Parallel()
	m := mint(t)
	rapid.Check(t, func(t *rapid.T) {
		r := token.Refresh{
			UserID: fleet.UserID(rapid.StringMatching(`[a-f0-9]{8}`).Draw(t, "user")), SessionID: rapid.StringMatching(`[a-f0-9]{8}`).Draw(t, "sid"),
			Gen: rapid.Int64Range(1, 1<<40).Draw(t, "gen"), Born: noon, Ends: noon.Add(90 * 24 * time.Hour),
		}
		a, err := m.Refresh(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Refresh(r)
		if err != nil || a != b {
			t.Fatalf("not deterministic: %v", err)
		}
		got, err := m.VerifyRefresh(a, noon.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Fatal(diff)
		}
		r.Gen++
		if next, err := m.Refresh(r); err != nil || next == a {
			t.Fatalf("the next generation is another token: %v", err)
		}
		if _, err := m.VerifyRefresh(a, r.Ends.Add(10*time.Second)); !errors.Is(err, token.ErrRefresh) {
			t.Fatalf("after the absolute end: %v", err)
		}
		if _, err := m.Verify(a, noon); !errors.Is(err, token.ErrUnauthenticated) {
			t.Fatalf("a refresh token as access token: %v", err)
		}
	})
	access, _, err := m.Access(driver(), noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.VerifyRefresh(access, noon); !errors.Is(err, token.ErrRefresh) {
		t.Fatalf("an access token as refresh token: %v", err)
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := token.New(token.Config{Access: []token.Key{{ID: "a", Secret: []byte("short")}}, TTL: -1})
	for _, part := range []string{"5 bytes", "refresh key: no secret", "negative"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not named: %v", part, err)
		}
	}
	_, err = token.New(token.Config{Access: []token.Key{accessKey}, Refresh: []token.Key{accessKey}})
	if err == nil || !strings.Contains(err.Error(), "must differ") {
		t.Errorf("one secret for both: %v", err)
	}
	if strings.Contains(accessKey.String()+accessKey.GoString(), "secret-for-tests") {
		t.Error("a key prints its secret")
	}
}

func TestMintRefusesIncomplete(t *testing.T) {
	t.Parallel()
	m := mint(t)
	for _, id := range []token.Identity{{}, {UserID: "u", SessionID: "s", Role: "admin"}, {UserID: "u", Role: fleet.Driver}} {
		if _, _, err := m.Access(id, noon, rand.Reader); err == nil {
			t.Errorf("minted for %+v", id)
		}
	}
	if _, _, err := m.Access(driver(), noon, strings.NewReader("short")); err == nil {
		t.Error("minted without randomness")
	}
	if _, err := m.Refresh(token.Refresh{UserID: "u", SessionID: "s", Gen: 0, Born: noon, Ends: noon.Add(1)}); err == nil {
		t.Error("generation 0")
	}
}

func FuzzVerify(f *testing.F) {
	m := mint(f)
	s, _, err := m.Access(driver(), noon, strings.NewReader("sixteen bytes ok"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s)
	f.Add("e30.e30.e30")
	f.Add(s[:len(s)-1] + "A")
	f.Fuzz(func(t *testing.T, in string) {
		if id, err := m.Verify(in, noon); err == nil && in != s {
			t.Fatalf("accepted a token we did not mint: %q as %+v", in, id)
		}
		if _, err := m.VerifyRefresh(in, noon); err == nil {
			t.Fatalf("accepted %q as a refresh token", in)
		}
	})
}
