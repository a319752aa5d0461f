package security

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weelo/internal/token"
)

// TestTokens: access tokens, refresh tokens, and their end.
func TestTokens(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{
		{"P15_ForgedTokens", forgedTokens},
		{"P16_TokensOfAnotherTimeOrPlace", tokensOfAnotherTimeOrPlace},
		{"P17_AHundredThousandDots", aHundredThousandDots},
		{"P18_AParentLivesUntilItsChildIsShown", aParentLivesUntilItsChildIsShown},
		{"P19_OneChildForAllAtOnce", oneChildForAllAtOnce},
		{"P20_LogoutEndsEverything", logoutEndsEverything},
		{"P21_LogoutAllEndsTheOtherDevice", logoutAllEndsTheOtherDevice},
	})
}

func aHundredThousandDots(t *testing.T, h *house) {
	c := h.stranger(t)
	for _, dots := range []int{2_000, 12_000, 100_000} {
		var bare, hostile []time.Duration
		for range 15 {
			begun := time.Now()
			c.me().refused(401)
			bare = append(bare, time.Since(begun))
			begun = time.Now()
			if a := c.with(strings.Repeat(".", dots)).me(); a.status != 401 && a.status != 431 {
				t.Fatalf("%d dots: %d", dots, a.status)
			}
			hostile = append(hostile, time.Since(begun))
		}
		// The quickest of each: what the others waited for was the machine, which does more than this.
		if least, most := slices.Min(bare), slices.Min(hostile); most > least+50*time.Millisecond {
			t.Errorf("%d dots take %v, a bare request %v", dots, most, least)
		}
	}
	// What stays behind: half a GiB would, if each dot of these were kept as a string of its own, and 33 MB
	// if only the headers were.
	// They come from three addresses: one may not ask so often without a good token.
	const each, dots, mayGrow = 900, 12_000, 16 << 20
	c.with(strings.Repeat(".", dots)).me().refused(401)
	before := h.heap(t)
	for range 3 {
		from := h.stranger(t).ip
		h.repeat(t, each, []byte("GET /api/v1/auth/me HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: "+from+"\r\nAuthorization: Bearer "+strings.Repeat(".", dots)+"\r\n\r\n"), http.StatusUnauthorized)
	}
	if after := h.heap(t); after > before+mayGrow {
		t.Errorf("the heap has grown by %d KiB over %d tokens of %d dots", (after-before)>>10, 3*each, dots)
	}
}

func aParentLivesUntilItsChildIsShown(t *testing.T, h *house) {
	who := h.customer(t)
	s := who.connect()
	var child string
	for range 10 {
		next := who.renew(who.refresh).ok().text("refreshToken")
		if child != "" && next != child {
			t.Error("one parent has two children")
		}
		child = next
	}
	grandchild := who.renew(child).ok().text("refreshToken")
	s.alive()
	who.me().ok()
	who.renew(who.refresh).refused(401, "INVALID_REFRESH_TOKEN")
	for _, refresh := range []string{who.refresh, child, grandchild} {
		who.renew(refresh).refused(401)
	}
	s.closed(4401, 2*time.Second)
	who.me().refused(401)
}

func oneChildForAllAtOnce(t *testing.T, h *house) {
	who := h.customer(t)
	answers := make(chan answer, 50)
	var all sync.WaitGroup
	for range cap(answers) {
		all.Go(func() { answers <- who.renew(who.refresh) })
	}
	all.Wait()
	close(answers)
	children := map[string]int{}
	for a := range answers {
		switch a.status {
		case 200:
			children[a.text("refreshToken")]++
		case 429: // the rate of one family
		default:
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if len(children) != 1 {
		t.Errorf("%d children", len(children))
	}
	// One step of the family, and no more: the child is of the generation after its parent's.
	parent := forge(t, who.refresh, nil).claims["gen"].(float64)
	for child, times := range children {
		if gen := forge(t, child, nil).claims["gen"]; gen != parent+1 {
			t.Errorf("%d answers carry generation %v of a parent of generation %v", times, gen, parent)
		}
	}
}

func logoutEndsEverything(t *testing.T, h *house) {
	who := h.customer(t)
	s, app := who.connect(), who.on("app").app()
	s.alive()
	who.post("auth/logout", nil).ok()
	s.closed(4401, 2*time.Second)
	app.closed(4401, 2*time.Second)
	who.renew(who.refresh).refused(401)
	eventually(t, 2*time.Second, "the access token is refused", func() bool { return who.me().status == 401 })
}

func logoutAllEndsTheOtherDevice(t *testing.T, h *house) {
	phone := newPhone()
	one := h.login(t, phone, "customer")
	s, app := one.connect(), one.on("app").app()
	var other *user
	pass(t, 30*time.Second) // the cool-down
	other = h.login(t, phone, "customer")
	other.post("auth/logout-all", nil).ok()
	s.closed(4401, 2*time.Second)
	app.closed(4401, 2*time.Second)
	one.renew(one.refresh).refused(401)
	other.renew(other.refresh).refused(401)
}

// TestHurriedTokens asks for the life of tokens on a server where five minutes take five seconds.
func TestHurriedTokens(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{{"ASocketLivesOnByItsNextToken", aSocketLivesOnByItsNextToken}}, "LOGIN_TIME_SCALE=60", "JWT_EXPIRES_IN=5m")
}

// aSocketLivesOnByItsNextToken: a live socket is prolonged by the tokens of its own session, and by no other's; without
// it is closed thirty seconds after its token's end.
func aSocketLivesOnByItsNextToken(t *testing.T, h *house) {
	who, other := h.customer(t), h.customer(t)
	forgotten, stolen, kept := who.on("forgotten").connect(), who.on("stolen").connect(), who.on("kept").connect()
	stolen.send(object{"t": "auth", "token": other.token})
	stolen.closed(4403, wait)
	const life, grace = 5 * time.Second, 30 * time.Second
	refresh := who.refresh
	for begun := time.Now(); time.Since(begun) < life+grace+5*time.Second; pass(t, life-time.Second) {
		next := who.renew(refresh).ok()
		refresh = next.text("refreshToken")
		kept.send(object{"t": "auth", "token": next.text("accessToken")})
		kept.read("authed")
	}
	forgotten.closed(4401, wait)
	kept.alive()
}

func forgedTokens(t *testing.T, h *house) {
	who := h.customer(t)
	own := forge(t, who.token, h.keys.access)
	who.with(own.String()).me().ok() // the control: what a key signs is believed
	genuine := strings.Split(who.token, ".")
	sig := []byte(genuine[2])
	sig[0] ^= 1 // another letter of the same alphabet, or at least another signature
	other := make([]byte, 48)
	forged := map[string]string{
		"alg none":                  own.head("alg", "none").by(unsigned).String(),
		"alg None":                  own.head("alg", "None").by(unsigned).String(),
		"alg none, signed":          own.head("alg", "none").String(),
		"HS256 without signature":   own.by(unsigned).String(),
		"RS256":                     own.head("alg", "RS256").by(rs256(t)).String(),
		"RS256 header over HMAC":    own.head("alg", "RS256").String(),
		"ES256":                     own.head("alg", "ES256").by(es256(t)).String(),
		"HS512 header":              own.head("alg", "HS512").String(),
		"the refresh key":           own.by(hs256(h.keys.refresh)).String(),
		"the refresh key, named":    own.head("kid", token.KeyOf(h.keys.refresh).ID).by(hs256(h.keys.refresh)).String(),
		"the refresh key's name":    own.head("kid", token.KeyOf(h.keys.refresh).ID).String(),
		"an empty key":              own.by(hs256(nil)).String(),
		"a key of zeros":            own.by(hs256(other)).String(),
		"unknown kid":               own.head("kid", "never-heard-of").String(),
		"kid of a path":             own.head("kid", "../../dev/null").by(hs256(nil)).String(),
		"no kid":                    own.head("kid", nil).String(),
		"crit":                      own.head("crit", []string{"exp"}).String(),
		"embedded key":              own.head("jwk", object{"kty": "oct", "k": "AAAA"}).String(),
		"edited payload":            genuine[0] + "." + strings.Split(own.claim("role", "ops").String(), ".")[1] + "." + genuine[2],
		"edited signature":          genuine[0] + "." + genuine[1] + "." + string(sig),
		"padded":                    who.token + "=",
		"a part too many":           who.token + ".x",
		"refresh as access":         who.refresh,
		"refresh, retyped":          forge(t, who.refresh, h.keys.refresh).head("typ", own.header["typ"]).String(),
		"another role":              own.claim("role", "admin").String(),
		"sub is somebody else":      own.claim("sub", "00000000-0000-4000-8000-000000000001").String(),
		"no session":                own.claim("sid", nil).String(),
		"typ of a refresh token":    own.head("typ", "rt+jwt").String(),
		"an access key's refresh":   own.claim("typ", "refresh").String(),
		"nothing":                   " ",
		"two spaces and two tokens": who.token + " " + who.token,
	}
	if h.keys.previous != nil { // a second key that is good, under its own name only
		kid := token.KeyOf(h.keys.previous).ID
		who.with(own.head("kid", kid).by(hs256(h.keys.previous)).String()).me().ok()
		forged["another kid's secret"] = own.by(hs256(h.keys.previous)).String()
		forged["another kid"] = own.head("kid", kid).String()
	}
	for name, access := range forged {
		who.with(access).me().refused(401)
		if t.Failed() {
			t.Fatalf("%s was not refused as it should be", name)
		}
	}
	// An access token is no refresh token either, and nothing of this has ended the session.
	who.renew(who.token).refused(401, "INVALID_REFRESH_TOKEN")
	who.renew(forge(t, who.refresh, h.keys.access).String()).refused(401, "INVALID_REFRESH_TOKEN")
	who.me().ok()
	who.renew(who.refresh).ok()
}

func tokensOfAnotherTimeOrPlace(t *testing.T, h *house) {
	who := h.customer(t)
	own, now := forge(t, who.token, h.keys.access), time.Now()
	who.with(own.claim("exp", now.Add(time.Minute).Unix()).String()).me().ok()
	for name, forged := range map[string]forgery{
		"no exp":              own.claim("exp", nil),
		"exp of zero":         own.claim("exp", 0),
		"exp as text":         own.claim("exp", "9999999999"),
		"expired 11 s ago":    own.claim("iat", now.Add(-time.Hour).Unix()).claim("exp", now.Add(-11*time.Second).Unix()),
		"issued in an hour":   own.claim("iat", now.Add(time.Hour).Unix()).claim("exp", now.Add(2*time.Hour).Unix()),
		"no iat":              own.claim("iat", nil),
		"other audience":      own.claim("aud", "share"),
		"no audience":         own.claim("aud", nil),
		"several audiences":   own.claim("aud", []string{"weelo-api", "share"}),
		"other issuer":        own.claim("iss", "https://evil.example"),
		"no issuer":           own.claim("iss", nil),
		"a session of nobody": own.claim("userId", nil).claim("sub", nil),
	} {
		if a := who.with(forged.String()).me(); a.status != 401 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}
