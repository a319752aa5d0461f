package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"weelo/internal/client"
)

// api speaks the REST calls of a trip for many people. At most inFlight requests run at once; a
// request is tried again as the apps do it, after 5xx, 429 and lost connections.
type api struct {
	rest client.REST
	gate chan struct{}
	pace *pace
}

const (
	inFlight = 32
	attempts = 10 // about half a minute: a server that was killed comes back within that
)

func newAPI(base string) *api {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &api{
		rest: client.REST{BaseURL: base, HTTP: &http.Client{
			Timeout:   30 * time.Second,
			Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: inFlight, IdleConnTimeout: time.Minute},
		}},
		gate: make(chan struct{}, inFlight), pace: newPace(),
	}
}

// refusedWith tells whether err is a refusal with one of the codes.
func refusedWith(err error, codes ...string) bool {
	var e *client.APIError
	return errors.As(err, &e) && slices.Contains(codes, e.Code)
}

// call sends body as JSON (nil: none) as the owner of the token and reads the answer's data into out
// (nil: not read).
func (a *api) call(ctx context.Context, method, path, token string, body, out any) error {
	var err error
	for try := range attempts {
		if err = a.once(ctx, method, path, token, body, out); err == nil || ctx.Err() != nil {
			break
		}
		var refused *client.APIError
		if errors.As(err, &refused) && refused.Status < 500 && refused.Status != http.StatusTooManyRequests {
			break
		}
		wait := rand.N(time.Second) << min(try, 3)
		if refused != nil {
			wait = max(wait, refused.RetryAfter)
		}
		if !pause(ctx, wait) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, withoutIDs(path), err)
	}
	return nil
}

func (a *api) once(ctx context.Context, method, path, token string, body, out any) error {
	if !a.pace.wait(ctx, shot{method: method, path: path, token: token}) {
		return ctx.Err()
	}
	select {
	case a.gate <- struct{}{}:
		defer func() { <-a.gate }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return a.rest.As(token).Call(ctx, method, path, body, out)
}

// withoutIDs makes one kind of error of what differs by the trip only.
func withoutIDs(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if len(p) == 36 {
			parts[i] = "{id}"
		}
	}
	return strings.Join(parts, "/")
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
