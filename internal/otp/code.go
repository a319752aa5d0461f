package otp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"weelo/internal/fleet"
	"weelo/internal/phone"
)

// Digits is the length of a code. The apps have six boxes; about 20 bits, the least that NIST SP
// 800-63B-4 §3.1.3 allows.
const Digits = 6

// Flow separates the two ways of logging in; it is also the beginning of the key.
type Flow string

// The flows. In Driver the code goes to the transporter's phone; in Onboard to the driver's own, and
// yields his membership in a fleet instead of a session.
const (
	Own     Flow = "otp"
	Driver  Flow = "driver-otp"
	Onboard Flow = "driver-onboard"
)

// Key names one challenge: one phone in one role.
type Key struct {
	Flow  Flow
	Role  fleet.Role // fleet.Driver in the flows of drivers
	Phone phone.Number
}

// String is the key with the phone masked, for whoever prints it.
func (k Key) String() string {
	return strings.Replace(k.Literal(), k.Phone.National(), k.Phone.Masked(), 1)
}

// Literal is the key in a store, as operators know it: otp:9876543210:transporter, driver-otp:9123456789.
func (k Key) Literal() string {
	if k.Flow == Driver || k.Flow == Onboard {
		return string(k.Flow) + ":" + k.Phone.National()
	}
	return string(k.Flow) + ":" + k.Phone.National() + ":" + string(k.Role)
}

// Pepper is a secret that keys the hashes, with the name that hashes carry.
type Pepper struct {
	ID     string
	Secret []byte
}

// MinPepper is the shortest pepper accepted, in bytes.
const MinPepper = 32

// PepperOf names a pepper by a fingerprint of itself.
func PepperOf(secret []byte) Pepper {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("weelo pepper id"))
	return Pepper{ID: hex.EncodeToString(mac.Sum(nil)[:4]), Secret: secret}
}

// String hides the secret.
func (p Pepper) String() string { return "pepper " + p.ID }

// GoString hides the secret.
func (p Pepper) GoString() string { return p.String() }

// Peppers are the live ones: the first hashes, all verify. Two during a rotation.
type Peppers []Pepper

// Validate names what is wrong.
func (ps Peppers) Validate() error {
	if len(ps) == 0 {
		return errors.New("otp: no pepper")
	}
	for _, p := range ps {
		if p.ID == "" || len(p.Secret) < MinPepper {
			return fmt.Errorf("otp: a pepper has %d bytes, at least %d are needed", len(p.Secret), MinPepper)
		}
	}
	return nil
}

// Hash keys a code with all that it is good for.
func (p Pepper) Hash(k Key, challenge, code string) string {
	return p.mac("otp/v1", string(k.Role), string(k.Flow), k.Phone.E164(), challenge, code)
}

// Device hides what a client says of itself; it is compared (SameDevice), never shown.
func (ps Peppers) Device(name string) string { return ps[0].mac("device/v1", name) }

// Devices hides a device under each of the live peppers: a claim may name it by any of them.
func (ps Peppers) Devices(name string) []string {
	hidden := make([]string, len(ps))
	for i, p := range ps {
		hidden[i] = p.mac("device/v1", name)
	}
	return hidden
}

// SameDevice tells whether a device was hidden under any of the live peppers: its answer may have been lost
// just when the pepper changed. In constant time.
func (ps Peppers) SameDevice(hidden, name string) bool {
	same := false
	for _, p := range ps {
		same = hmac.Equal([]byte(p.mac("device/v1", name)), []byte(hidden)) || same
	}
	return same
}

func (p Pepper) mac(parts ...string) string {
	m := hmac.New(sha256.New, p.Secret)
	for _, part := range parts {
		m.Write([]byte(part))
		m.Write([]byte{0}) // none of the parts can contain it
	}
	return hex.EncodeToString(m.Sum(nil))
}

// Matches compares in constant time.
func (ps Peppers) Matches(k Key, stored Code, code string) bool {
	for _, p := range ps {
		if p.ID == stored.Kid {
			return hmac.Equal([]byte(p.Hash(k, stored.ID, code)), []byte(stored.Hash))
		}
	}
	return false
}

var million = big.NewInt(1_000_000)

// NewCode draws a code, uniformly. random is crypto/rand.Reader except in tests.
func NewCode(random io.Reader) (string, error) {
	n, err := rand.Int(random, million)
	if err != nil {
		return "", fmt.Errorf("otp: code: %w", err)
	}
	return fmt.Sprintf("%0*d", Digits, n), nil
}

// NewID draws a challenge id: 128 bits in hex.
func NewID(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("otp: challenge id: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// WellFormed tells whether s could be a code: six ASCII digits.
func WellFormed(s string) bool {
	if len(s) != Digits {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
