package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// api speaks the REST calls of a trip. At most inFlight requests run at once; a request is tried
// again as the apps do it, after 5xx, 429 and lost connections, with the same key.
type api struct {
	base string
	http *http.Client
	gate chan struct{}
}

const (
	inFlight = 32
	attempts = 6
)

func newAPI(base string) *api {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &api{
		base: strings.TrimSuffix(base, "/") + "/api/v1/",
		http: &http.Client{
			Timeout:   30 * time.Second,
			Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: inFlight, IdleConnTimeout: time.Minute},
		},
		gate: make(chan struct{}, inFlight),
	}
}

// refusedError is an error envelope of the server.
type refusedError struct {
	Status  int
	Code    string
	Message string
	wait    time.Duration
}

// Error names the code.
func (e *refusedError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message)
}

// refusedWith tells whether err is a refusal with one of the codes.
func refusedWith(err error, codes ...string) bool {
	var e *refusedError
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}

// call sends body as JSON (nil: none) and reads the envelope's data into out (nil: not read). key is
// the idempotency key, "" for none.
func (a *api) call(ctx context.Context, method, path, token, key string, body, out any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	var err error
	for try := range attempts {
		if err = a.once(ctx, method, path, token, key, text, out); err == nil || ctx.Err() != nil {
			break
		}
		wait := time.Duration(1+rand.IntN(1000)) * time.Millisecond << min(try, 3)
		var refused *refusedError
		if errors.As(err, &refused) {
			if refused.Status < 500 && refused.Status != http.StatusTooManyRequests {
				break
			}
			wait = max(wait, refused.wait)
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

func (a *api) once(ctx context.Context, method, path, token, key string, text []byte, out any) error {
	select {
	case a.gate <- struct{}{}:
		defer func() { <-a.gate }()
	case <-ctx.Done():
		return ctx.Err()
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	if text != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if key != "" {
		req.Header.Set("X-Idempotency-Key", key)
	}
	res, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return readEnvelope(res, out)
}

func readEnvelope(res *http.Response, out any) error {
	text, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return err
	}
	var envelope struct {
		Success bool            `json:"success"`
		Data    json.RawMessage `json:"data"`
		Error   struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		return &refusedError{Status: res.StatusCode, Code: "INVALID_RESPONSE", Message: fmt.Sprintf("not an envelope: %.100q", text)}
	}
	if res.StatusCode >= 300 || !envelope.Success {
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return &refusedError{Status: res.StatusCode, Code: envelope.Error.Code, Message: envelope.Error.Message, wait: time.Duration(seconds) * time.Second}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(envelope.Data, out)
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

// site is the server's address, for sockets.
func (a *api) site() string { return strings.TrimSuffix(a.base, "/api/v1/") }
