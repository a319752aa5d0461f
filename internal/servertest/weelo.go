package servertest

import (
	"bytes"
	"errors"
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

// program is weelo, built once for all tests of the process, into its folder.
var program = sync.OnceValues(func() (string, error) {
	dir, err := base()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "weelo")
	cmd := exec.Command("go", "build", "-o", path, "weelo/cmd/weelo")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// Program is the path of weelo as it is shipped: static, without the race detector.
func Program(t testing.TB) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatalf("servertest: %v", err)
	}
	return path
}

// Weelo is a running weelo.
type Weelo struct {
	Base  string        // http://127.0.0.1:PORT; "" when it does not serve
	Admin string        // the same of the admin pages
	Said  *Transcript   // both outputs
	Done  chan struct{} // closed when the process has ended and was waited for

	cmd *exec.Cmd
}

var (
	servingLine = regexp.MustCompile(`msg"?[=:]"?serving"?[ ,]"?addr"?[=:]"?[^ "]*:(\d+)`)
	adminLine   = regexp.MustCompile(`msg"?[=:]"?admin pages"?[ ,]"?addr"?[=:]"?([0-9.]+:\d+)`)
)

// Serve starts a weelo that listens and waits until it serves. It is killed with the test.
func Serve(t testing.TB, environ []string, args ...string) *Weelo {
	t.Helper()
	w := Run(t, environ, args...)
	m, err := w.Said.Find(servingLine, patience, w.Done)
	if err != nil {
		t.Fatalf("weelo %v does not serve: %v\n%s", args, err, w.Said)
	}
	w.Base = "http://127.0.0.1:" + m[1]
	if m := adminLine.FindStringSubmatch(w.Said.String()); m != nil {
		w.Admin = "http://" + m[1]
	}
	return w
}

// Run starts a weelo as a direct child that gets this environment and no other. It is killed with the
// test, and with the process of the test.
func Run(t testing.TB, environ []string, args ...string) *Weelo {
	t.Helper()
	w := &Weelo{cmd: exec.Command(Program(t), args...), Said: &Transcript{heard: make(chan struct{})}, Done: make(chan struct{})}
	w.cmd.Env, w.cmd.Stdout, w.cmd.Stderr = environ, w.Said, w.Said
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := spawn(w.cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = w.cmd.Wait()
		close(w.Done)
	}()
	t.Cleanup(func() {
		w.Kill()
		if t.Failed() {
			t.Logf("weelo %v said:\n%s", args, w.Said.Tail(120))
		}
	})
	return w
}

// Kill ends the process as a machine that vanishes would.
func (w *Weelo) Kill() {
	_ = w.cmd.Process.Kill() // it may have ended
	<-w.Done
}

// Stop asks the process to end and gives its exit code.
func (w *Weelo) Stop(t testing.TB, limit time.Duration) int {
	t.Helper()
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return w.Exit(t, limit)
}

// Exit waits for the process's own end and gives its exit code.
func (w *Weelo) Exit(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-w.Done:
		return w.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		t.Fatalf("the process does not end within %v:\n%s", limit, w.Said.Tail(60))
		return -1
	}
}

// maxSaid bounds a Transcript, in bytes.
const maxSaid = 8 << 20

// Transcript keeps what a child says, for conditions and for the message of a failed test.
type Transcript struct {
	mu    sync.Mutex
	text  bytes.Buffer
	heard chan struct{} // closed, and replaced, at each write
}

func (o *Transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < maxSaid {
		o.text.Write(p)
	}
	close(o.heard)
	o.heard = make(chan struct{})
	return len(p), nil
}

func (o *Transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Tail gives the last lines.
func (o *Transcript) Tail(lines int) string { return Tail(o.String(), lines) }

// Find waits until the transcript matches and gives the submatches.
func (o *Transcript) Find(pattern *regexp.Regexp, limit time.Duration, ended <-chan struct{}) ([]string, error) {
	deadline := time.After(limit)
	for {
		o.mu.Lock()
		heard := o.heard
		o.mu.Unlock()
		if m := pattern.FindStringSubmatch(o.String()); m != nil {
			return m, nil
		}
		select {
		case <-heard:
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

// Tail gives the last lines of a text.
func Tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Eventually asks each 20 ms until ok, and fails after the limit.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
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
