package outage

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// provider is an SMS provider (MSG91's shape) that does what the test says. It begins unreachable: its port is
// taken, and nobody listens.
type provider struct {
	socket *os.File // the only owner of its number: a second one would close what another has by then
	url    string

	mu    sync.Mutex
	calls []call
	fate  func(mobile string, gone <-chan struct{}) int // the status it answers; the zero fate is 200
}

// call is one request that reached the provider.
type call struct{ mobile, code string }

func newProvider(t testing.TB) *provider {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	socket := os.NewFile(uintptr(fd), "provider")
	t.Cleanup(func() { _ = socket.Close() })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return &provider{socket: socket, url: "http://127.0.0.1:" + strconv.Itoa(name.(*syscall.SockaddrInet4).Port)}
}

// comeUp lets it be reached from now on.
func (p *provider) comeUp(t testing.TB) {
	t.Helper()
	if err := syscall.Listen(int(p.socket.Fd()), 128); err != nil {
		t.Fatal(err)
	}
	l, err := net.FileListener(p.socket) // a copy
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(p.take), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
}

func (p *provider) take(w http.ResponseWriter, r *http.Request) {
	var in struct{ Mobile, OTP string }
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil || json.Unmarshal(raw, &in) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.calls = append(p.calls, call{in.Mobile, in.OTP})
	fate := p.fate
	p.mu.Unlock()
	status := http.StatusOK
	if fate != nil {
		status = fate(in.Mobile, r.Context().Done())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if status == http.StatusOK {
		_, _ = io.WriteString(w, `{"type":"success","message":"366b6967344b353436333132"}`)
	}
}

// does changes what becomes of messages from now on.
func (p *provider) does(fate func(mobile string, gone <-chan struct{}) int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fate = fate
}

// to are the codes that were handed over for a phone, oldest first.
func (p *provider) to(number string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var codes []string
	for _, c := range p.calls {
		if strings.HasSuffix(c.mobile, number) {
			codes = append(codes, c.code)
		}
	}
	return codes
}

// taken is how many messages reached it.
func (p *provider) taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls)
}

// environ makes it a server's provider.
func (p *provider) environ() []string {
	return []string{"SMS_PROVIDER=msg91", "MSG91_AUTH_KEY=a-key", "MSG91_TEMPLATE_ID=t1", "MSG91_BASE_URL=" + p.url}
}

// Fates.
func refusing(string, <-chan struct{}) int { return http.StatusServiceUnavailable }
func broken(string, <-chan struct{}) int   { return http.StatusInternalServerError }

// hanging answers when the caller has gone.
func hanging(_ string, gone <-chan struct{}) int { <-gone; return http.StatusOK }
