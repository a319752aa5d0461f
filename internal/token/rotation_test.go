package token_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"weelo/internal/token"
)

var (
	accessA, accessB   = []byte("access-a-for-tests-0123456789abcdefgh"), []byte("access-b-for-tests-0123456789abcdefgh")
	refreshA, refreshB = []byte("refresh-a-for-tests-0123456789abcdefg"), []byte("refresh-b-for-tests-0123456789abcdefg")
)

func minting(t testing.TB, access, refresh []token.Key) *token.Mint {
	t.Helper()
	m, err := token.New(token.Config{Access: access, Refresh: refresh})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pairOf(t testing.TB, m *token.Mint, gen int64) (access, refresh string) {
	t.Helper()
	access, _, err := m.Access(driver(), noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	refresh, err = m.Refresh(family(gen))
	if err != nil {
		t.Fatal(err)
	}
	return access, refresh
}

func family(gen int64) token.Refresh {
	return token.Refresh{UserID: "u", SessionID: "s", Gen: gen, Born: noon, Ends: noon.Add(90 * 24 * time.Hour)}
}

// The tasks of a rotation, in the order in which they are deployed. Any two that stand beside each other
// in a rolling deploy accept what the other signs; only the last one has forgotten the first key.
func TestRotationLogsNobodyOut(t *testing.T) {
	t.Parallel()
	steps := []*token.Mint{
		minting(t, token.Keys(accessA, nil), token.Keys(refreshA, nil)),
		minting(t, token.Keys(accessA, accessB), token.Keys(refreshA, refreshB)), // the next key is made known
		minting(t, token.Keys(accessB, accessA), token.Keys(refreshB, refreshA)), // and signs
		minting(t, token.Keys(accessB, nil), token.Keys(refreshB, nil)),          // the old one is dropped
	}
	for i := range steps {
		access, refresh := pairOf(t, steps[i], 1)
		for _, other := range steps[max(0, i-1):min(len(steps), i+2)] {
			if _, err := other.Verify(access, noon); err != nil {
				t.Errorf("an access token of step %d is refused by a neighbour: %v", i, err)
			}
			if got, err := other.VerifyRefresh(refresh, noon); err != nil || got != family(1) {
				t.Errorf("a refresh token of step %d is refused by a neighbour: %+v, %v", i, got, err)
			}
		}
	}
	access, refresh := pairOf(t, steps[0], 1)
	if _, err := steps[2].Verify(access, noon.Add(time.Hour-time.Second)); err != nil {
		t.Errorf("an old access token works to its end: %v", err)
	}
	if _, err := steps[2].Verify(access, noon.Add(time.Hour+11*time.Second)); !errors.Is(err, token.ErrExpired) {
		t.Errorf("and not longer: %v", err)
	}
	if _, err := steps[3].Verify(access, noon); !errors.Is(err, token.ErrUnauthenticated) {
		t.Errorf("under a dropped key: %v", err)
	}
	if _, err := steps[3].VerifyRefresh(refresh, noon); !errors.Is(err, token.ErrRefresh) {
		t.Errorf("refresh under a dropped key: %v", err)
	}
	// A parent of before has the same child as ever, under the key that signs now: it outlives the old one.
	child, err := steps[2].Refresh(family(2))
	if err != nil {
		t.Fatal(err)
	}
	again, _ := steps[2].Refresh(family(2))
	if got, err := steps[3].VerifyRefresh(child, noon); err != nil || got != family(2) || again != child {
		t.Errorf("the child does not outlive the old key: %+v, %v", got, err)
	}
}

// Keys are named by what they are: another secret never goes by the same name, and the name that builds
// before had for every key stands for none that is not there.
func TestTokensOfEarlierBuilds(t *testing.T) {
	t.Parallel()
	earlier := minting(t, []token.Key{{ID: "1", Secret: accessA}}, []token.Key{{ID: "1", Secret: refreshA}})
	access, refresh := pairOf(t, earlier, 3)
	for name, c := range map[string]struct {
		keys, refreshKeys []token.Key
		ok                bool
	}{
		"current":  {token.Keys(accessA, nil), token.Keys(refreshA, nil), true},
		"previous": {token.Keys(accessB, accessA), token.Keys(refreshB, refreshA), true},
		"neither":  {token.Keys(accessB, nil), token.Keys(refreshB, nil), false},
	} {
		m := minting(t, c.keys, c.refreshKeys)
		if _, err := m.Verify(access, noon); (err == nil) != c.ok {
			t.Errorf("%s: access: %v", name, err)
		}
		if got, err := m.VerifyRefresh(refresh, noon); (err == nil) != c.ok || c.ok && got != family(3) {
			t.Errorf("%s: refresh: %+v, %v", name, got, err)
		}
	}
	if token.KeyOf(accessA).ID == token.KeyOf(accessB).ID || token.KeyOf(accessA).ID == "1" {
		t.Error("two secrets have one name")
	}
}

// A refresh token is for another audience than an access token; only tokens of earlier builds, which had
// one for both, may still say so.
func TestAudiencesAreApart(t *testing.T) {
	t.Parallel()
	m := minting(t, token.Keys(accessA, nil), token.Keys(refreshA, nil))
	_, refresh := pairOf(t, m, 1)
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(refresh, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&body); err != nil {
		t.Fatal(err)
	}
	if body["aud"] != "weelo-refresh" {
		t.Fatalf("aud = %v", body["aud"])
	}
	k := token.KeyOf(refreshA)
	for _, c := range []struct {
		kid, aud string
		ok       bool
	}{
		{k.ID, "weelo-refresh", true},
		{k.ID, "weelo-api", false},
		{"1", "weelo-api", true},
		{"1", "weelo-share", false},
		{k.ID, "", false},
	} {
		body["aud"] = c.aud
		s := sign(t, jwt.SigningMethodHS256, refreshA, map[string]any{"kid": c.kid, "typ": "rt+jwt"}, body)
		if _, err := m.VerifyRefresh(s, noon); (err == nil) != c.ok {
			t.Errorf("kid %q, aud %q: %v", c.kid, c.aud, err)
		}
	}
}
