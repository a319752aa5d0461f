package security

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is weelo, built once for all tests as it is shipped.
var binary struct {
	once sync.Once
	path string
	err  error
}

// atOnce is how many cases run at a time: nearly all of them wait for something to run out.
const atOnce = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	parallelAsked := false
	flag.Visit(func(f *flag.Flag) { parallelAsked = parallelAsked || f.Name == "test.parallel" })
	if !parallelAsked {
		_ = flag.Set("test.parallel", atOnce)
	}
	code := m.Run()
	if binary.path != "" {
		_ = os.RemoveAll(filepath.Dir(binary.path))
	}
	os.Exit(code)
}

func weelo(t testing.TB) string {
	t.Helper()
	binary.once.Do(func() {
		dir, err := os.MkdirTemp("", "weelo-security")
		if err != nil {
			binary.err = err
			return
		}
		binary.path = filepath.Join(dir, "weelo")
		cmd := exec.Command("go", "build", "-o", binary.path, "weelo/cmd/weelo")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			binary.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// transcript keeps what a child says.
type transcript struct {
	mu    sync.Mutex
	text  bytes.Buffer
	heard chan struct{} // closed, and replaced, at each write
}

const transcriptLimit = 8 << 20 // bytes

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < transcriptLimit {
		o.text.Write(p)
	}
	close(o.heard)
	o.heard = make(chan struct{})
	return len(p), nil
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// find waits until the transcript matches and gives the submatch.
func (o *transcript) find(pattern *regexp.Regexp, limit time.Duration, ended <-chan struct{}) (string, error) {
	deadline := time.After(limit)
	for {
		o.mu.Lock()
		heard := o.heard
		o.mu.Unlock()
		if m := pattern.FindStringSubmatch(o.String()); m != nil {
			return m[1], nil
		}
		select {
		case <-heard:
		case <-ended:
			return "", errors.New("the process ended first")
		case <-deadline:
			return "", errors.New("it took too long")
		}
	}
}

var (
	servingLine = regexp.MustCompile(`msg"?[=:]"?serving"?[ ,]"?addr"?[=:]"?[^ "]*:(\d+)`)
	adminLine   = regexp.MustCompile(`msg"?[=:]"?admin pages"?[ ,]"?addr"?[=:]"?([0-9.]+:\d+)`)
)

// begin starts a weelo that gets this environment and nothing else, waits until it serves, and kills it
// with the test. It fills in base and admin.
func (h *house) begin(t testing.TB) {
	t.Helper()
	said, done := &transcript{heard: make(chan struct{})}, make(chan struct{})
	cmd := exec.Command(weelo(t), h.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = h.environ, said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		if t.Failed() {
			t.Logf("weelo %v said:\n%s", h.args, tail(said.String(), 60))
		}
	})
	port, err := said.find(servingLine, 60*time.Second, done)
	if err != nil {
		t.Fatalf("weelo %v does not serve: %v\n%s", h.args, err, said)
	}
	h.base = "http://127.0.0.1:" + port
	if m := adminLine.FindStringSubmatch(said.String()); m != nil {
		h.admin = "http://" + m[1]
	}
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// eventually asks each 20 ms until ok, and fails after the limit.
func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// pass lets time go by that the product measures and that nobody outside of it can shorten.
func pass(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}
