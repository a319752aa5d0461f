package security

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// forgery is a token in the making: what a thief with one of the keys, or with none, could write.
type forgery struct {
	t      testing.TB
	header object
	claims object
	sign   func(signed string) []byte
}

// forge begins with what a genuine token says, and the key to sign it with.
func forge(t testing.TB, genuine string, key []byte) forgery {
	t.Helper()
	parts := strings.Split(genuine, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts", len(parts))
	}
	f := forgery{t: t, sign: hs256(key)}
	for i, part := range []*object{&f.header, &f.claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, part); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// head and claim change one thing; nil takes it away.
func (f forgery) head(name string, value any) forgery {
	f.header = changed(f.header, name, value)
	return f
}

func (f forgery) claim(name string, value any) forgery {
	f.claims = changed(f.claims, name, value)
	return f
}

func (f forgery) by(sign func(string) []byte) forgery { f.sign = sign; return f }

func changed(o object, name string, value any) object {
	o = maps.Clone(o)
	o[name] = value
	if value == nil {
		delete(o, name)
	}
	return o
}

func (f forgery) String() string {
	f.t.Helper()
	part := func(o object) string {
		text, err := json.Marshal(o)
		if err != nil {
			f.t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(f.header) + "." + part(f.claims)
	return signed + "." + base64.RawURLEncoding.EncodeToString(f.sign(signed))
}

func hs256(key []byte) func(string) []byte {
	return func(signed string) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		return mac.Sum(nil)
	}
}

func unsigned(string) []byte { return nil }

func rs256(t testing.TB) func(string) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return func(signed string) []byte {
		sum := sha256.Sum256([]byte(signed))
		sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
}

func es256(t testing.TB) func(string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return func(signed string) []byte {
		sum := sha256.Sum256([]byte(signed))
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		sig := make([]byte, 64)
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:])
		return sig
	}
}
