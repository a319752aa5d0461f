package token

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// misprinted are vectors whose text does not show what their comment says: 367 and 370 are, byte for
// byte, the valid vector 357, and 372 and 373 call a token with a character outside base64url valid.
var misprinted = map[int]bool{367: true, 370: true, 372: true, 373: true}

// The signature layer against the JWS vectors of project Wycheproof (testdata/wycheproof/SOURCE.txt):
// every HS256 vector whose key is long enough and named by its header, and every vector of another
// algorithm, which must be refused whatever key we hold.
func TestWycheproofJWS(t *testing.T) {
	t.Parallel()
	var file struct {
		TestGroups []struct {
			Private jwk `json:"private"`
			Tests   []struct {
				ID      int             `json:"tcId"`
				Comment string          `json:"comment"`
				JWS     json.RawMessage `json:"jws"`
				Result  string          `json:"result"`
			} `json:"tests"`
		} `json:"testGroups"`
	}
	readJSON(t, "testdata/wycheproof/json_web_signature_test.json", &file)
	accepted, refused, skipped, ours := 0, 0, 0, 0
	for _, g := range file.TestGroups {
		for _, v := range g.Tests {
			var compact string
			if misprinted[v.ID] {
				skipped++
				continue
			}
			if err := json.Unmarshal(v.JWS, &compact); err != nil {
				t.Fatalf("%d: not the compact form: %v", v.ID, err)
			}
			if g.Private.Alg == algorithm {
				ours++
			}
			keys := g.Private.keys(t, compact)
			_, payload, err := open(keys, compact)
			wantOK := v.Result == "valid" && g.Private.Alg == algorithm
			switch {
			case err == nil && v.Result != "valid":
				t.Errorf("%d %s: accepted", v.ID, v.Comment)
			case err == nil && !wantOK:
				t.Errorf("%d %s: accepted under an algorithm we do not serve", v.ID, v.Comment)
			case err != nil && wantOK:
				t.Errorf("%d %s: refused: %v", v.ID, v.Comment, err)
			case err == nil:
				accepted++
				if len(payload) == 0 && !strings.Contains(compact, "..") {
					t.Errorf("%d: empty payload", v.ID)
				}
			default:
				refused++
			}
		}
	}
	// 401 vectors: 40 of HS256, of which 4 are misprinted and 8 of the rest valid.
	if accepted != 8 || refused != 389 || skipped != 4 || ours != 36 {
		t.Fatalf("%d accepted, %d refused, %d skipped, %d of HS256: not the vectors as a whole", accepted, refused, skipped, ours)
	}
}

type jwk struct {
	Alg string `json:"alg"`
	K   string `json:"k"`
}

// keys names the group's symmetric key as the token itself does, so that only form, algorithm and
// signature decide. For other groups it holds a key that an attacker may hope to be confused with.
func (j jwk) keys(t *testing.T, compact string) []Key {
	t.Helper()
	secret := bytes.Repeat([]byte("k"), MinSecret)
	if j.K != "" {
		k, err := strict.DecodeString(j.K)
		if err != nil {
			t.Fatal(err)
		}
		secret = k
	}
	if len(secret) < MinSecret {
		return nil
	}
	var h struct{ Kid string }
	head, _, _ := strings.Cut(compact, ".")
	if raw, err := strict.DecodeString(head); err == nil {
		_ = json.Unmarshal(raw, &h) // malformed headers have no kid
	}
	return []Key{{ID: h.Kid, Secret: secret}}
}

// The MAC itself against the HMAC-SHA-256 vectors: full-length tags must match, altered ones must not.
func TestWycheproofHMAC(t *testing.T) {
	t.Parallel()
	var file struct {
		TestGroups []struct {
			TagSize int `json:"tagSize"`
			Tests   []struct {
				ID     int    `json:"tcId"`
				Key    string `json:"key"`
				Msg    string `json:"msg"`
				Tag    string `json:"tag"`
				Result string `json:"result"`
			} `json:"tests"`
		} `json:"testGroups"`
	}
	readJSON(t, "testdata/wycheproof/hmac_sha256_test.json", &file)
	ran := 0
	for _, g := range file.TestGroups {
		for _, v := range g.Tests {
			key, msg, tag := unhex(t, v.Key), unhex(t, v.Msg), unhex(t, v.Tag)
			got := mac(key, string(msg))[:g.TagSize/8]
			if bytes.Equal(got, tag) != (v.Result == "valid") {
				t.Errorf("%d: %s vector, tag %x", v.ID, v.Result, got)
			}
			ran++
		}
	}
	if ran != 174 {
		t.Fatalf("%d vectors, not 174", ran)
	}
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
