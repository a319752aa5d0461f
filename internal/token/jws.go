package token

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Key is one HMAC secret with the name that tokens carry in their kid.
type Key struct {
	ID     string
	Secret []byte
}

// MinSecret is the shortest secret accepted, in bytes: the output size of SHA-256 (RFC 7518 §3.2).
const MinSecret = 32

// KeyOf names a secret by a fingerprint of itself, so that every task that has the secret agrees on
// the name. 32 bits of a keyed hash tell nothing about 256 bits of secret.
func KeyOf(secret []byte) Key {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("weelo key id"))
	return Key{ID: hex.EncodeToString(mac.Sum(nil)[:4]), Secret: secret}
}

// earlierKid is the name that keys had before they were named by KeyOf. Every key had it, so that more
// than one may go by it; what it signed ends with the absolute end of the families of that time.
const earlierKid = "1"

// Keys are the keys of one kind of token: current signs, what previous signed is still accepted (nil:
// nothing is). While a key is replaced, both tasks that sign with the one and tasks that sign with the
// other accept each other's tokens.
func Keys(current, previous []byte) []Key {
	keys := []Key{KeyOf(current)}
	if len(previous) > 0 {
		keys = append(keys, KeyOf(previous))
	}
	for _, k := range keys {
		keys = append(keys, Key{ID: earlierKid, Secret: k.Secret})
	}
	return keys
}

// String hides the secret.
func (k Key) String() string { return "key " + k.ID }

// GoString hides the secret.
func (k Key) GoString() string { return k.String() }

const (
	algorithm = "HS256"
	// maxToken bounds what is looked at, in bytes. A real token has about 500.
	maxToken = 2048
)

// errMalformed and its neighbours stay inside: people see ErrUnauthenticated, logs see why.
var (
	errMalformed = errors.New("malformed")
	errHeader    = errors.New("header not allowed")
	errUnknown   = errors.New("unknown key")
	errSignature = errors.New("wrong signature")
)

// strict refuses padding, line breaks and stray trailing bits: one token, one spelling.
var strict = base64.RawURLEncoding.Strict()

// header is all that a token's header may hold.
type header struct {
	Alg string `json:"alg"`
	Typ string `json:"typ,omitempty"`
	Kid string `json:"kid"`
}

// seal signs a payload into the compact form.
func seal(k Key, typ string, payload []byte) (string, error) {
	h, err := json.Marshal(header{Alg: algorithm, Typ: typ, Kid: k.ID})
	if err != nil {
		return "", fmt.Errorf("token header: %w", err)
	}
	signed := strict.EncodeToString(h) + "." + strict.EncodeToString(payload)
	return signed + "." + strict.EncodeToString(mac(k.Secret, signed)), nil
}

// open checks a compact token's form, header and signature and returns what it signed.
func open(keys []Key, compact string) (header, []byte, error) {
	head, body, sig, err := split(compact)
	if err != nil {
		return header{}, nil, err
	}
	h, err := readHeader(head)
	if err != nil {
		return header{}, nil, err
	}
	got, err := strict.DecodeString(sig)
	if err != nil {
		return header{}, nil, errMalformed
	}
	if err := signedBy(keys, h.Kid, compact[:len(head)+1+len(body)], got); err != nil {
		return header{}, nil, err
	}
	payload, err := strict.DecodeString(body)
	if err != nil {
		return header{}, nil, errMalformed
	}
	return h, payload, nil
}

// split cuts a token in three without allocating for hostile input: 100,000 dots cost one count.
func split(compact string) (head, body, sig string, err error) {
	if len(compact) > maxToken || strings.Count(compact, ".") != 2 || strings.ContainsAny(compact, "\r\n") {
		return "", "", "", errMalformed
	}
	head, rest, _ := strings.Cut(compact, ".")
	body, sig, _ = strings.Cut(rest, ".")
	if head == "" || sig == "" {
		return "", "", "", errMalformed
	}
	return head, body, sig, nil
}

func readHeader(head string) (header, error) {
	raw, err := strict.DecodeString(head)
	if err != nil {
		return header{}, errMalformed
	}
	if err := onlyKnownKeys(raw); err != nil {
		return header{}, err
	}
	var h header
	if err := json.Unmarshal(raw, &h); err != nil {
		return header{}, errMalformed
	}
	if h.Alg != algorithm {
		return header{}, errHeader
	}
	return h, nil
}

// onlyKnownKeys walks the header's keys by itself because encoding/json accepts duplicates and other
// cases of a name ("ALG"): the one who checks and the one who reads must see the same header.
func onlyKnownKeys(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errMalformed
	}
	seen := make(map[string]bool, 3)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return errMalformed
		}
		key, _ := name.(string)
		if seen[key] || (key != "alg" && key != "typ" && key != "kid") {
			return errHeader
		}
		seen[key] = true
		if value, err := dec.Token(); err != nil {
			return errMalformed
		} else if _, text := value.(string); !text {
			return errHeader
		}
	}
	if _, err := dec.Token(); err != nil || dec.InputOffset() != int64(len(bytes.TrimRight(raw, " \t\r\n"))) {
		return errMalformed
	}
	return nil
}

// readClaims reads the payload of a token into its claims. Each name may stand once and in its own case only, as in
// the header: encoding/json takes the last of two, and "SUB" for sub.
func readClaims(payload []byte, claims any) error {
	names := claimNames(claims)
	dec := json.NewDecoder(bytes.NewReader(payload))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errMalformed
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		if err != nil || !ok || seen[key] {
			return errMalformed
		}
		seen[key] = true
		for _, name := range names {
			if name != key && strings.EqualFold(name, key) {
				return errMalformed
			}
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return errMalformed
		}
	}
	if json.Unmarshal(payload, claims) != nil { // nothing after the end, and the right types
		return errMalformed
	}
	return nil
}

// claimNames are the JSON names of the claims that a pointer to a struct takes.
func claimNames(claims any) []string {
	t := reflect.TypeOf(claims).Elem()
	names := make([]string, 0, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// signedBy tells whether a key of that name made the signature. A token without kid is refused too: we
// never minted one. A key that is too short, or empty, signs nothing.
func signedBy(keys []Key, kid, signed string, signature []byte) error {
	err := errUnknown
	for _, k := range keys {
		if k.ID != kid || len(k.Secret) < MinSecret {
			continue
		}
		if hmac.Equal(signature, mac(k.Secret, signed)) {
			return nil
		}
		err = errSignature
	}
	return err
}

func mac(secret []byte, signed string) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(signed))
	return m.Sum(nil)
}
