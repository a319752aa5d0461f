package rest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"weelo/internal/token"
)

// Request is what every handler may want to know of the request besides its body.
type Request struct {
	ID             string // answered in X-Request-ID and in refusals
	IdempotencyKey string // X-Idempotency-Key, "" when absent; at most 128 printable ASCII characters
	Device         string // X-Device-Id, "" when absent
	Client         netip.Addr
	UserAgent      string
	Host           string // as the client wrote it; to be believed only if it is a listed one
}

// DeviceOrOrigin names the sender for "the same device": the device id, else address and user agent.
func (r Request) DeviceOrOrigin() string {
	if r.Device != "" {
		return "device:" + r.Device
	}
	return "origin:" + r.Client.String() + " " + r.UserAgent
}

type contextKey int

const (
	requestKey contextKey = iota
	callerKey
)

// RequestOf gives the request's facts; the zero Request outside of one.
func RequestOf(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey).(Request)
	return r
}

// Caller is who asks, from the access token. Only in handlers of routes that are not Public; else zero.
func Caller(ctx context.Context) token.Identity {
	id, _ := ctx.Value(callerKey).(token.Identity)
	return id
}

const (
	maxDevice = 128 // characters; ANDROID_ID has 16
	maxAgent  = 256
	maxKey    = 128

	idempotencyHeader = "X-Idempotency-Key"
)

// facts reads a request's facts. What is longer or stranger than a client sends is taken as absent; of
// an idempotency key that would be a promise not kept, so keyed refuses it.
func facts(r *http.Request, trustedHops int) Request {
	id := printable(r.Header.Get("X-Request-Id"), 64)
	if len(id) < 8 || namesPhone.MatchString(id) { // it is written down everywhere
		id = newRequestID()
	}
	return Request{
		ID: id, IdempotencyKey: printable(r.Header.Get(idempotencyHeader), maxKey),
		Device: printable(r.Header.Get("X-Device-Id"), maxDevice), Client: clientAddr(r, trustedHops),
		UserAgent: printable(r.UserAgent(), maxAgent), Host: printable(r.Host, 253+6),
	}
}

// namesPhone finds a run of digits that is a phone number as people write it, glued to letters or not.
var namesPhone = regexp.MustCompile(`(?:^|[^0-9])(?:91|0)?[6-9][0-9]{9}(?:[^0-9]|$)`)

func newRequestID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand since Go 1.24)
	return hex.EncodeToString(b[:])
}

// printable gives s when it is at most limit printable ASCII characters.
func printable(s string, limit int) string {
	if len(s) > limit {
		return ""
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return ""
		}
	}
	return s
}

// clientAddr finds the client's address. Each trusted hop appends one address to X-Forwarded-For, so
// with n hops the n-th from the right is the client as the outermost of them saw it. What stands
// further left is written by anybody and ignored, as are X-Real-IP and Forwarded.
func clientAddr(r *http.Request, hops int) netip.Addr {
	if hops > 0 {
		chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if len(chain) >= hops {
			hop := strings.TrimSpace(chain[len(chain)-hops])
			if addr, err := netip.ParseAddr(hop); err == nil {
				return addr.Unmap()
			}
			if addr, err := netip.ParseAddrPort(hop); err == nil { // a proxy that keeps the client's port
				return addr.Addr().Unmap()
			}
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}
