package security

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// caller is a phone or program somewhere in the world: an address and a device of its own, and perhaps
// a token.
type caller struct {
	t      testing.TB
	house  *house
	ip     string
	device string
	token  string
}

var callers atomic.Uint32

// stranger comes from an address and on a device that nobody else has.
func (h *house) stranger(t testing.TB) *caller {
	t.Helper()
	n := callers.Add(1)
	// 198.18.0.0/15 is for benchmarks of networks (RFC 2544): nobody's real address.
	return &caller{t: t, house: h, ip: net.IPv4(198, 18+byte(n>>16&1), byte(n>>8), byte(n)).String(), device: fmt.Sprintf("device-%06d", n)}
}

// with gives the same caller with another token.
func (c caller) with(token string) *caller { c.token = token; return &c }

// on gives the same caller on another device.
func (c caller) on(device string) *caller { c.device = device; return &c }

// from gives the same caller at another address.
func (c caller) from(ip string) *caller { c.ip = ip; return &c }

// at gives the same caller at another task.
func (c caller) at(task *house) *caller { c.house = task; return &c }

// object is a JSON object.
type object = map[string]any

// answer is all that a server said.
type answer struct {
	t       testing.TB
	status  int
	header  http.Header
	body    string
	content struct {
		Success bool
		Message string
		Data    json.RawMessage
		Error   struct {
			Code, Message string
			RetryAfterMS  int64
		}
	}
}

// web does not follow redirects and does not keep connections, as strangers do not.
var web = &http.Client{
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: 10 * time.Second},
}

// ask sends a request to any path. body is an object, a text sent as it is, or nil. header is pairs that
// come last: they overrule.
func (c *caller) ask(method, path string, body any, header ...string) answer {
	c.t.Helper()
	var text io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		text = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			c.t.Fatal(err)
		}
		text = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.house.base+path, text)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header = c.headers()
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := web.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	a := answer{t: c.t, status: res.StatusCode, header: res.Header, body: string(all)}
	_ = json.Unmarshal(all, &a.content) // a page is no envelope
	return a
}

func (c *caller) headers() http.Header {
	h := http.Header{}
	h.Set("X-Forwarded-For", c.ip)
	h.Set("X-Device-Id", c.device)
	if c.token != "" {
		h.Set("Authorization", "Bearer "+c.token)
	}
	return h
}

// post calls the API below /api/v1/.
func (c *caller) post(path string, body any, header ...string) answer {
	c.t.Helper()
	return c.ask(http.MethodPost, "/api/v1/"+path, body, header...)
}

func (c *caller) get(path string, header ...string) answer {
	c.t.Helper()
	return c.ask(http.MethodGet, "/api/v1/"+path, nil, header...)
}

// me asks who the caller is: the smallest request that needs a living session.
func (c *caller) me() answer {
	c.t.Helper()
	return c.get("auth/me")
}

// ok expects success.
func (a answer) ok() answer {
	a.t.Helper()
	if a.status < 200 || a.status > 299 || !a.content.Success {
		a.t.Fatalf("refused: %d %s", a.status, a.body)
	}
	return a
}

// refused expects a refusal with that status and, when codes are named, one of them.
func (a answer) refused(status int, codes ...string) answer {
	a.t.Helper()
	if a.status != status || a.content.Success || len(codes) > 0 && !slices.Contains(codes, a.content.Error.Code) {
		a.t.Errorf("%d %s, want %d %v", a.status, a.body, status, codes)
	}
	return a
}

// text is a string in the data, named by its path.
func (a answer) text(path ...string) string {
	a.t.Helper()
	var value any
	if err := json.Unmarshal(a.content.Data, &value); err != nil {
		a.t.Fatalf("no data: %s", a.body)
	}
	for _, name := range path {
		members, _ := value.(object)
		value = members[name]
	}
	s, ok := value.(string)
	if !ok {
		a.t.Fatalf("no %v in %s", path, a.body)
	}
	return s
}

// data reads all of it.
func (a answer) data(into any) {
	a.t.Helper()
	if err := json.Unmarshal(a.content.Data, into); err != nil {
		a.t.Fatalf("%s: %v", a.body, err)
	}
}

// number is a number in the data.
func (a answer) number(name string) float64 {
	a.t.Helper()
	var members map[string]any
	if err := json.Unmarshal(a.content.Data, &members); err != nil {
		a.t.Fatalf("no data: %s", a.body)
	}
	n, ok := members[name].(float64)
	if !ok {
		a.t.Fatalf("no %s in %s", name, a.body)
	}
	return n
}

// retryAfter is what the header says, in seconds; 0: nothing.
func (a answer) retryAfter() (seconds int) {
	_, _ = fmt.Sscan(a.header.Get("Retry-After"), &seconds)
	return seconds
}

// newPhone is a mobile number that nobody else in the run has, in a series of its own.
func newPhone() string {
	n, err := rand.Int(rand.Reader, big.NewInt(4_000_000_000))
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%010d", n.Int64()+6_000_000_000)
}
