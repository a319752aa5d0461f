package acceptance

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is weelo, built once for all tests as it is shipped: static, without the race detector.
var binary struct {
	once sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binary.path != "" {
		_ = os.RemoveAll(filepath.Dir(binary.path))
	}
	os.Exit(code)
}

func weelo(t testing.TB) string {
	t.Helper()
	binary.once.Do(func() {
		dir, err := os.MkdirTemp("", "weelo-acceptance")
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

// environment is what every child gets, and nothing else: no variable of the machine reaches it.
func environment(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "PORT=0", "ADMIN_ADDR=127.0.0.1:0"}, more...)
}

// server is a running weelo.
type server struct {
	base  string // http://127.0.0.1:PORT
	admin string
	cmd   *exec.Cmd
	out   *output
	done  chan struct{} // closed when the process has ended and was waited for
}

// output keeps what a child says, for conditions and for the message of a failed test.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ping  chan struct{}
	limit int
}

func newOutput() *output { return &output{ping: make(chan struct{}), limit: 4 << 20} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < o.limit {
		o.text.Write(p)
	}
	close(o.ping)
	o.ping = make(chan struct{})
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// find waits until the output matches and answers the submatches.
func (o *output) find(pattern *regexp.Regexp, limit time.Duration, ended <-chan struct{}) ([]string, error) {
	deadline := time.After(limit)
	for {
		o.mu.Lock()
		ping := o.ping
		o.mu.Unlock()
		if m := pattern.FindStringSubmatch(o.String()); m != nil {
			return m, nil
		}
		select {
		case <-ping:
		case <-ended:
			if m := pattern.FindStringSubmatch(o.String()); m != nil {
				return m, nil
			}
			return nil, errors.New("the process ended first")
		case <-deadline:
			return nil, errors.New("it took too long")
		}
	}
}

var (
	servingLine = regexp.MustCompile(`msg"?[=:]"?serving"?[ ,]"?addr"?[=:]"?[^ "]*:(\d+)`)
	adminLine   = regexp.MustCompile(`msg"?[=:]"?admin pages"?[ ,]"?addr"?[=:]"?([0-9.]+:\d+)`)
)

// begin starts a weelo that listens and waits until it serves. It is killed with the test.
func begin(t testing.TB, environ []string, args ...string) *server {
	t.Helper()
	s := spawn(t, environ, args...)
	m, err := s.out.find(servingLine, 60*time.Second, s.done)
	if err != nil {
		t.Fatalf("weelo %v does not serve: %v\n%s", args, err, s.out)
	}
	s.base = "http://127.0.0.1:" + m[1]
	if m := adminLine.FindStringSubmatch(s.out.String()); m != nil {
		s.admin = "http://" + m[1]
	}
	return s
}

// spawn starts a weelo as a direct child.
func spawn(t testing.TB, environ []string, args ...string) *server {
	t.Helper()
	s := &server{cmd: exec.Command(weelo(t), args...), out: newOutput(), done: make(chan struct{})}
	s.cmd.Env = environ
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.done
		if t.Failed() {
			t.Logf("weelo %v said:\n%s", args, tail(s.out.String(), 120))
		}
	})
	return s
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// kill9 ends the process as a machine that vanishes would.
func (s *server) kill9(t testing.TB) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.done
}

// stop asks the process to end and answers its exit code.
func (s *server) stop(t testing.TB, limit time.Duration) int {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return s.exit(t, limit)
}

// exit waits for the process's own end.
func (s *server) exit(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-s.done:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		t.Fatalf("the process does not end within %v:\n%s", limit, tail(s.out.String(), 60))
		return -1
	}
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

// lines reads the whole lines of a file; none when it is not there.
func lines(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []string
	for sc := bufio.NewScanner(f); sc.Scan(); {
		out = append(out, sc.Text())
	}
	return slices.Clip(out)
}
