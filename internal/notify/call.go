package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// maxProviderAnswer bounds what is read of an answer.
const maxProviderAnswer = 64 << 10

// connectLimit bounds making a connection. What could not be connected to has certainly taken nothing,
// so this leaves a caller time to ask another.
const connectLimit = 1500 * time.Millisecond

// Client is an HTTP client for providers: it gives up connecting early and keeps as many connections as
// a Dispatcher has workers. Each call has a deadline of its own.
func Client() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: connectLimit, KeepAlive: 30 * time.Second}).DialContext
	t.MaxIdleConnsPerHost, t.MaxConnsPerHost = 64, 64
	return &http.Client{Transport: t}
}

// NoRedirects is a client that goes nowhere else: a redirect would carry the account's key to somebody,
// and could hand the message over twice.
func NoRedirects(client *http.Client) *http.Client {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// httpAddress checks the address of a provider.
func httpAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// call does a request and reads its answer. Errors say nothing of what was sent, nor where.
func call(client *http.Client, req *http.Request) (status int, body []byte, class Class, err error) {
	res, err := client.Do(req)
	if err != nil {
		class, err = Unreached(err)
		return 0, nil, class, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxProviderAnswer))
	if err != nil {
		return 0, nil, Undecided, fmt.Errorf("%w: status %d, and it broke off", ErrUnclear, res.StatusCode)
	}
	return res.StatusCode, body, Accepted, nil
}

// Unreached tells a request that never left from one whose fate is unknown, by the error of an HTTP
// client.
func Unreached(err error) (Class, error) {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.As(err, &dns), errors.As(err, &op) && op.Op == "dial":
		return Refused, ErrUnreached
	case errors.Is(err, context.DeadlineExceeded):
		return Undecided, ErrNoAnswer
	default:
		return Undecided, fmt.Errorf("%w: the connection failed", ErrUnclear)
	}
}

// Harmless keeps a provider's sentence for the log if it has no run of digits that could be a code or a
// phone.
func Harmless(text string) string {
	run := 0
	for _, r := range text {
		if r >= '0' && r <= '9' {
			run++
		} else {
			run = 0
		}
		if run >= 4 {
			return "(text withheld)"
		}
	}
	if len(text) > 200 {
		text = text[:200]
	}
	return text
}
