package outage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weelo/internal/servertest"
)

// binary is weelo, built once for all tests as it is shipped.
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
		dir, err := os.MkdirTemp("", "weelo-outage")
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

// town is a Postgres, a Redis and a file of messages, and the servers of one test on them.
type town struct {
	postgres *servertest.PostgresServer
	redis    *servertest.RedisServer
	database string // URL
	cache    string // URL; another than the Redis's own where something stands between
	sms      string // file
}

func newTown(t testing.TB) *town {
	t.Helper()
	pg := servertest.PrivatePostgres(t)
	rd := servertest.PrivateRedis(t)
	return &town{postgres: pg, redis: rd, database: pg.Database(t), cache: rd.URL(), sms: filepath.Join(t.TempDir(), "sms.jsonl")}
}

// environ is a whole environment, and nothing of the machine's. What stands last wins.
func (w *town) environ(more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "PORT=0", "ADMIN_ADDR=127.0.0.1:0",
		"DATABASE_URL=" + w.database, "REDIS_URL=" + w.cache, "SMS_PROVIDER=file:" + w.sms, "TRUSTED_HOPS=1",
		"JWT_SECRET=kJ8vQm2ZrT5xW9bN4cL7pD1fG6hS3yUa0eRi", "JWT_REFRESH_SECRET=Zp4Xc7Vb1Nm8Lk5Jh2Gf9Ds6Aq3We0Rt7YuI",
		"OTP_PEPPER=" + strings.Repeat("b3V0YWdl", 6),
	}, more...)
}

// server is a running serve.
type server struct {
	base  string // http://127.0.0.1:PORT
	admin string
	cmd   *exec.Cmd
	out   *output
	done  chan struct{} // closed when the process has ended and was waited for
}

// output keeps what a child says.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	ping chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	close(o.ping)
	o.ping = make(chan struct{})
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// find waits until the output matches.
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

// serve starts a server and waits until it serves. It is killed with the test.
func (w *town) serve(t testing.TB, more ...string) *server {
	t.Helper()
	s := &server{cmd: exec.Command(weelo(t), "serve"), out: &output{ping: make(chan struct{})}, done: make(chan struct{})}
	s.cmd.Env = w.environ(more...)
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
		s.kill()
		if t.Failed() {
			all := strings.Split(s.out.String(), "\n")
			t.Logf("serve said:\n%s", strings.Join(all[max(0, len(all)-60):], "\n"))
		}
	})
	m, err := s.out.find(servingLine, 60*time.Second, s.done)
	if err != nil {
		t.Fatalf("serve does not serve: %v\n%s", err, s.out)
	}
	s.base = "http://127.0.0.1:" + m[1]
	if m := adminLine.FindStringSubmatch(s.out.String()); m != nil {
		s.admin = "http://" + m[1]
	}
	return s
}

// kill ends the process as a machine that vanishes would.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// message is one SMS.
type message struct{ To, Body, Code string }

// messages are the SMS to a phone, oldest first.
func (w *town) messages(t testing.TB, phone string) []message {
	t.Helper()
	text, err := os.ReadFile(w.sms)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var all []message
	for line := range strings.Lines(string(text)) {
		var m message
		if !strings.HasSuffix(line, "\n") || json.Unmarshal([]byte(line), &m) != nil {
			break // still being written
		}
		if m.To == "+91"+phone {
			all = append(all, m)
		}
	}
	return all
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

// freePort is a port of the loopback that nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
