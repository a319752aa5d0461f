package servertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a server: to answer, to end.
const patience = 60 * time.Second

// spawner starts every child from one OS thread that never ends: the kernel sends a child's
// parent-death signal when the *thread* that started it ends, and Go ends threads at will.
var spawner = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

func spawn(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	spawner() <- func() { started <- cmd.Start() }
	return <-started
}

// base is this process's folder. A keeper, in a session of its own, holds the other end of a pipe
// that closes when this process ends in whatever way, and then removes the folder.
var base = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "weelo-servers-")
	if err != nil {
		return "", err
	}
	// The postgres user must be able to enter, not to list.
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", err
	}
	const keep = `cat >/dev/null; for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$0" 2>/dev/null && exit 0; sleep 0.3; done`
	keeper := exec.Command("sh", "-c", keep, dir)
	keeper.Dir = "/"
	keeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	held, err := keeper.StdinPipe() // never closed by us
	if err != nil {
		return "", err
	}
	heldPipe = held
	return dir, spawn(keeper)
})

// heldPipe keeps the write end reachable: a collected pipe would be closed by its finalizer.
var heldPipe io.WriteCloser

// folder makes a fresh folder for one server, owned by the user that will run it.
func folder(t testing.TB, name string, owner *syscall.Credential) string {
	t.Helper()
	parent, err := base()
	if err != nil {
		t.Fatalf("servertest: temporary folder: %v", err)
	}
	dir, err := os.MkdirTemp(parent, name+"-")
	if err != nil {
		t.Fatalf("servertest: temporary folder: %v", err)
	}
	if owner != nil {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatalf("servertest: %v", err)
		}
	}
	return dir
}

// postgresUser is who runs Postgres: it refuses root. nil: this process's own user.
func postgresUser(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("servertest: Postgres refuses to run as root and there is no user postgres: install postgresql-15 (%v)", err)
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(errUID, errGID); err != nil {
		t.Fatalf("servertest: user postgres: %v", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// process is one running server, a direct child.
type process struct {
	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed once it has been waited for
}

func launch(cmd *exec.Cmd, dir string, as *syscall.Credential) (*process, error) {
	p := &process{cmd: cmd, log: &tail{}, done: make(chan struct{})}
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := spawn(cmd); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// end sends a signal (to the whole process group when asked) and waits until the process is gone.
func (p *process) end(sig syscall.Signal, group bool) error {
	pid := p.cmd.Process.Pid
	if group {
		pid = -pid
	}
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(pid, sig)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		return fmt.Errorf("process %d did not end within %v of %v: %s", p.cmd.Process.Pid, patience, sig, p.log)
	}
}

// await polls ready until it answers nil, the process ends or patience does.
func (p *process) await(ready func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("ended at start: %s", p.log)
		case <-deadline:
			return fmt.Errorf("not ready after %v: %w: %s", patience, err, p.log)
		case <-tick.C:
		}
	}
}

// tail keeps the last 8 KiB a server wrote, for error messages.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	const keep = 8 << 10
	l.buf.Write(p)
	if n := l.buf.Len() - keep; n > 0 {
		l.buf.Next(n)
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// freePort asks the kernel for a free loopback port. highest bounds it, for servers that derive
// another port from it; 0: no bound.
func freePort(highest int) (int, error) {
	for range 200 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if highest == 0 || port <= highest {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port up to %d", highest)
}

// binary finds an executable or fails the test with what to install.
func binary(t testing.TB, name, debianPackage string, patterns ...string) string {
	t.Helper()
	for _, pattern := range patterns {
		found, _ := filepath.Glob(filepath.Join(pattern, name))
		if len(found) > 0 {
			return found[len(found)-1]
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("servertest: %s is not installed: apt-get install -y --no-install-recommends %s", name, debianPackage)
	}
	return path
}
