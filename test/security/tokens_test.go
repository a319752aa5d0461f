package security

import (
	"strings"
	"testing"
	"time"
)

// TestTokens: access tokens, refresh tokens, and their end.
func TestTokens(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{
		{"P15_ForgedTokens", forgedTokens},
		{"P16_TokensOfAnotherTimeOrPlace", tokensOfAnotherTimeOrPlace},
	})
}

func forgedTokens(t *testing.T, h *house) {
	who := h.customer(t)
	own := forge(t, who.token, h.keys.access)
	who.with(own.String()).me().ok() // the control: what a key signs is believed
	genuine := strings.Split(who.token, ".")
	sig := []byte(genuine[2])
	sig[0] ^= 1 // another letter of the same alphabet, or at least another signature
	other := make([]byte, 48)
	for name, token := range map[string]string{
		"alg none":                  own.head("alg", "none").by(unsigned).String(),
		"alg None":                  own.head("alg", "None").by(unsigned).String(),
		"alg none, signed":          own.head("alg", "none").String(),
		"HS256 without signature":   own.by(unsigned).String(),
		"RS256":                     own.head("alg", "RS256").by(rs256(t)).String(),
		"RS256 header over HMAC":    own.head("alg", "RS256").String(),
		"ES256":                     own.head("alg", "ES256").by(es256(t)).String(),
		"HS512 header":              own.head("alg", "HS512").String(),
		"the refresh key":           own.by(hs256(h.keys.refresh)).String(),
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
	} {
		who.with(token).me().refused(401)
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
	for name, token := range map[string]forgery{
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
		if a := who.with(token.String()).me(); a.status != 401 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}
