package config

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// Secret is a value that no log, error or page may show. Only Reveal gives it.
type Secret string

const redacted = "[redacted]"

// Reveal gives the bytes, for the one component that needs them.
func (s Secret) Reveal() []byte { return []byte(s) }

// String, GoString, LogValue and MarshalText hide the value from every usual way of printing.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// DSN is an address that may carry a password. It prints without it.
type DSN string

// Reveal gives the whole address.
func (d DSN) Reveal() string { return string(d) }

// String prints the address with the password hidden; what cannot be parsed is hidden whole.
func (d DSN) String() string {
	if d == "" {
		return ""
	}
	u, err := url.Parse(string(d))
	if err != nil || u.Host == "" {
		return redacted
	}
	u.RawQuery = ""
	return u.Redacted()
}

// GoString hides the password from %#v.
func (d DSN) GoString() string { return `"` + d.String() + `"` }

// MarshalText hides the password from encoders.
func (d DSN) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// LogValue hides the password from slog.
func (d DSN) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MinSecretBytes is the least length of a signing key: the output size of SHA-256 (RFC 7518 §3.2).
const MinSecretBytes = 32

// placeholders are fragments of values that people paste from examples.
var placeholders = []string{"changeme", "change-me", "change_me", "secret", "password", "example", "your-", "your_", "default", "12345678", "abcdefgh"}

// minDistinct is how many different bytes a value of MinSecretBytes must have; 32 random hex digits
// have about 14.
const minDistinct = 10

// weakness says why a secret must not be used in production, or "" when nothing speaks against it.
func weakness(s Secret) string {
	if len(s) < MinSecretBytes {
		return fmt.Sprintf("has %d bytes, at least %d are needed", len(s), MinSecretBytes)
	}
	lower := strings.ToLower(string(s))
	for _, p := range placeholders {
		if strings.Contains(lower, p) {
			return fmt.Sprintf("looks like a placeholder (it contains %q)", p)
		}
	}
	seen := map[byte]bool{}
	for i := range len(s) {
		seen[s[i]] = true
	}
	if len(seen) < minDistinct {
		return fmt.Sprintf("has only %d different characters; generate it, e.g. openssl rand -base64 48", len(seen))
	}
	return ""
}

// DerivePepper makes the OTP pepper from the refresh secret (HKDF-SHA256 with its own label), so that
// task definitions which know only the two JWT secrets need no third one. Set OTP_PEPPER to rotate
// them apart.
func DerivePepper(refresh Secret) (Secret, error) {
	if refresh == "" {
		return "", errors.New("no refresh secret to derive the pepper from")
	}
	key, err := hkdf.Key(sha256.New, refresh.Reveal(), nil, "weelo otp pepper v1", MinSecretBytes)
	return Secret(key), err
}

// WithPeppers fills in the peppers that are not set: derived from the refresh secrets, the current and
// the previous one, so that a code in flight survives the rotation of the secret too.
func (s Secrets) WithPeppers() (Secrets, error) {
	if s.Pepper != "" {
		return s, nil
	}
	var err error
	if s.Pepper, err = DerivePepper(s.JWTRefresh); err != nil {
		return s, err
	}
	if s.PepperPrevious == "" && s.JWTRefreshPrevious != "" {
		s.PepperPrevious, err = DerivePepper(s.JWTRefreshPrevious)
	}
	return s, err
}
